"""SARIF 2.1.0 (OASIS Standard), which code scanning services read: the violations, their rules' pages, their fixes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from gradlint import __version__
from gradlint.documents import NOTEBOOK
from gradlint.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import Fix, Range, Violation
    from gradlint.output.page import Page
    from gradlint.rule import Rule

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE: Final = "%SRCROOT%"
_LEVELS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note", Level.PEDANTIC: "note"}


def render(page: Page) -> str:
    """One log of one run; its rules are those of the violations."""
    codes = sorted({violation.code for violation in page.violations})
    run = {
        "tool": {"driver": {"name": "gradlint", "version": __version__, "rules": _rules(codes)}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_BASE: {"description": {"text": "The root of the repository."}}},
        "results": [_result(violation, codes.index(violation.code), page) for violation in page.violations],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rules(codes: Iterable[str]) -> list[dict[str, Any]]:
    from gradlint.loader import load
    from gradlint.selection import EVERY

    return [_described(rule) for rule in load(sorted((i for i in EVERY if i.code in codes), key=lambda i: i.code))]


def _described(rule: Rule) -> dict[str, Any]:
    info, page = rule.info, rule.page
    text = "\n\n".join([page.summary, *(f"{title}\n{said}" for title, said in page.sections.items())])
    markdown = "\n\n".join([page.summary, *(f"## {title}\n\n{said}" for title, said in page.sections.items())])
    return {
        "id": info.code,
        "name": info.name,
        "shortDescription": {"text": page.summary},
        "fullDescription": {"text": page.sections.get("What it does", page.summary)},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"enabled": info.default, "level": _LEVELS[info.level]},
        "properties": {"tags": ["pytorch", info.level.value]},
    }


def _result(violation: Violation, index: int, page: Page) -> dict[str, Any]:
    related = [
        {"id": number, "message": {"text": each.message}, **_location(each.path, each.range, page)}
        for number, each in enumerate(violation.related, 1)
    ]
    fixable = violation.fix is not None and not violation.path.endswith(NOTEBOOK)
    return {
        "ruleId": violation.code,
        "ruleIndex": index,
        "level": _LEVELS[violation.level],
        "message": {"text": violation.message},
        "locations": [_location(violation.path, violation.range, page)],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"gradlint/v1": violation.fingerprint},
        **({"fixes": [_fix(violation.fix, violation.path, page)]} if fixable and violation.fix else {}),
        "properties": {"level": violation.level.value},
    }


def _location(path: str, where: Range, page: Page) -> dict[str, Any]:
    physical = {"artifactLocation": _artifact(path, page), "region": _region(page.in_file(path, where))}
    found = page.cell_line(path, where.start.line)
    logical = [{"name": f"cell {found.cell}", "kind": "cell"}] if found else []
    return {"physicalLocation": physical, **({"logicalLocations": logical} if logical else {})}


def _artifact(path: str, page: Page) -> dict[str, str]:
    return {"uri": quote(page.in_repository(path), errors="replace"), "uriBaseId": _BASE}


def _region(where: Range) -> dict[str, int]:
    (line, column), (end_line, end_column) = where
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix, path: str, page: Page) -> dict[str, Any]:
    replacements = [
        {"deletedRegion": _region(edit.range), "insertedContent": {"text": edit.content}} for edit in fix.edits
    ]
    return {
        "description": {"text": f"The {fix.safety.value} fix of gradlint."},
        "artifactChanges": [{"artifactLocation": _artifact(path, page), "replacements": replacements}],
        "properties": {"safety": fix.safety.value},
    }
