"""What a test's report says of its checks: in junit files, in the list of the slowest, and to other plugins."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.plugin.conftest import Suite

TWO = """
def test_two(gradcheck):
    gradcheck(torch.sin, torch.randn(2))
    gradcheck(Doubled, torch.randn(2))
"""


def test_junit_carries_verdict_and_text_of_every_check(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(TWO, "--junitxml=junit.xml", "-o", "junit_family=xunit1")
    case = ET.parse(pytester.path / "junit.xml").find(".//testcase")
    assert case is not None
    found = [(each.get("name"), each.get("value")) for each in case.iter("property")]
    assert [value for name, value in found if name == "gradcheck_verdict"] == ["GOOD", "WRONG"]
    texts = [value for name, value in found if name == "gradcheck_report"]
    assert texts[0] == "gradients of sin are GOOD: 1 tensor checked, no difference found"
    assert texts[1] is not None and "rerun: pytest test_it.py::test_two" in texts[1]
    assert [value for name, value in found if name == "gradcheck_source"][1].startswith("layers.py:")  # type: ignore[union-attr]


def test_junit_carries_smoke_runs_too(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(
        """
def test_run(smoke_train):
    batch = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    smoke_train(nn.Linear(2, 2), [batch], steps=2)
""",
        "--junitxml=junit.xml",
        "-o",
        "junit_family=xunit1",
    )
    text = (pytester.path / "junit.xml").read_text()
    assert '<property name="smoke_train_verdict" value="PASSED"' in text


def test_the_slowest_are_listed(suite: Suite) -> None:
    lines = suite(TWO, "--gradcheck-durations=1").outlines
    at = next(k for k, line in enumerate(lines) if line.startswith("gradcheck: slowest 1 of 2 checks and runs, "))
    assert re.fullmatch(r" +\d+\.\d\d s  (GOOD|WRONG) +test_it.py::test_two", lines[at + 1])
    assert not lines[at + 2].startswith("  ")
    everything = suite(TWO, "--gradcheck-durations=0").outlines
    assert any(line.startswith("gradcheck: slowest 2 of 2 checks") for line in everything)
    assert not any("gradcheck: slowest" in line for line in suite(TWO).outlines)


@pytest.mark.parametrize("spelled", ["-1", "many", "1.5"])
def test_a_bad_number_of_durations_is_named(suite: Suite, spelled: str) -> None:
    result = suite(TWO, f"--gradcheck-durations={spelled}")
    result.stderr.fnmatch_lines(
        [f"ERROR: --gradcheck-durations is '{spelled}', but it must be a whole number, 0 for all"]
    )


CONFTEST = """
from pytest_gradcheck import Finding

def pytest_gradcheck_findings(item, subject, inputs, kwargs, report):
    if len(inputs) == 1 and inputs[0].numel() > 3:
        return [Finding("house rule", {severity!r}, f"{{report.subject}} got {{inputs[0].numel()}} elements")]
"""


@pytest.mark.parametrize(("severity", "failed"), [("error", 1), ("info", 0)])
def test_findings_of_ones_own_join_the_report(
    suite: Suite, pytester: pytest.Pytester, severity: str, failed: int
) -> None:
    pytester.makeconftest(CONFTEST.format(severity=severity))
    result = suite(
        """
def test_few(gradcheck): assert not gradcheck(torch.sin, torch.randn(2)).findings
def test_many(gradcheck):
    report = gradcheck(torch.sin, torch.randn(4))
    assert [f.kind for f in report.findings] == ["house rule"]
"""
    )
    result.assert_outcomes(passed=2 - failed, failed=failed)
    if failed:
        result.stdout.fnmatch_lines(["*sin got 4 elements*"])


def test_a_misspelt_hook_is_an_error(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_gradcheck_finding(item): pass")
    result = suite("def test_it(): pass")
    assert "unknown hook 'pytest_gradcheck_finding'" in result.stderr.str() + result.stdout.str()


def test_pytest_html_shows_the_text(suite: Suite, pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_html", reason="pytest-html is not installed")
    suite(TWO, "--html=page.html", "--self-contained-html")
    assert "gradients of Doubled are WRONG" in Path(pytester.path / "page.html").read_text()
