"""On GitHub Actions: annotations at the wrong backward, and the job's summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gradcheck.github import annotation
from pytest_gradcheck.properties import Said
from tests.plugin.conftest import Suite

MIXED = """
def test_right(gradcheck): gradcheck(torch.sin, torch.randn(2))
def test_wrong(gradcheck): gradcheck(Doubled, torch.randn(2))
def test_expected(gradcheck):
    with pytest.raises(GradientMismatch): gradcheck(Doubled, torch.randn(2))
"""


@pytest.fixture
def on_github(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Path:
    """A step of GitHub Actions; the file of its summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    return pytester.path / "summary.md"


def test_the_wrong_backward_is_annotated_and_only_that(suite: Suite, on_github: Path) -> None:
    result = suite(MIXED)
    (line,) = [line for line in result.outlines if line.startswith("::")]
    assert line.startswith("::error file=layers.py,line=")
    assert "title=gradients of Doubled are WRONG%3A 1 of 1 tensor differs from finite differences::" in line
    number = int(line.partition("line=")[2].partition(",")[0])
    code = Path("layers.py").read_text().splitlines()[number - 1 : number + 1]
    assert "def backward" in "".join(code), "its line, or that of its decorator"
    assert "%0A" in line and "\n" not in line


def test_the_summary_counts_all_and_shows_what_failed(suite: Suite, on_github: Path) -> None:
    on_github.write_text("what an earlier step wrote\n")
    suite(MIXED)
    text = on_github.read_text()
    assert text.startswith("what an earlier step wrote\n## Gradient checks and smoke runs\n")
    assert "| gradcheck | GOOD | 1 |\n| gradcheck | WRONG | 2 |" in text
    assert text.count("<details>") == 1
    assert "<details><summary>test_it.py::test_wrong: WRONG</summary>" in text
    assert "rerun: pytest test_it.py::test_wrong" in text


def test_workers_of_xdist_report_to_the_controller(suite: Suite, on_github: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    result = suite(MIXED, "-n2")
    assert sum(line.startswith("::error file=layers.py,line=") for line in result.outlines) == 1
    assert on_github.read_text().count("<details>") == 1


def test_elsewhere_nothing_is_written(suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    assert not any(line.startswith("::") for line in suite(MIXED).outlines)
    assert not (pytester.path / "summary.md").exists()


def test_an_unwritable_summary_is_said_and_breaks_nothing(
    suite: Suite, on_github: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = suite(MIXED)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"gradcheck: the job summary {tmp_path} cannot be written: *"])


def test_an_annotation_cannot_be_broken_by_what_it_says() -> None:
    said = Said("gradcheck", "WRONG", 0.1, "", "a: 100%, b\n::error::planted")
    assert annotation(("a,b:c.py", 3), said) == (
        "::error file=a%2Cb%3Ac.py,line=3,title=a%3A 100%25%2C b::a: 100%25, b%0A::error::planted"
    )
