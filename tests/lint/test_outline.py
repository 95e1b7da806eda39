"""What the text of a file shows of its definitions: never more than its parsed facts say, and most of it."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import gradlint
import pytest
from gradlint.semantics.file_facts import FileFacts, file_facts
from gradlint.semantics.outline import Outline, outline
from gradlint.semantics.project import ProjectIndex

GRADLINT = Path(gradlint.__file__).parent
ROOT = Path(__file__).parents[2]
SOURCES = [path for part in ("lint", "pytest_gradcheck", "tests") for path in sorted((ROOT / part).rglob("*.py"))]


def shown(text: str) -> Outline:
    return outline(dedent(text).lstrip("\n"))


def test_definitions_that_begin_a_line_are_seen() -> None:
    found = shown("""
        class A: pass
        class B(A):
            def method(self): pass
        def f(x): pass
        async  def g(x): pass
        def h[T](x: T): pass
    """)
    assert found.defined == {"A", "B", "f", "g", "h"}
    assert found.functions == {"f", "g", "h"}


@pytest.mark.parametrize(
    "text",
    [
        '"""\ndef f(): pass\n"""\n',
        "x = '''\nclass f: pass\n'''\n",
        'x = f"""\ndef f(): pass\n{x}"""\n',
        "x = 'a\\\ndef f(): pass'\n",
        "x = 'a\\\r\ndef f(): pass'\r\n",
        "# def\n#\ndefined = f()\n",
        "if x:\n    def f(): pass\n",
        "def fé(): pass\n",
        "def_f = 1\nclassf = 2\n",
        'd = {"#": 1}\nx = f"{\'}\'}{d["#"]}" + """\ndef f(): pass\n"""  # """\n',
    ],
)
def test_what_is_no_definition_for_certain_is_none(text: str) -> None:
    assert "f" not in outline(text).defined


def test_a_function_that_may_be_a_class_elsewhere_in_the_file_is_not_called_one() -> None:
    found = shown("""
        try:
            class f: pass
        except E: pass
        def f(): pass
    """)
    assert found.defined == {"f"}
    assert not found.functions


def test_a_class_that_may_be_spelt_in_several_ways_makes_no_function_sure() -> None:
    assert outline("def f(): pass\nclass \uff46(Base): pass\n") == Outline(frozenset("f"), fills=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch\ndef f(w): torch.nn.init.xavier_uniform_(w)\n", True),
        ("import torch\ndef f(w): w.add_(1)\ndef g(w): w.data.zero_()\n", True),
        ("import torch\ndef f(w): w.add_(1)\n", False),
        ("def f(w): w.zero_()\n", False),
        ('import torch\nx = f"""{x}"""\ndef f(w): w.add_(1)\n', False),
    ],
)
def test_whether_a_file_may_fill_tensors(text: str, expected: bool) -> None:
    assert outline(text).fills is expected


def test_every_file_of_this_project_defines_what_its_outline_says() -> None:
    seen = all_defined = 0
    for path in SOURCES:
        text = path.read_text(encoding="utf-8", errors="replace")
        facts = file_facts(text, "m")
        if facts is None:
            continue
        found = outline(text)
        defined = facts.classes.keys() | facts.functions
        assert found.defined <= defined, path
        assert found.functions.isdisjoint(facts.classes), path
        assert found.functions <= facts.functions, path
        assert found.fills or not facts.inits, path
        seen += len(found.defined)
        all_defined += len(defined)
    assert seen > 0.9 * all_defined > 1000, "an outline that shows nothing is right, too"


def test_a_project_gives_the_same_answers_with_and_without_outlines() -> None:
    texts = {
        ".".join(path.relative_to(GRADLINT.parent).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted(GRADLINT.rglob("*.py"))
    } | {
        "pkg": "from pkg.broken import *\nfrom pkg.good import *\nfrom pkg.good import init as start\n",
        "pkg.broken": "class Base: pass\ndef init(m): m.weight.data.zero_()\nprint 'python 2'\n",
        "pkg.good": "from torch import nn\nclass Base(nn.Module): pass\ndef init(m):\n    nn.init.ones_(m.weight)\n",
    }
    files = {module: file_facts(text, module) or FileFacts(module) for module, text in texts.items()}
    outlines = {module: outline(text) for module, text in texts.items()}
    plain, quick = ProjectIndex(files), ProjectIndex(files, outline=outlines.__getitem__)
    names = {
        f"{module}.{name}"
        for module, facts in files.items()
        for name in (*facts.classes, *facts.functions, *facts.imports, "Base", "init", "start", "missing")
    }
    assert len(names) > 2000
    for name in names:
        assert quick.resolve(name) == plain.resolve(name)
        for ask in (ProjectIndex.find_class, ProjectIndex.find_init, ProjectIndex.gradient_words):
            assert ask(quick, name) == ask(plain, name), name
    assert quick.resolve("pkg.Base") == "pkg.good.Base"
    assert plain.find_init("pkg.start") is not None


def test_the_outline_of_no_python_is_no_error() -> None:
    text = "def f(: 'class\n\0\udcff"
    with pytest.raises((SyntaxError, ValueError)):
        ast.parse(text)
    assert not outline(text).fills
