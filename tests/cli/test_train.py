"""`train`: a smoke run without a test file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gradcheck.model import TrainingReport
from pytest_gradcheck.render import document
from tests.cli.conftest import Command

#: What a command line may name by mistake.
TARGETS = """
import sys
from torch import nn

number = 3

def nothing():
    pass

def pair():
    return nn.Linear(4, 3), None

def kind():
    return nn.Linear

async def slow():
    return nn.Linear(4, 3)

def stream():
    yield nn.Linear(4, 3)

def script(steps: int = 1000) -> dict[str, float]:
    raise AssertionError("this must not run")

def nobody(steps: int = 1000) -> None:
    raise AssertionError("this must not run")

def tensor() -> nn.Parameter:
    raise AssertionError("this must not run")

def layers() -> type[nn.Module]:
    raise AssertionError("this must not run")

def leaves():
    sys.exit(7)
"""

#: Annotations of functions that return a model, in a module that defines what they name.
PROMISES = """
import abc
from typing import Any, Callable, Optional, Protocol, Union
from torch import nn

class Backbone(abc.ABC):
    pass

class Named(Protocol):
    name: str

class Mixin:
    pass

class Real(Backbone, Mixin, nn.Linear):
    pass

def make() -> PROMISED:
    return Real(4, 3)
"""


def test_a_classifier_learns_random_batches_by_heart(command: Command, project: Path) -> None:
    words = ["train", "shop.layers:Linear", "--init", "6,3", "--input", "8,6", "--lr", "0.5", "--json", "a.json"]
    said = command(*words)
    assert said.code == 0 and "Linear trained 20 steps without a failure" in said.out
    assert "4 random batches of (8, 6) with random 3 classes, cross_entropy" in said.out
    (entry,) = document.read(project / "a.json").entries
    run = entry.report
    assert isinstance(run, TrainingReport) and entry.kind == "training" and entry.outcome == "passed"
    assert run.loss[-1] < run.loss[0] and run.rerun == "python -m pytest_gradcheck " + " ".join(words)
    assert run.learning_rate[0] == 0.5 and run.seed == 0


def test_one_number_a_sample_is_regression(command: Command) -> None:
    said = command("train", "shop.layers:Regressor", "--input", "16,4", "--steps", "5", "--optimizer", "adam")
    assert said.code == 0 and "with random targets, mse_loss" in said.out and "Adam" in said.out
    assert "l1_loss" in command("train", "shop.layers:Regressor", "--input", "16,4", "--loss", "l1_loss").out


def test_annotations_and_an_object_that_is_there_already(command: Command) -> None:
    said = command("train", "shop.layers:Annotated", "--init", "6", "--steps", "3")
    assert said.code == 0 and "x (16, 6), tokens (16,) of int" in said.out
    assert command("train", "shop.layers:ready", "--input", "8,4", "--steps", "3").code == 0


@pytest.mark.parametrize("what", ["torch.jit.script(model())", "torch.compile(model(), backend='eager')"])
def test_scripted_and_compiled_models_train(command: Command, project: Path, what: str) -> None:
    body = f"import torch\nfrom torch import nn\ndef model():\n    return nn.Linear(4, 3)\nother = {what}\n"
    (project / "shop" / "other.py").write_text(body)
    said = command("train", "shop.other:other", "--input", "8,4", "--steps", "2")
    assert said.code == 0, said.err
    assert "trained 2 steps without a failure" in said.out


def test_a_run_that_fails_exits_with_one(command: Command) -> None:
    said = command("train", "shop.layers:Broken", "--input", "8,4", "--steps", "3")
    assert said.code == 1 and "Broken failed at step 0" in said.out and "aten.log" in said.out


def test_the_same_seed_gives_the_same_run(command: Command) -> None:
    words = ["train", "shop.layers:Regressor", "--input", "16,4", "--steps", "4"]
    losses = [
        next(line for line in command(*words, "--seed", seed).out.splitlines() if line.startswith("  loss"))
        for seed in ("1", "1", "2")
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_function_that_makes_models_on_fashion_mnist(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASHION_MNIST_ROOT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path.cwd()))
    words = ["train", "shop.layers:classifier", "--fashion-mnist", "28", "--steps", "3", "--batch-size", "8"]
    said = command(*words, "--init", "hidden=5")
    assert said.code == 0 and "3985 trainable parameters" in said.out.replace(",", "") and "stand-in" in said.out
    found = command(*words, "--init", "hiden=5")
    assert found.code == 2 and "shop.layers:classifier raised TypeError: " in found.err and "of --init" in found.err


@pytest.mark.parametrize(
    "promised",
    ["Any", "object", "Backbone", "Mixin", "Named", "Callable[..., Any]", "Union[Mixin, dict]", "Optional[Real]"],
)
def test_a_function_whose_annotation_leaves_a_model_possible_is_called(
    command: Command, project: Path, promised: str
) -> None:
    (project / "shop" / "promises.py").write_text(PROMISES.replace("PROMISED", promised))
    said = command("train", "shop.promises:make", "--input", "8,4", "--steps", "2")
    assert said.code == 0, said.err
    assert "trained 2 steps without a failure" in said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop.layers:Linear", "--init", "6,3"], "the shape of 'input' is not known: give one --input for every"),
        (
            ["shop.layers:Linear", "--init", "6,3", "--input", "4,5"],
            "Linear raised RuntimeError in its forward on (4, 5)",
        ),
        (["shop.layers:swish", "--input", "3"], "shop.layers:swish raised TypeError: "),
        (["shop.layers:Linear", "--init", "6,3", "--input", "4,6", "--steps", "0"], "steps is 0, but it must be"),
        (["shop.layers:Linear", "--init", "6,3", "--input", "4,6", "--lr", "-1"], "-1"),
        (["shop.layers:Linear", "--init", "6,3", "--input", "4,6", "--optimizer", "adm"], "adm"),
        (["shop.layers:Linear", "--input", "4,6", "--init", "6,3", "--fashion-mnist", "28"], "give either --input or"),
        (["torch.nn:LSTM", "--init", "6,3", "--input", "4,6"], "does not put out one floating tensor with a batch"),
        (["torch.nn:ReLU", "--input", "4,6"], "no trainable parameters"),
        (["shop.layers:Plain", "--input", "4,6"], "shop.layers:Plain is a class, but no nn.Module: train takes an nn."),
        (["shop.layers:Doubled", "--input", "4"], "shop.layers:Doubled is an autograd.Function, but no nn.Module: tra"),
        (["shop.layers:nn", "--input", "4"], "shop.layers:nn is the Python module torch.nn: train takes an nn.Module"),
        (["shop.targets:number", "--input", "4"], "shop.targets:number is an int: train takes an nn.Module, a class o"),
        (["shop.targets:nothing", "--input", "4"], "shop.targets:nothing returned None: train takes an nn.Module, a c"),
        (
            ["shop.targets:nothing", "--fashion-mnist", "28"],
            "shop.targets:nothing returned None: train takes an nn.Mod",
        ),
        (
            ["shop.targets:pair", "--input", "4"],
            "pair returned a tuple: train takes an nn.Module, a class of one, or a",
        ),
        (["shop.targets:pair", "--input", "4"], "; return the model alone"),
        (
            ["shop.targets:kind", "--input", "4"],
            "kind returned the class Linear: train takes an nn.Module, a class of ",
        ),
        (
            ["shop.targets:slow", "--input", "4"],
            "slow is an async function: train takes an nn.Module, a class of one, ",
        ),
        (["shop.targets:stream", "--input", "4"], "stream is a generator: train takes an nn.Module, a class of one, o"),
        (["shop.targets:script", "--input", "4"], "script returns dict, by its annotation: train takes an nn.Module, "),
        (["shop.targets:nobody", "--input", "4"], "nobody returns None, by its annotation: train takes an nn.Module, "),
        (["shop.targets:tensor", "--input", "4"], "tensor returns Parameter, by its annotation: train takes an nn.Mod"),
        (["shop.targets:layers", "--input", "4"], "layers returns type, by its annotation: train takes an nn.Module, "),
        (["shop.targets:leaves", "--input", "4"], "shop.targets:leaves raised SystemExit: 7; it is called for the mod"),
        (["shop.program:model", "--input", "4"], "importing shop.program raised SystemExit: 2"),
    ],
)
def test_a_wrong_question_exits_with_two(command: Command, project: Path, words: list[str], said: str) -> None:
    (project / "shop" / "targets.py").write_text(TARGETS)
    (project / "shop" / "program.py").write_text("import sys\nsys.exit(2)\n")
    found = command("train", *words)
    assert found.code == 2 and found.err.startswith("error: ") and said in found.err and found.err.count("\n") == 1
