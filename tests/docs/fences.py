"""Every fenced block of every page, and who holds it true: a block that nobody runs or reads has no place here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.check_pages import EXAMPLE
from tests.docs.check_pages import PAGES as CHECKS
from tests.docs.reference import PAGE as REFERENCE
from tests.docs.rule_pages import FOLDER as RULES
from tests.docs.snippets import PAGES, ROOT, blocks

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)(?P=marks)$",
    re.MULTILINE | re.DOTALL,
)
#: Blocks that are held by other tests, by page and language: their number there, and the test.
HELD = {
    ("README.md", "bash"): (2, ".ci/run runs both"),
    ("docs/acceptance.md", "text"): (1, "test_commands reads the command"),
    ("docs/gradlint.md", "toml"): (1, "test_configuration reads it"),
    ("docs/gradlint.md", "yaml"): (3, "test_configuration reads them"),
    ("docs/gradlint.md", "json"): (1, "test_configuration reads it, tests/lint/cli/test_integrations matches with it"),
}
#: Pages that are compared with the code as a whole.
MADE = (REFERENCE,)


@dataclass(frozen=True)
class Fence:
    """One fenced block: its language, its text and where that begins, its line, the heading of its section."""

    language: str
    text: str
    start: int
    line: int
    heading: str


def fences(document: str) -> Iterator[Fence]:
    """Every fenced block in order."""
    for found in _FENCE.finditer(document):
        headings = re.findall(r"^##+ (.+)$", document[: found.start()], re.MULTILINE)
        line = document.count("\n", 0, found.start()) + 1
        yield Fence(
            found["language"].strip(), found["text"], found.start("text"), line, headings[-1] if headings else ""
        )


def prose(document: str) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", document)


def unheld(page: Path, document: str) -> list[str]:
    """The blocks of a page that no test runs or compares, as `line: language`."""
    name = page.relative_to(ROOT).as_posix()
    held = _run(page, document)
    counts: dict[str, int] = {}
    lost = []
    for fence in fences(document):
        counts[fence.language] = counts.get(fence.language, 0) + 1
        allowed = HELD.get((name, fence.language), (0, ""))[0]
        if fence.start not in held and not _is_rule_example(page, fence) and counts[fence.language] > allowed:
            lost.append(f"{fence.line}: {fence.language}")
    return lost


def _run(page: Path, document: str) -> set[int]:
    """Where the texts begin that `test_pages` and `test_check_pages` run or compare."""
    if page in MADE:
        return {fence.start for fence in fences(document)}
    if page.parent == CHECKS:
        return {found.start(group) for found in EXAMPLE.finditer(document) for group in ("code", "printed")}
    return {block.span[0] for block in blocks(document)} if page in PAGES else set()


def _is_rule_example(page: Path, fence: Fence) -> bool:
    """`test_rules` reports the one and not the other."""
    return page.parent == RULES and fence.heading in ("Example", "Use instead")
