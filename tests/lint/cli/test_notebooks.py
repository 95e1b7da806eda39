"""Notebooks: which cell and line is reported, what is hidden from the parser, and what a fix leaves as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import code, notebook, prose

IMPORTS, MAKES, TYPO = "import torch\nimport os", "\nw = torch.zeros(3)", "# a\nw.require_grad = True"
CELLS = (prose("# require_grad"), IMPORTS, MAKES, prose("w.require_grad = True\n"), TYPO)
SAID = "`require_grad` is a new attribute without effect; the name is `requires_grad`"


def test_a_problem_is_reported_by_cell_and_line(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook(*CELLS))
    assert cli("a.ipynb", "--output-format", "concise").out == (
        f"a.ipynb:cell 5:2:3: GRD703 [*] {SAID}\nFound 1 problems (1 fixable).\n"
    )
    assert cli("a.ipynb").out == (
        f"a.ipynb:cell 5:2:3: GRD703 require-grad-typo [*]: {SAID}\n"
        "2 | w.require_grad = True\n"
        "  |   ^^^^^^^^^^^^\n"
        "  = safe fix (--fix):\n"
        "  | - w.require_grad = True\n"
        "  | + w.requires_grad = True\n"
        "\n"
        "Found 1 problems (1 fixable).\n"
    )


def test_json_counts_in_the_cell_and_names_it(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook(*CELLS))
    (element,) = json.loads(cli(".", "--output-format", "json").out)
    place = {"line": 2, "column": 3, "end_line": 2, "end_column": 15, "cell": 5}
    assert {key: element[key] for key in place} == place
    assert element["fix"]["edits"] == [{**place, "content": "requires_grad"}]
    assert element["path"] == "a.ipynb"


def test_an_edit_that_takes_the_last_line_of_a_cell_ends_below_it(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook("x = 1\n# gradlint: ignore[GRD703]", "y = 2"))
    (element,) = json.loads(cli(".", "--select", "GRD003,GRD703", "--output-format", "json").out)
    place = {"line": 2, "column": 1, "end_line": 3, "end_column": 1, "cell": 1}
    assert element["fix"]["edits"] == [{**place, "content": ""}]


def test_github_is_told_the_line_of_the_file(cli: Cli, write: Write) -> None:
    path = write("a.ipynb", notebook(*CELLS))
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text == '    "w.require_grad = True"')
    assert f"file=a.ipynb,line={line},col=1,endLine={line},endColumn=1::" in cli(".", "--output-format", "github").out


def test_related_places_in_other_cells_are_named(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook("from torch.nn import init", "def fill(m):\n    init.zeros_(n.bias)\nfill.apply"))
    out = cli("a.ipynb", "--select", "GRD701").out
    assert "a.ipynb:cell 2:2:17: GRD701" in out
    assert "  = a.ipynb:cell 2:1:10: the parameter that stands for the module" in out.replace("\n=", "\n  =")


@pytest.mark.parametrize("indent", [1, 4, None], ids=["jupyter", "four", "one-line"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\\n", "\\r\\n"),
        lambda text: json.dumps(json.loads(text)),
        lambda text: text.replace('"# a', '   "# a').replace(',\n    "w', '  ,\n\n      "w'),
        lambda text: text.replace("# a", "# \u00e9\U0001d54f").replace('= True"', '= True  # \u00e9"'),
        lambda text: text.replace("# a", "# \\u00e9\\ud835\\udd4f\\/"),
    ],
    ids=["plain", "bom", "crlf-file", "no-end", "crlf-cells", "compact", "uneven", "unicode", "escaped"],
)
def test_a_fix_keeps_every_other_byte(cli: Cli, write: Write, indent: int, change: object) -> None:
    assert callable(change)
    data = change(notebook(*CELLS, indent=indent)).encode()
    path = write("a.ipynb", data)
    assert cli("a.ipynb", "--fix").status == 0
    assert path.read_bytes() == re.sub(rb"w\.require_grad = True(?=[^\\])", b"w.requires_grad = True", data)
    assert path.read_bytes() != data
    assert cli("a.ipynb", "--fix").status == 0


def test_a_source_that_is_one_string_stays_one(cli: Cli, write: Write) -> None:
    data = notebook({**code(""), "source": IMPORTS + MAKES + "\n" + TYPO})
    path = write("a.ipynb", data)
    assert "a.ipynb:cell 1:5:3: " in cli("a.ipynb", "--output-format", "concise").out
    assert cli("a.ipynb", "--fix").status == 0
    assert path.read_text(encoding="utf-8") == data.replace(".require_grad = True", ".requires_grad = True")


def test_a_fix_adds_and_removes_lines_of_one_cell(cli: Cli, write: Write) -> None:
    net = "class Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(1, 1)"
    before = notebook("from torch import nn", net, "x = 1  # gradlint: ignore[GRD604]\n# gradlint: ignore[GRD703]\n")
    path = write("a.ipynb", before)
    assert cli("a.ipynb", "--fix", "--select", "GRD604,GRD703,GRD003").status == 0
    after = net.replace("self.fc", "super().__init__()\n        self.fc")
    assert path.read_text(encoding="utf-8") == notebook("from torch import nn", after, "x = 1\n")


def test_diff_is_one_that_patch_reads(cli: Cli, write: Write) -> None:
    path = write("a.ipynb", notebook(*CELLS))
    before = path.read_bytes()
    found = cli("a.ipynb", "--diff")
    assert found.status == 1
    assert '\n-    "w.require_grad = True"\n+    "w.requires_grad = True"\n' in found.out
    assert path.read_bytes() == before


def test_magics_and_other_languages_are_passed_over(cli: Cli, write: Write) -> None:
    write(
        "a.ipynb",
        notebook(
            "%matplotlib inline\n!pip install torch 'it\nimport torch",
            "%%bash\nif [ 1 ]; then\n  w.require_grad\nfi",
            "%%html\n<b>",
            "w = torch.zeros(1)\nif w:\n    !ls {w} \\\n      -l",
            "files = !ls (\nt = %timeit -o f(\nw.shape?\n?torch.nn",
            {**code("w.require_grad = 1;"), "metadata": {"vscode": {"languageId": "javascript"}}},
            "%%time\n%%capture out\nw.require_grad = True",
            "  # indented as a whole\n  w.require_grad = 2\n",
            "await w\nw.require_grad = '''\n%s\n!x\n''' % 1",
        ),
    )
    found = cli("a.ipynb", "--output-format", "concise")
    places = [line.partition(" GRD")[0] for line in found.out.splitlines()[:-1]]
    assert places == ["a.ipynb:cell 7:3:3:", "a.ipynb:cell 8:2:5:", "a.ipynb:cell 9:2:3:"], found.out
    before = Path("a.ipynb").read_text(encoding="utf-8")
    assert cli("a.ipynb", "--fix").status == 0
    after = Path("a.ipynb").read_text(encoding="utf-8")
    assert after == before.replace('"w.require_grad = True', '"w.requires_grad = True').replace(
        '"  w.require_grad = 2', '"  w.requires_grad = 2'
    ).replace("w.require_grad = '''", "w.requires_grad = '''")


@pytest.mark.parametrize("language", ["R", "julia", "sage"])
def test_a_notebook_of_another_kernel_is_silent(cli: Cli, write: Write, language: str) -> None:
    write("a.ipynb", notebook(*CELLS, "x <- (", language=language))
    assert cli("a.ipynb", "--output-format", "json").out == "[]\n"


@pytest.mark.parametrize("language", [None, "python", "ipython", "Python3"])
def test_a_notebook_is_python_where_nothing_else_is_said(cli: Cli, write: Write, language: str | None) -> None:
    write("a.ipynb", notebook(*CELLS, language=language))
    assert len(json.loads(cli("a.ipynb", "--output-format", "json").out)) == 1


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        ("", "1:1", "is empty, not a notebook"),
        ('{\n "cells": [}', "2:12", "is not a notebook: Expecting value"),
        ("[]", "1:1", "is not a notebook: it has no list of cells"),
        ('{"nbformat": 4}', "1:1", "is not a notebook: it has no list of cells"),
        ('{"cells": [1]}', "1:1", "is not a notebook: cell 1 has no source"),
        ('{"cells": [{"cell_type": "code"}]}', "1:1", "is not a notebook: cell 1 has no source"),
        ('{"cells": [{"cell_type": "code", "source": [1]}]}', "1:1", "is not a notebook: cell 1 has no source"),
        (
            '{"nbformat": 3, "worksheets": []}',
            "1:1",
            "is a notebook of format 3, ",
        ),
        ("[" * 100_000, "1:1", "is not a notebook: RecursionError"),
        (b'{"cells": "\xff"}', "1:1", "cannot be decoded"),
    ],
    ids=["empty", "json", "array", "no-cells", "number", "no-source", "source", "v3", "deep", "bytes"],
)
def test_what_is_no_notebook_is_one_problem(
    cli: Cli, write: Write, content: str | bytes, place: str, said: str
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    path = write("a.ipynb", data)
    write("b.ipynb", notebook(*CELLS))
    for option in ("--no-cache", "--fix"):
        found = cli(".", "--output-format", "concise", option)
        assert found.status == 1
        assert found.out.startswith(f"a.ipynb:{place}: GRD001 {said}"), found.out
    assert path.read_bytes() == data


def test_a_broken_cell_is_reported_where_it_is(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook("x = 1\n", prose("a"), "y = (\n", "z = )"))
    out = cli("a.ipynb", "--output-format", "concise").out
    assert out.startswith("a.ipynb:cell 3:1:"), out
    assert out.count("GRD001") == 1


def test_suppressions_and_skipped_files(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook(IMPORTS + MAKES, "w.require_grad = True  # gradlint: ignore[GRD703] shown on purpose"))
    write("b.ipynb", notebook(*CELLS, "# gradlint: skip-file"))
    assert cli(".", "--output-format", "json").out == "[]\n"


def test_an_empty_notebook_and_empty_cells(cli: Cli, write: Write) -> None:
    write("a.ipynb", notebook())
    write("b.ipynb", notebook("", "\n", *CELLS, ""))
    assert "b.ipynb:cell 7:2:3: " in cli(".", "--output-format", "concise").out


def test_standard_input_is_a_notebook_where_its_name_says_so(cli: Cli) -> None:
    data = notebook(*CELLS).encode()
    found = cli("-", "--stdin-filename", "x/a.ipynb", "--output-format", "concise", stdin=data)
    assert found.out.startswith("x/a.ipynb:cell 5:2:3: GRD703")


def test_a_notebook_imports_as_a_script_in_its_folder(cli: Cli, write: Write) -> None:
    write("pkg/__init__.py")
    base, user = "from torch import nn\nclass Base(nn.Module):\n    pass\n", "class Net(Base):\n    pass\nnet = Net()"
    write("pkg/train.py", base)
    write("pkg/train.ipynb", notebook("import torch\nfrom train import Base", user, "net.require_grad = False"))
    (found,) = json.loads(cli("pkg/train.ipynb", "--output-format", "json", "--select", "GRD703").out)
    assert found["fix"] is None, "known to be a module, so that the name alone is not the fault"
