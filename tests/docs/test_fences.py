"""No page shows code, output or configuration that nothing runs or reads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.docs.fences import DOCUMENTS, HELD, fences, unheld
from tests.docs.snippets import ROOT

EVERY_PAGE = pytest.mark.parametrize("page", DOCUMENTS, ids=[str(page.relative_to(ROOT)) for page in DOCUMENTS])


@EVERY_PAGE
def test_every_block_is_run_or_compared(page: Path) -> None:
    assert unheld(page, page.read_text(encoding="utf-8")) == [], "give it a command, or a test and its name in HELD"


@EVERY_PAGE
def test_every_fence_is_closed(page: Path) -> None:
    """One that is not would turn the rest of the page inside out, and hide what follows from these tests."""
    document = page.read_text(encoding="utf-8")
    marks = sum(line.lstrip().startswith("```") for line in document.splitlines())
    assert marks == 2 * len(list(fences(document)))


def test_what_other_tests_hold_is_there_in_that_number() -> None:
    for (name, language), (number, _) in HELD.items():
        found = Counter(fence.language for fence in fences((ROOT / name).read_text(encoding="utf-8")))
        assert found[language] == number, (name, language)


@pytest.mark.parametrize(
    ("page", "document", "lost"),
    [
        ("docs/how-to.md", "```python\n1\n```\n", ["1: python"]),
        ("docs/how-to.md", "<!-- file: a.py -->\n```python\n1\n```\n", []),
        ("docs/how-to.md", "<!-- file: a.py -->\n```python\n1\n```\n\n```text\n1\n```\n", ["6: text"]),
        ("docs/how-to.md", "- a\n  ```\n  pip\n  ```\n", ["2: "]),
        ("docs/checks/vjp.md", "```python\n1\n```\n\n```text\n1\n```\n\n```python\n2\n```\n", ["9: python"]),
        (
            "docs/rules/GRD201.md",
            "## Example\n\n```python\n1\n```\n\n## References\n\n```python\n1\n```\n",
            ["9: python"],
        ),
        ("docs/gradlint.md", "```json\n```\n\n```json\n```\n", ["4: json"]),
        ("CONTRIBUTING.md", "```bash\nmake\n```\n", ["1: bash"]),
    ],
)
def test_a_block_that_nobody_runs_is_named(page: str, document: str, lost: list[str]) -> None:
    assert unheld(ROOT / page, document) == lost
