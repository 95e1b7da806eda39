"""Markdown: which blocks are code, which are for torch, where problems are, and what a fix leaves as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lint.cli.conftest import Cli, Write

TYPO = "import torch\nw = torch.zeros(3)\nw.require_grad = True\n"


def fenced(code: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{code}{mark}\n"


def places(cli: Cli, *arguments: str) -> list[str]:
    found = cli(*(arguments or (".",)), "--output-format", "concise")
    return [line.split(":")[1] + " " + line.split()[1] for line in found.out.splitlines()[:-1]]


def test_blocks_are_one_module_and_places_are_those_of_the_file(cli: Cli, write: Write) -> None:
    write(
        "a.md",
        "# w.require_grad\n\n"
        + fenced("import torch\nw = torch.zeros(3)\n")
        + "Then\n"
        + fenced("w.require_grad = 1\n"),
    )
    assert cli("a.md").out.startswith(
        "a.md:9:3: GRD703 require-grad-typo [*]: `require_grad` is a new attribute without effect; "
        "the name is `requires_grad`\n9 | w.require_grad = 1\n  |   ^^^^^^^^^^^^\n"
    )
    (element,) = json.loads(cli("a.md", "--output-format", "json").out)
    assert (element["line"], element["column"], "cell" in element) == (9, 3, False)


@pytest.mark.parametrize(
    "info",
    [
        *("python", "py", "Python3", " python ", "{.python}", "{ .python .annotate }", 'python title="a.py"'),
        *("python {3}", "{python}", "ipython3", "{.python .input  n=1}", "{code-cell}", "{code-cell} ipython3"),
    ],
)
@pytest.mark.parametrize("mark", ["```", "~~~~"])
def test_what_is_python(cli: Cli, write: Write, info: str, mark: str) -> None:
    write("a.md", fenced(TYPO, info, mark))
    assert places(cli) == ["4 GRD703"]


@pytest.mark.parametrize(
    "text",
    [
        fenced(TYPO, ""),
        fenced(TYPO, "pycon"),
        fenced(TYPO, "python-repl"),
        fenced(TYPO, "pytb"),
        fenced(TYPO, "{code-cell} r"),
        fenced(fenced(TYPO), "markdown", "````"),
        "<!--\n" + fenced(TYPO) + "-->\n",
        "<!-- gradlint: skip -->\n\n" + fenced(TYPO),
        "text ``` python\n" + TYPO,
        TYPO,
        fenced(">>> " + TYPO.replace("\n", "\n>>> ")),
        fenced(TYPO + "net = nn.Sequential(nn.Linear(2, 2), ..., Adam(\n"),
    ],
    ids=[
        "none",
        "pycon",
        "repl",
        "traceback",
        "r",
        "nested",
        "comment",
        "skip",
        "inline",
        "prose",
        "prompt",
        "abridged",
    ],
)
def test_what_is_no_python_is_prose(cli: Cli, write: Write, text: str) -> None:
    write("a.md", text)
    assert places(cli) == []


def test_only_the_next_block_is_skipped(cli: Cli, write: Write) -> None:
    write("a.md", "<!-- gradlint: skip -->\n" + fenced(TYPO) + fenced(TYPO))
    assert places(cli) == ["10 GRD703"]


def test_a_bracket_of_one_block_does_not_reach_into_the_next(cli: Cli, write: Write) -> None:
    write("a.md", fenced("x = (\n") + fenced(TYPO) + fenced("s = '''\n"))
    assert places(cli) == ["7 GRD703"]


def test_a_block_that_the_document_runs_must_be_python(cli: Cli, write: Write) -> None:
    write("a.md", fenced("x = 1\n") + fenced("y = 1\ny = (\n", "{.python .input}") + fenced(TYPO))
    assert [place.split()[1] for place in places(cli)] == ["GRD001"]
    assert cli(".", "--output-format", "concise").out.startswith("a.md:6:")


TABS = ("tensorflow", "mxnet", "jax", "paddle")


def test_only_the_tabs_for_torch_are_read(cli: Cli, write: Write) -> None:
    other = "import torch\nw = torch.zeros(1)\nw.require_grad = (\n"
    blocks = [fenced(other, "{.python .input}")]  # without a tag: for the first framework
    blocks += [fenced(f"#@tab {name}\n{other}", "{.python .input}") for name in TABS]
    blocks += [
        fenced(f"#@tab {names}\n{TYPO}", "{.python .input  n=3}") for names in ("pytorch", "mxnet, pytorch", "all")
    ]
    write("a.md", "".join(blocks))
    assert places(cli) == ["34 GRD703", "40 GRD703", "46 GRD703"]
    write("a.md", "".join(blocks[:-3]))
    assert places(cli) == []


def test_the_tabs_of_the_newer_edition(cli: Cli, write: Write) -> None:
    blocks = ["%load_ext d2lbook.tab\ntab.interact_select('mxnet', 'pytorch')\nimport torch\n"]
    blocks += [f"%%tab {name}\nw.require_grad = (\n" for name in TABS]
    blocks += [
        f"%%tab {names}\nw = torch.zeros(1)\nw.require_grad = 1\n" for names in ("pytorch", "jax, pytorch", "all")
    ]
    write("a.md", "".join(fenced(block, "{.python .input}") for block in blocks))
    assert places(cli) == ["25 GRD703", "30 GRD703", "35 GRD703"]


def test_branches_for_other_frameworks_are_passed_over(cli: Cli, write: Write) -> None:
    code = "%%tab all\nimport torch\nw = torch.zeros(1)\n"
    for names in ("'mxnet'", "'mxnet', 'jax'", "'pytorch'", "'jax', 'pytorch'"):
        code += f"if tab.selected({names}):\n    w.require_grad = 1\n    w.require_grad = 2\n"
    write("a.md", fenced(code, "{.python .input}"))
    assert places(cli) == ["12 GRD703", "13 GRD703", "15 GRD703", "16 GRD703"]


def test_magics_and_options_of_cells_are_passed_over(cli: Cli, write: Write) -> None:
    write(
        "a.md",
        fenced("!pip install torch\n" + TYPO) + fenced(":tags: [a b]\n:x: 1\n\nw.require_grad = 2\n", "{code-cell}"),
    )
    write("b.md", fenced("---\ntags: [x]\n---\n" + TYPO, "{code-cell} ipython3"))
    assert places(cli) == ["5 GRD703", "11 GRD703", "7 GRD703"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.removesuffix("```\n"),
        lambda text: "1. item\n\n" + "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    ],
    ids=["plain", "bom", "crlf", "unclosed", "list", "tab"],
)
def test_a_fix_keeps_every_other_byte(cli: Cli, write: Write, change: object) -> None:
    assert callable(change)
    net = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(1, 1)\n"
    text = (
        "# \u00e9 require_grad\n\n"
        + fenced(net)
        + "x.require_grad = 1\n"
        + fenced(TYPO + "# gradlint: ignore[GRD604]\n")
    )
    path = write("a.md", change(text).encode())
    assert cli("a.md", "--fix", "--select", "GRD003,GRD604,GRD703").status == 0
    fixed = text.replace("w.require_grad", "w.requires_grad").replace("# gradlint: ignore[GRD604]\n", "")
    fixed = fixed.replace("        self.fc", "        super().__init__()\n        self.fc")
    assert path.read_bytes() == change(fixed).encode()


def test_a_fix_does_not_reach_out_of_the_code(cli: Cli, write: Write) -> None:
    text = fenced("%%time\n" + TYPO, "{.python .input}") + "end"
    write("a.md", text)
    assert cli("a.md", "--fix").status == 0
    assert Path("a.md").read_text(encoding="utf-8") == text.replace("require_grad", "requires_grad")


def test_a_file_without_python_need_not_be_utf_8(cli: Cli, write: Write) -> None:
    write("a.md", "caf\u00e9\n```sh\nls\n```\n".encode("latin-1"))
    write("b.md", ("caf\u00e9\n" + fenced(TYPO)).encode("latin-1"))
    out = cli(".", "--output-format", "concise").out
    assert out.startswith("b.md:1:1: GRD001 cannot be decoded: ")
    assert out.count("GRD001") == 1


def test_a_heading_about_coding_is_no_encoding(cli: Cli, write: Write) -> None:
    write("a.md", "# Coding: latin-9\n" + fenced(TYPO))
    assert places(cli) == ["5 GRD703"]
    assert cli("a.md", "--diff").status == 1


def test_suppressions_count_in_blocks_only(cli: Cli, write: Write) -> None:
    write(
        "a.md", "# gradlint: skip-file\n" + fenced(TYPO + "w.require_grad = 2  # gradlint: ignore[GRD703] on purpose\n")
    )
    assert places(cli) == ["5 GRD703"]


def test_standard_input_is_markdown_where_its_name_says_so(cli: Cli) -> None:
    found = cli("-", "--stdin-filename", "a.md", "--output-format", "concise", stdin=fenced(TYPO).encode())
    assert found.out.startswith("a.md:4:3: GRD703")
