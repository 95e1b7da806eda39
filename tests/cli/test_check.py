"""`check`: a layer without a test file, its exit code, its report, and what it says to bad questions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gradcheck.model import Report
from pytest_gradcheck.render import document
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "tensors"),
    [
        (["shop.layers:Linear", "--init", "6,3", "--input", "4,6"], ["input0    4x6", "weight    3x6", "bias      3"]),
        (["shop.layers:Linear", "--init", "6, 3, bias=False", "--input", "6"], ["input0    6", "weight    3x6"]),
        (["shop.layers:swish", "--input", "2x5", "--kwargs", "scale=2.0"], ["input0    2x5"]),
        (["shop.layers:swish", "--input", "()"], ["input0    scalar"]),
        (["shop.layers:ready", "--input", "2,4"], ["input0    2x4", "weight    3x4"]),
        (["shop/layers.py:Linear", "--init", "6,3", "--input", "4,6"], ["input0    4x6"]),
        (["torch.nn:Embedding", "--init", "100,4", "--input", "8:0..99"], ["weight    100x4"]),
        (["torch.nn:Bilinear", "--init", "2,3,4", "--input", "5,2", "--input", "5,3"], ["input1    5x3"]),
    ],
)
def test_a_right_gradient(command: Command, words: list[str], tensors: list[str]) -> None:
    said = command("check", *words)
    assert said.code == 0 and said.err == "" and "are GOOD" in said.out
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for tensor in tensors:
        assert any(line.startswith(" ".join(tensor.split())) for line in lines), tensor


def test_a_wrong_gradient_exits_with_one_and_can_be_run_again(command: Command) -> None:
    words = ["check", "shop.layers:Doubled", "--input", "3,4", "--seed", "7", "--eps", "1e-4", "--mode", "elementwise"]
    said = command(*words)
    assert said.code == 1 and "gradients of Doubled are WRONG" in said.out
    assert "rerun: python -m pytest_gradcheck " + " ".join(words) in said.out
    assert "eps 0.0001, mode elementwise, seed 7" in said.out
    assert command(*words).out.partition("forward calls")[0] == said.out.partition("forward calls")[0]
    assert command(*words[:-4], "8").out != said.out


def test_a_file_of_a_package_may_import_relatively(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = project / "deep" / "store" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner.parent / "base.py").write_text("def triple(x):\n    return 3 * x\n")
    (inner / "gate.py").write_text("from ..base import triple\n\ndef gate(x):\n    return triple(x).sigmoid()\n")
    said = command("check", "deep/store/inner/gate.py:gate", "--input", "3")
    assert (said.code, said.err) == (0, "")
    assert "gradients of gate are GOOD" in said.out
    monkeypatch.chdir(inner)
    assert command("check", "gate.py:gate", "--input", "3").code == 0
    other = project / "store"
    other.mkdir()
    (other / "__init__.py").touch()
    (other / "gate.py").write_text("def gate(x):\n    return x\n")
    said = command("check", str(other / "gate.py") + ":gate", "--input", "3")
    assert said.code == 2 and "store.gate" in said.err


def test_strict_and_the_choice_of_checks(command: Command) -> None:
    assert command("check", "shop.layers:Doubled", "--input", "3", "--checks", "leak,mutation").code == 0
    assert "strict: anything but GOOD fails" in command("check", "shop.layers:swish", "--input", "3", "--strict").out


def test_json_and_html_of_one_check(command: Command, project: Path) -> None:
    said = command("check", "shop.layers:Doubled", "--input", "3,4", "--json", "out/a.json")
    assert said.code == 1 and said.out.endswith("wrote out/a.json\n")
    (entry,) = document.read(project / "out" / "a.json").entries
    assert (entry.id, entry.kind, entry.outcome) == ("shop.layers:Doubled", "gradient", "failed")
    assert isinstance(entry.report, Report) and entry.report.tensors[0].sweep is not None
    pytest.importorskip("matplotlib")
    assert command("check", "shop.layers:swish", "--input", "3", "--html", "a.html").code == 0
    assert "gradients of swish are GOOD" in (project / "a.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop.layers:Doubld", "--input", "3"], "shop.layers has no 'Doubld' (did you mean 'Doubled'?)"),
        (["shop.layers:Xyz", "--input", "3"], "shop.layers has no 'Xyz'; it defines Shaped, Doubled, Linear"),
        (
            ["shop.layerz:Linear"],
            "there is no module 'shop.layerz' (did you mean 'layers'?); modules are looked for in",
        ),
        (["shap.layers:Linear"], "there is no module 'shap' (did you mean 'shop'?)"),
        (["shop/layer.py:Linear"], "there is no file shop/layer.py (did you mean 'shop/layers.py'?)"),
        (["shop.layers"], "'shop.layers' names nothing: write package.module:Name, or path/file.py:Name"),
        (["shop.layers:Plain"], "is neither an nn.Module, an autograd.Function nor a function"),
        (["shop.layers:Linear", "--input", "3"], "give the arguments with --init, such as --init 16,4"),
        (["shop.layers:Linear", "--init", "a b", "--input", "3"], "--init 'a b': write arguments as in a call"),
        (["shop.layers:Linear", "--init", "f(3)", "--input", "3"], "--init 'f(3)': write arguments as in a call"),
        (
            ["shop.layers:Linear", "--init", "6,'x'", "--input", "3"],
            "Linear cannot be built with init=(6, 'x'): TypeErr",
        ),
        (
            ["shop.layers:Doubled", "--init", "3", "--input", "3"],
            "init builds an nn.Module, but Doubled is an autograd.F",
        ),
        (["shop.layers:ready", "--init", "3", "--input", "3"], "is no class: --init builds an nn.Module class"),
        (
            ["shop.layers:Linear", "--init", "6,3", "--input", "3,"],
            "Linear raised RuntimeError in its forward on (3,) in",
        ),
        (["shop.layers:swish", "--input", "3,q"], "--input '3,q' is no input: write a shape such as --input 8,16"),
        (["shop.layers:swish", "--input", "3:5..1"], "--input '3:5..1': the bounds must rise"),
        (["shop.layers:swish"], "the shape of 'x' is not known: give one --input for every input"),
        (["shop.layers:swish", "--input", "3", "--eps", "x"], "--eps must be a positive number, not 'x'"),
        (["shop.layers:swish", "--input", "3", "--mode", "atuo"], "--mode must be one of auto, "),
        (["shop.layers:swish", "--input", "3", "--device", "gpu"], "--device must be one of cpu, cuda"),
        (["shop.layers:swish", "--input", "3", "--seed", "-1"], "--seed must lie in 0 .. 2**63 - 1"),
        (["shop.layers:swish", "--input", "3", "--kwargs", "2"], "--kwargs '2': write names and values"),
        (["shop.layers:swish", "--input", "3", "--json", "a.html"], "--json a.html: the file must end in .json"),
        (["shop.layers:swish", "--input", "3", "--json", "shop"], "--json shop: a report is a file that ends in"),
        (["shop.layers:swish", "--dim", "batch"], "--dim 'batch': write a name and a size, such as --dim tokens=7"),
    ],
)
def test_a_wrong_question_exits_with_two_and_says_what_to_do(command: Command, words: list[str], said: str) -> None:
    found = command("check", *words)
    assert found.code == 2 and found.err.startswith("error: ") and said in found.err
    assert found.err.count("\n") == 1 and "Traceback" not in found.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import no_such_package\n",
            "importing shop.bad raised ModuleNotFoundError: No module named 'no_such_package' (",
        ),
        ("import shop.nothing\n", "importing shop.bad raised ModuleNotFoundError: No module named 'shop.nothing' ("),
        ("def f(:\n", "importing shop.bad raised SyntaxError: "),
        ("\n\n1 / 0\n", "importing shop.bad raised ZeroDivisionError: division by zero ("),
    ],
)
def test_a_module_that_does_not_import(command: Command, project: Path, source: str, said: str) -> None:
    (project / "shop" / "bad.py").write_text(source)
    found = command("check", "shop.bad:Layer")
    assert (found.code == 2 and said in found.err and "bad.py:" in found.err) or "SyntaxError" in found.err
    assert "importing shop/bad.py raised" in command("check", "shop/bad.py:Layer").err


def test_a_src_layout_needs_no_installation(command: Command, project: Path) -> None:
    (project / "src").mkdir()
    (project / "shop").rename(project / "src" / "shop")
    assert command("check", "shop.layers:swish", "--input", "3").code == 0


def test_as_a_module_in_a_fresh_process(project: Path) -> None:
    words = [sys.executable, "-m", "pytest_gradcheck", "check", "shop.layers:Doubled", "--input", "3"]
    found = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "are WRONG" in found.stdout and found.stderr == ""


def test_help_and_no_command(command: Command) -> None:
    assert "exit codes: 0 all passed, 1 something failed, 2 the question was wrong" in command("--help").out
    assert command().code == 2 and command("chek").code == 2


def test_ctrl_c(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_gradcheck.cli.targets.find", interrupted)
    assert command("check", "shop.layers:swish") == (130, "", "interrupted\n")
