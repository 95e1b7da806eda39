"""A wrong question gets one clear error that says what to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck import UsageProblem, check_gradients
from tests.gradcheck.functions import Swish

X = torch.randn(2, 3)


def _instance() -> None:
    with pytest.warns(DeprecationWarning):  # torch's own
        swish = Swish()  # type: ignore[no-untyped-call]
    check_gradients(swish, X)


def _ask(**options: Any) -> None:
    check_gradients(Swish, X, **options)


def _nested() -> None:
    check_gradients(torch.sin, torch.nested.nested_tensor([X, X]))


QUESTIONS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "module class": (lambda: check_gradients(nn.Linear, X), ["Linear is a class", "init=(...)"]),
    "partial of a module class": (
        lambda: check_gradients(functools.partial(nn.Linear, 3), X),
        ["partial(Linear) makes modules; a gradient check needs one: pass what it returns"],
    ),
    "not callable": (lambda: check_gradients("swish", X), ["cannot check the gradient of 'swish'"]),
    "nothing floating": (lambda: check_gradients(lambda i: i, torch.tensor([1])), ["nothing to check", "(1,)"]),
    "no inputs": (lambda: check_gradients(lambda: torch.ones(2)), ["nothing to check", "no tensors"]),
    "no tensor returned": (
        lambda: check_gradients(lambda x: 3, X),
        ["no floating or complex tensor but an int: there"],
    ),
    "None returned": (lambda: check_gradients(lambda x: None, X), ["tensor but None: there is nothing to check"]),
    "integers returned": (lambda: check_gradients(lambda x: x.long(), X), ["tensor but a tensor of int64: there"]),
    "long not callable": (
        lambda: check_gradients({"weight": torch.ones(9, 9)}, X),
        ["the gradient of a dict: a subject"],
    ),
    "an instance of a Function": (_instance, ["Swish() is an instance of an autograd.Function: pass Swish itself, or"]),
    "a shape": (lambda: check_gradients(Swish, (2, 3)), ["input0 is the shape (2, 3), and", "pass torch.randn(2, 3)"]),
    "keywords in a list": (lambda: _ask(kwargs=[3]), ["kwargs is a list: give the forward's keywords as a dict"]),
    "wrt is a number": (lambda: _ask(wrt=3), ["wrt takes a list of tensor names", "not 3"]),
    "wrt of numbers": (lambda: _ask(wrt=[3]), ["such as ['input0', 'weight'], not [3]"]),
    "nearly a shape": (
        lambda: check_gradients(torch.sin, (2.5, 3)),
        ["input0 is (2.5, 3), which is no shape: the sizes of a shape are whole numbers"],
    ),
    "sparse": (lambda: check_gradients(torch.sin, X.to_sparse()), ["input0 is sparse or nested", "dense.to_sparse()"]),
    "nested": (_nested, ["got input0: a nested tensor", "check a function that makes it of dense tensors"]),
    "output does not depend": (lambda: check_gradients(lambda x: torch.ones(2), X), ["no gradient to check", "input0"]),
    "forward raises": (
        lambda: check_gradients(nn.Linear(4, 2), X),
        ["Linear raised RuntimeError in its forward on (2, 3) in float64", "cannot be multiplied"],
    ),
    "unknown mode": (lambda: check_gradients(Swish, X, mode="elementwize"), ["did you mean 'elementwise'?"]),
    "eps": (lambda: check_gradients(Swish, X, eps=0), ["eps must be a positive number, not 0"]),
    "bands": (lambda: check_gradients(Swish, X, bands=(1e-3, 1e-5)), ["bands must rise"]),
    "order": (lambda: check_gradients(Swish, X, order=3), ["order must be 1 or 2, not 3"]),
    "dtype": (lambda: check_gradients(Swish, X, dtype=torch.int64), ["dtype must be one of float64"]),
    "device": (lambda: check_gradients(Swish, X, device="gpu"), ["device must be one of cpu, cuda"]),
    "check": (lambda: check_gradients(Swish, X, checks=["vpj"]), ["did you mean 'vjp'?"]),
    "budget": (lambda: check_gradients(Swish, X, budget=-1), ["budget must be a positive number"]),
    "order 2 where backward is not differentiable": (
        lambda: check_gradients(_once(), X, order=2),
        ["order=2 was asked for", "@once_differentiable"],
    ),
}


def _once() -> type[torch.autograd.Function]:
    once = torch.autograd.function.once_differentiable(Swish.backward)
    return type("Once", (Swish,), {"backward": staticmethod(once)})


@pytest.mark.parametrize("question", QUESTIONS)
def test_usage_problems(question: str) -> None:
    ask, words = QUESTIONS[question]
    with pytest.raises(UsageProblem) as caught:
        ask()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_device_that_the_machine_lacks() -> None:
    with pytest.raises(UsageProblem, match="device 'cuda' is not available on this machine"):
        check_gradients(Swish, X, device="cuda")


class Mismatched(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.zeros(7)


def test_a_forward_that_raises_is_named_with_its_line() -> None:
    with pytest.raises(
        UsageProblem, match=r"non-singleton dimension 1 \(tests/gradcheck/test_usage\.py:\d+\)$"
    ) as caught:
        check_gradients(Mismatched(), X)
    place = str(caught.value).rpartition(":")[2].rstrip(")")
    assert int(place) == Mismatched.forward.__code__.co_firstlineno + 1


def test_the_forwards_own_error_is_chained() -> None:
    with pytest.raises(UsageProblem) as caught:
        check_gradients(nn.Linear(4, 2), X)
    assert isinstance(caught.value.__cause__, RuntimeError)
