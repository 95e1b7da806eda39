"""JUnit's XML, which most CI systems read as a list of tests: a suite a file, a failed test a violation."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from gradlint.output.terminal import plain

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.output.page import Page

_NOT_XML: Final = re.compile("[\ufffe\uffff]")


def render(page: Page) -> str:
    """One document; a run without violations is one test that passed."""
    count = str(len(page.violations))
    root = ET.Element("testsuites", name="gradlint", tests=count, failures=count, errors="0")
    for path, group in groupby(page.violations, key=lambda violation: violation.path):
        violations = list(group)
        number = str(len(violations))
        suite = ET.SubElement(
            root, "testsuite", name=_text(path), tests=number, failures=number, errors="0", skipped="0"
        )
        for violation in violations:
            _add(violation, suite, page)
    if not page.violations:
        root.set("tests", "1")
        suite = ET.SubElement(root, "testsuite", name="gradlint", tests="1", failures="0", errors="0", skipped="0")
        ET.SubElement(suite, "testcase", name="no problems", classname="gradlint")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}'


def _add(violation: Violation, suite: ET.Element, page: Page) -> None:
    place = page.place(violation.path, violation.range.start)
    start = page.in_file(violation.path, violation.range).start
    case = ET.SubElement(
        suite,
        "testcase",
        name=f"{violation.code} {violation.name} at {_text(place.removeprefix(f'{plain(violation.path)}:'))}",
        classname=_text(violation.path),
        file=_text(page.in_repository(violation.path)),
        line=str(start.line),
    )
    failure = ET.SubElement(case, "failure", message=_text(violation.message), type=violation.level.value)
    failure.text = _text(f"{place}: {violation.code} {violation.message}")


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", plain(text))
