"""Every command and option that a page names is there, and every option that is there has its place on a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradlint.arguments import lint_parser

from pytest_gradcheck.cli.main import parser as check_parser
from tests.docs import reference
from tests.docs.commands import every_command, names_of, of_modules, ours, problem, pytest_options, spans
from tests.docs.fences import DOCUMENTS
from tests.docs.snippets import README, ROOT

LINT_PAGE, REPORT_PAGE = ROOT / "docs" / "gradlint.md", ROOT / "docs" / "report.md"
HELP = {"-h", "--help"}


@pytest.mark.parametrize("page", DOCUMENTS, ids=[str(page.relative_to(ROOT)) for page in DOCUMENTS])
def test_every_command_and_option_that_is_named_exists(page: Path, pytestconfig: pytest.Config) -> None:
    document = page.read_text(encoding="utf-8")
    known = names_of(lint_parser()) if page == LINT_PAGE else pytest_options(pytestconfig) | ours()
    known |= of_modules(document)
    found = [problem(span, pytestconfig, known) for span in every_command(document)]
    assert [each for each in found if each] == []


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("--gradcheck-epsilon", "there is no option --gradcheck-epsilon"),
        ("--gradcheck / --no-gradcheck", None),
        ("--no-gradcheck-eps", "there is no option --no-gradcheck-eps"),
        ("pytest --gradcheck --gradcheck-reports a.html", "there is no option --gradcheck-reports"),
        ("torchrun --nproc-per-node 2 -m pytest --gradchek", "there is no option --gradchek"),
        ("gradlint --output-format sariff .", "invalid choice"),
        ("gradlint --excludes a", "unknown option --excludes"),
        ("gradlint explain", "the following arguments are required"),
        ("gradlint rules --json", "unknown option --json"),
        ("python -m pytest_gradcheck check a:B --inputs 3", "unrecognized arguments"),
        ("python -m pytest_gradcheck train ... --steps ten", "invalid int value"),
        ("python -m pytest_gradcheck fit", "no command fit"),
        ("python -m tests.docs.snippet", "there is no module tests.docs.snippet"),
        (".venv/bin/python -m tests.docs.snippets --all", "there is no option --all"),
        ("-m tests.docs.rule_page", "there is no module"),
        ("pip install 'pytest-gradcheck[reports]'", "pytest-gradcheck[reports]"),
        ("bash .ci/runs", ".ci/runs is not there"),
        ("ruff check . && bash .ci/runs", ".ci/runs is not there"),
        ("x - y", None),
        ("it's", None),
    ],
)
def test_a_command_that_does_not_exist_is_named(span: str, said: str | None, pytestconfig: pytest.Config) -> None:
    found = problem(span, pytestconfig, pytest_options(pytestconfig) | ours())
    assert (said in found) if said and found else found is said


def test_prose_is_read_over_the_ends_of_lines() -> None:
    assert spans("a `gradlint explain\nGRD201`\n\n```text\n`--no`\n```\n`b`") == ["gradlint explain GRD201", "b"]


def test_every_option_of_pytest_is_in_the_reference(pytestconfig: pytest.Config) -> None:
    named = set(spans(reference.PAGE.read_text(encoding="utf-8")))
    options = pytest_options(pytestconfig, "gradcheck")
    assert "--smoke-remedies" in options
    assert options - {name.split(" ")[0] for name in named} == set()


def test_every_option_of_pytest_is_in_the_readme(pytestconfig: pytest.Config) -> None:
    named = {word for span in spans(README.read_text(encoding="utf-8")) for word in span.split()}
    switches = {"--no-gradcheck-strict", "--no-fashion-mnist-download"}  # the reference has them
    assert pytest_options(pytestconfig, "gradcheck") - named == switches


def test_every_option_of_gradlint_is_on_its_page() -> None:
    named = {word for span in spans(LINT_PAGE.read_text(encoding="utf-8")) for word in span.split()}
    assert names_of(lint_parser()) - HELP - named == set()


def test_every_option_of_the_command_line_is_on_its_page() -> None:
    named = {word for span in spans(REPORT_PAGE.read_text(encoding="utf-8")) for word in span.split()}
    assert names_of(check_parser()) - HELP - named == set()
