"""Training loops: the events of a round in order, with helpers written in their place, and who owns what."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.optimizers import Sure
from gradlint.semantics.project import ProjectIndex
from gradlint.semantics.project_cst import unit_facts
from gradlint.semantics.training_loop import concerns

from tests.lint.linting import node, unit

HEAD = """
import torch
import torch.nn as N
from torch import optim
from torch.nn.utils import clip_grad_norm_ as clip

net, other = N.Linear(2, 1), N.Linear(2, 1)
optimizer = optim.SGD(net.parameters(), lr=0.1)
second = optim.SGD(other.parameters(), lr=0.1)
scaler = torch.amp.GradScaler()
"""


def kinds(code: str) -> list[str]:
    loops = unit(f"{HEAD}\n{code}\n").loops.loops
    return [event.kind.value for event in loops[0].events] if loops else []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("optimizer.zero_grad(); net(x).sum().backward(); optimizer.step()", "zero backward step"),
        ("with torch.autocast('cpu'):\n  loss = net(x).sum()\n loss.backward()\n optimizer.step()", "backward step"),
        (
            "scaler.scale(net(x)).backward(); scaler.unscale_(optimizer); scaler.step(optimizer)",
            "backward unscale step",
        ),
        ("net(x).backward(); clip(net.parameters(), 1.0); optimizer.step()", "backward clip step"),
        ("net(x).backward()\n for p in net.parameters():\n  p.grad.mul_(2)\n optimizer.step()", "backward opaque step"),
        ("accelerator.backward(net(x)); optimizer.step()", "opaque step"),
        ("helpers.do(optimizer); optimizer.step()", "opaque step"),
        ("scheduler = optim.lr_scheduler.StepLR(optimizer, 1); scheduler.step()", ""),
        ("print(x); y = torch.exp(x); x.append(y)", ""),
        ("f = lambda: optimizer.zero_grad()", ""),
    ],
)
def test_events_of_one_loop(body: str, expected: str) -> None:
    assert " ".join(kinds(f"for x in loader:\n {body}")) == expected


def test_helpers_closures_and_methods_are_written_in_their_place() -> None:
    assert kinds("def clear(o):\n o.zero_grad()\nfor x in loader:\n clear(optimizer)\n net(x).backward()") == [
        "zero",
        "backward",
    ]
    assert kinds(
        "for x in loader:\n def closure():\n  optimizer.zero_grad()\n  net(x).backward()\n optimizer.step(closure)"
    ) == ["zero", "backward", "step"]
    text = (
        "class T:\n def __init__(self):\n  self.optimizer = optimizer\n def one(self, x):\n  self.two()\n"
        "  net(x).backward()\n def two(self):\n  self.optimizer.zero_grad()\n"
        " def fit(self, data):\n  for x in data:\n   self.one(x)\n   self.optimizer.step()"
    )
    (loop,) = unit(HEAD + text).loops.loops
    zero, backward, step = loop.events
    assert zero.place == step.place
    assert (zero.via is None, backward.via is None, step.via is None) == (False, False, True)


def test_a_helper_is_given_its_optimizer() -> None:
    text = "def clear(first, o):\n o.zero_grad()\nfor x in data:\n clear(1, o=second)\n optimizer.step()"
    (loop,) = unit(HEAD + text).loops.loops
    zero, step = loop.events
    assert zero.place != step.place
    assert concerns(zero, step) is False


def test_a_module_that_is_zeroed_concerns_the_optimizer_of_its_parameters() -> None:
    text = "for x in data:\n net.zero_grad()\n other.zero_grad()\n unknown.zero_grad()\n optimizer.step()"
    (loop,) = unit(HEAD + text).loops.loops
    *zeroed, step = loop.events
    assert [concerns(zero, step) for zero in zeroed] == [True, False, False]


def test_branches_exclude_each_other_and_what_is_inside_happens_only_with_its_condition() -> None:
    text = "for x in data:\n if a:\n  net(x).backward()\n elif b:\n  optimizer.zero_grad()\n optimizer.step()"
    (loop,) = unit(HEAD + text).loops.loops
    backward, zero, step = loop.events
    assert backward.excludes(zero)
    assert not backward.excludes(step)
    assert step.always_with(backward)
    assert not backward.always_with(step)


@pytest.mark.parametrize(
    ("expression", "sure"),
    [
        ("optimizer", Sure.KNOWN),
        ("self.opt", Sure.NAMED),
        ("given_optimizer", Sure.GIVEN),
        ("told", Sure.KNOWN),
        ("scheduler_optimizer", Sure.NO),
        ("option", Sure.NO),
    ],
)
def test_how_sure_it_is_that_something_is_an_optimizer(expression: str, sure: Sure) -> None:
    of = unit(
        f"{HEAD}def f(self, given_optimizer, told: optim.Optimizer, scheduler_optimizer, option):\n use({expression})\n"
    )
    used = node(of, f"use({expression})", cst.Call)
    assert of.loops.optimizers.sure(used.args[0].value) is sure


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import lightning as L", True),
        ("from accelerate import Accelerator", True),
        ("import deepspeed.ops", True),
        ("import lightly", False),
        ("from . import lightning", False),
    ],
)
def test_frameworks_that_zero_for_the_user(line: str, expected: bool) -> None:
    assert unit(f"{line}\n{HEAD}").loops.has_framework is expected


HELPERS = """
def clear(optimizer):
    # optimizer.step() comes later
    optimizer.zero_grad(set_to_none=True)

def adjust_learning_rate(optimizer, epoch):
    for group in optimizer.param_groups:
        group["lr"] = 0.1 ** epoch

def both(model, optimizer, x):
    model(x).backward()
    optimizer.zero_grad()

def by_hand(model):
    for p in model.parameters():
        p.grad = None
"""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("helpers.clear(optimizer)", "zero"),
        ("helpers.adjust_learning_rate(optimizer, 3)", ""),
        ("helpers.both(net, optimizer, x)", "opaque"),
        ("helpers.by_hand(net)", "opaque"),
        ("helpers.missing(optimizer)", "opaque"),
    ],
)
@pytest.mark.parametrize("read", ["ast", "libcst"])
def test_helpers_of_other_files_of_the_project(call: str, expected: str, read: str) -> None:
    facts = file_facts(HELPERS, "helpers") if read == "ast" else unit_facts(unit(HELPERS, module="helpers"))
    assert facts is not None
    project = ProjectIndex.of([facts])
    (loop,) = unit(f"import helpers\n{HEAD}\nfor x in data:\n {call}\n optimizer.step()", project=project).loops.loops
    *before, step = loop.events
    assert " ".join(event.kind.value for event in before) == expected
    assert all(event.place == step.place for event in before if event.place is not None)
