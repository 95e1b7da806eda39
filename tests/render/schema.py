"""Writes the JSON Schema of a report, and its page, from the dataclasses: `python -m tests.render.schema`."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pytest_gradcheck.model import GradientFlow, Report, TrainingReport
from pytest_gradcheck.model.gradients import REPORT_VERSION
from pytest_gradcheck.model.health import FLOW_VERSION
from pytest_gradcheck.model.session import FORMAT, KINDS, OUTCOMES, SESSION_VERSION, Entry, SessionReport
from pytest_gradcheck.model.training import TRAINING_VERSION

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "pytest_gradcheck" / "render" / "report.schema.json"
PAGE = ROOT / "docs" / "report-schema.md"

#: Keys that `to_dict` adds to what the dataclass holds.
ADDED: dict[type, dict[str, Any]] = {
    SessionReport: {"format": {"const": FORMAT}, "version": {"const": SESSION_VERSION}},
    Report: {
        "version": {"const": REPORT_VERSION},
        "verdict": {"$ref": "#/$defs/Verdict"},
        "passed": {"type": "boolean"},
    },
    TrainingReport: {"version": {"const": TRAINING_VERSION}, "passed": {"type": "boolean"}},
    GradientFlow: {
        "version": {"const": FLOW_VERSION},
        "vanishing": {"type": "boolean"},
        "exploding": {"type": "boolean"},
    },
}
NUMBER = {
    "description": "JSON has no other numbers than finite ones: the rest are words.",
    "anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}],
}


def build() -> dict[str, Any]:
    """The whole schema."""
    defs: dict[str, Any] = {"number": NUMBER}
    root = _object(SessionReport, defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT}, version {SESSION_VERSION}",
        **root,
        "$defs": dict(sorted(defs.items())),
    }


def _object(kind: type, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of a dataclass: fields without a default are required, keys that are not known are allowed."""
    hints, said = get_type_hints(kind), _attributes(kind)
    properties: dict[str, Any] = dict(ADDED.get(kind, {}))
    required = list(properties)
    for item in fields(kind):
        properties[item.name] = {**_type(hints[item.name], defs), "description": said[item.name]}
        if item.default is MISSING and item.default_factory is MISSING:
            required.append(item.name)
    if kind is Entry:
        properties["outcome"]["enum"] = list(OUTCOMES)
    found: dict[str, Any] = {
        "description": (inspect.getdoc(kind) or "").partition("\n")[0],
        "type": "object",
        "required": required,
        "properties": properties,
    }
    return found | ({"allOf": _reports(defs)} if kind is Entry else {})


def _reports(defs: dict[str, Any]) -> list[dict[str, Any]]:
    """What the report of an entry is depends on its kind; kinds of newer versions are not described."""
    return [
        {
            "if": {"properties": {"kind": {"const": name}}},
            "then": {"properties": {"report": _type(kind, defs)}, "required": ["report"]},
        }
        for name, kind in KINDS.items()
    ]


def _type(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    if get_origin(hint) in {typing.Union, types.UnionType}:
        members = get_args(hint)
        if all(is_dataclass(member) or member is type(None) for member in members) and len(members) > 2:
            return {"type": ["object", "null"]}  # an entry's report: its kind says which
        return {"anyOf": [_type(member, defs) for member in members]}
    if get_origin(hint) in {list, tuple}:
        arguments = get_args(hint)
        if get_origin(hint) is list or arguments[-1] is Ellipsis:
            return {"type": "array", "items": _type(arguments[0], defs)}
        items = [_type(each, defs) for each in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if get_origin(hint) is Mapping:
        return {"type": "object", "additionalProperties": _type(get_args(hint)[1], defs)}
    if inspect.isclass(hint) and issubclass(hint, Enum):
        defs[hint.__name__] = {"enum": [each.value for each in hint]}
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if inspect.isclass(hint) and is_dataclass(hint):
        if hint.__name__ not in defs:
            defs[hint.__name__] = {}  # a run's seeds are runs
            defs[hint.__name__] = _object(hint, defs)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint is float:
        return {"$ref": "#/$defs/number"}
    return {"type": {str: "string", int: "integer", bool: "boolean", type(None): "null"}[hint]}


def _attributes(kind: type) -> dict[str, str]:
    """What the docstring says about each field."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    rows = re.findall(r"^    ([\w, ]+): (.+(?:\n     +.+)*)", text, re.MULTILINE)
    found = {name: " ".join(said.split()).replace("None", "null") for names, said in rows for name in names.split(", ")}
    return {item.name: found.get(item.name, "") for item in fields(kind)}


def page(schema: Mapping[str, Any]) -> str:
    """The schema as Markdown: one table an object."""
    parts = [INTRODUCTION, _table("The document", schema)]
    parts += [_table(name, part) for name, part in schema["$defs"].items() if "properties" in part]
    return "\n".join(parts)


def _table(name: str, part: Mapping[str, Any]) -> str:
    rows = [
        f"| `{key}` | {_word(value)}{'' if key in part['required'] else ', optional'} | {_cell(value)} |"
        for key, value in part["properties"].items()
    ]
    head = ["", f"## {name}", "", part["description"], "", "| key | type | meaning |", "|---|---|---|"]
    return "\n".join([*head, *rows])


def _cell(value: Mapping[str, Any]) -> str:
    return str(value.get("description", "")).replace("|", "\\|")


def _word(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return name if name in {"number", "Verdict"} else f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(map(_word, value["anyOf"]))
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if value.get("type") == "array":
        return f"list of {_word(value['items'])}" if "items" in value else "list"
    found = value.get("type", "")
    return " or ".join(found) if isinstance(found, list) else str(found)


INTRODUCTION = f"""# The JSON of a report

`--gradcheck-report report.json` and `python -m pytest_gradcheck check ... --json report.json` write one document. The
HTML page is made of it alone: `python -m pytest_gradcheck render report.json`.

- The schema is a file in the package, `pytest_gradcheck/render/report.schema.json` (JSON Schema 2020-12).
- `format` is "{FORMAT}" and `version` is {SESSION_VERSION}. A version is raised only when a key changes its meaning or
  goes away; every report inside carries a version of its own.
- Keys and kinds of entries may be added at any time: readers skip what they do not know, and so does this one.
- A `number` is a JSON number or one of the words "nan", "inf" and "-inf", which JSON lacks. Verdicts are, from the best
  to the worst, "GOOD", "INCONCLUSIVE", "SUSPICIOUS" and "WRONG".

This page is written by `python -m tests.render.schema` from the classes in `pytest_gradcheck/model/`."""


def texts() -> dict[Path, str]:
    """What both files should hold."""
    schema = build()
    return {SCHEMA: json.dumps(schema, indent=1) + "\n", PAGE: page(schema) + "\n"}


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text)
