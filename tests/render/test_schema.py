"""The JSON Schema of a report says what is really written, and its page is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck.model.session import KINDS, SessionReport
from pytest_gradcheck.render.document import to_json
from tests.render.samples import session
from tests.render.schema import SCHEMA, texts

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(report: SessionReport) -> Any:
    return json.loads(to_json(report))


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: path.name)
def test_the_files_are_up_to_date(path: Path) -> None:
    assert path.read_text() == texts()[path], "write it with: python -m tests.render.schema"


def test_every_kind_of_report_is_valid(validator: Any) -> None:
    data = written(session())
    assert {entry["kind"] for entry in data["entries"]} == {*KINDS, "none"}
    assert not list(validator.iter_errors(data))


def test_keys_of_tomorrow_are_valid(validator: Any) -> None:
    data = written(session()) | {"new": 1}
    data["entries"][0]["report"]["tensors"][0]["new"] = 1
    data["entries"].append({"id": "a", "kind": "new", "outcome": "passed", "report": {"anything": []}})
    assert not list(validator.iter_errors(data))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["version"], 2),
        (["entries", 0, "outcome"], "fine"),
        (["entries", 0, "report"], None),
        (["entries", 0, "report", "verdict"], "GREAT"),
        (["entries", 0, "report", "tensors", 0, "relative_error"], "NaN"),
        (["entries", 0, "report", "tensors", 0, "shape"], [1.5]),
        (["entries", 0, "report", "tensors", 0, "elements", "bars"], None),
        (["entries", 0, "report", "settings", "bands"], [1e-5]),
        (["entries", -5, "report", "loss"], [None]),
        (["entries", -5, "report", "failure", "remedies", 0, "finite"], "yes"),
        (["entries", -5, "report", "health", "samples", 0, "layers", 0, "module"], None),
    ],
)
def test_this_test_can_fail(validator: Any, path: list[str | int], value: object) -> None:
    data = written(session())
    place = data
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = value
    assert list(validator.iter_errors(data))


def test_the_schema_is_shipped_and_explained() -> None:
    schema = json.loads(SCHEMA.read_text())
    for name, part in {"document": schema, **schema["$defs"]}.items():
        for key, value in part.get("properties", {}).items():
            assert value.get("description") or {"const", "$ref", "type"} & set(value), f"{name}.{key} says nothing"
