"""Suppression comments: where they count, what they cover, and when one is unused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lint.cli.code import LENET
from tests.lint.cli.conftest import Cli, Write

HEAD = "import torch\n\nw = torch.zeros(3)\n"


def codes(cli: Cli, *options: str) -> list[str]:
    return [each["code"] for each in json.loads(cli(".", "--output-format", "json", *options).out)]


@pytest.mark.parametrize(
    "line",
    [
        "w.require_grad = True  # gradlint: ignore[GRD703]",
        "w.require_grad = True  # gradlint: ignore[GRD101, GRD703] the reason",
        "w.require_grad = True  # gradlint:ignore[require-grad-typo]",
        "w.require_grad = True  # gradlint: ignore[GRD7]",
        "w.require_grad = True  # gradlint: ignore",
        "w.require_grad = True  # gradlint: ignore because",
        "w.require_grad = True  # type: ignore  # gradlint: ignore[GRD703]",
        "w.require_grad = True  # noqa: GRD703",
        "w.require_grad = True  # NOQA:E501,GRD703",
        "w.require_grad = True  # noqa",
        "w.require_grad = max(  # gradlint: ignore[GRD703]\n    1,\n    2,\n)",
        "w.require_grad = max(\n    1,\n    2,\n)  # gradlint: ignore[GRD703]",
        "w.require_grad = max(\n    1,\n    2,\n)  # gradlint: ignore",
        "# gradlint: skip-file\nw.require_grad = True",
        "w.require_grad = True\n# gradlint: skip-file",
    ],
)
def test_suppressed(cli: Cli, write: Write, line: str) -> None:
    write("a.py", f"{HEAD}{line}\n")
    assert codes(cli, "--select", "GRD703,GRD003") == []


@pytest.mark.parametrize(
    "line",
    [
        "w.require_grad = True  # gradlint: ignore[GRD101]",
        "w.require_grad = True  # gradlint: ignore[",
        "w.require_grad = True  # gradlint: ignored",
        "w.require_grad = True  # noqa: F401",
        "w.require_grad = True; s = '# gradlint: ignore'",
        "w.require_grad = '''\n# gradlint: skip-file\n'''",
        "w.require_grad = r'\\'  # '  # gradlint: ignores",
        "w.require_grad = max(\n    1,  # gradlint: ignore[GRD703]\n    2,\n)",
        "# gradlint: ignore[GRD703]\nw.require_grad = True",
    ],
)
def test_not_suppressed(cli: Cli, write: Write, line: str) -> None:
    write("a.py", f"{HEAD}{line}\n")
    assert codes(cli, "--select", "GRD703") == ["GRD703"]


def test_a_comment_on_the_reported_line_counts_within_a_long_statement(cli: Cli, write: Write) -> None:
    text = (
        "from torch import nn\nnet = nn.Sequential(\n    *(16 * [\n        nn.Sigmoid(),  # gradlint: ignore[GRD201]\n"
    )
    write("a.py", text + "        nn.Linear(64, 64)]),\n)\n")
    assert codes(cli, "--select", "GRD201") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1  # gradlint: ignore[GRD703]", "x = 1"),
        ("x = 1  # gradlint: ignore[GRD703] for a reason, #12", "x = 1"),
        ("x = 1  # gradlint: ignore", "x = 1"),
        ("x = 1  # gradlint: ignore[GRD703]  # type: int", "x = 1  # type: int"),
        ("x = 1  # type: int  # gradlint: ignore[GRD703]", "x = 1  # type: int"),
        ("x = 1  # noqa: GRD703", "x = 1"),
        ("x = 1  # noqa: E501, GRD703", "x = 1  # noqa: E501"),
        (
            "w.require_grads = 1; x = 1  # gradlint: ignore[GRD703, GRD204]",
            "w.require_grads = 1; x = 1  # gradlint: ignore[GRD204]",
        ),
        ("if w:\n    pass\n    # gradlint: ignore[GRD703]", "if w:\n    pass"),
    ],
)
def test_an_unused_one_is_reported_and_its_fix_removes_just_it(cli: Cli, write: Write, before: str, after: str) -> None:
    write("a.py", f"{HEAD}{before}\nlast = 2\n")
    assert codes(cli) == ["GRD003"]
    assert cli("a.py", "--fix").status == 0
    assert Path("a.py").read_text(encoding="utf-8") == f"{HEAD}{after}\nlast = 2\n"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("x = 1  # gradlint: ignore[GRD703]", ("--select", "GRD201,GRD003")),
        ("x = 1  # gradlint: ignore[GRD703]", ("--select", "GRD703")),
        ("x = 1  # gradlint: ignore[GRD703]", ("--ignore", "GRD703")),
        ("x = 1  # gradlint: ignore[GRD703]", ("--ignore", "GRD003")),
        ("x = 1  # gradlint: ignore[GRD7]", ("--ignore", "GRD703")),
        ("x = 1  # gradlint: ignore", ("--ignore", "GRD703")),
        ("x = 1  # gradlint: ignore[GRD999]", ()),
        ("x = 1  # gradlint: ignore[GRD703, GRD003]", ()),
        ("x = 1  # noqa", ()),
        ("x = 1  # noqa: E501", ()),
    ],
)
def test_only_codes_of_this_run_can_be_unused(cli: Cli, write: Write, line: str, options: tuple[str, ...]) -> None:
    write("a.py", f"{HEAD}{line}\n")
    assert codes(cli, *options) == []


def test_one_that_hides_an_info_is_used(cli: Cli, write: Write) -> None:
    write("a.py", LENET.replace("nn.Sequential(", "nn.Sequential(  # gradlint: ignore[GRD201]"))
    assert codes(cli, "--ignore", "GRD105") == []
    assert codes(cli, "--select", "GRD201") == []


def test_the_linters_own_cannot_be_suppressed(cli: Cli, write: Write) -> None:
    write("a.py", "x = = 1  # gradlint: ignore\n")
    assert codes(cli) == ["GRD001"]


def test_one_alone_on_its_line_goes_with_the_line_whatever_the_newlines(cli: Cli, write: Write) -> None:
    path = write("a.py", b"import torch\r\n    # gradlint: ignore[GRD703]\r\nx = 1")
    assert cli("a.py", "--fix").status == 0
    assert path.read_bytes() == b"import torch\r\nx = 1"
