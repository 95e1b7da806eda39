"""Faults with something to hide behind: kinks, jumps, noise, and larger neighbours. Seen, or said to be unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Verdict, check_gradients
from tests.gradcheck.functions import planted, spoilt_element

CHECKS = ["determinism", "vjp"]
SEEDS = range(40)


class Dense(torch.autograd.Function):
    """`tanh(x w)`."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, x: Tensor) -> Tensor:
        y = torch.tanh(x @ w)
        ctx.save_for_backward(w, x, y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        w, x, y = ctx.saved_tensors
        inside = grad[0] * (1 - y * y)
        return x.mT @ inside, inside @ w.mT


class Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return grad[0] * (ctx.saved_tensors[0] > 0)


class Inside(nn.Module):
    """A Function within a module, where several kinks may meet in one element."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.function.apply(x)  # type: ignore[no-untyped-call]
        return 2 * y


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def three_wrong(seed: int) -> type[torch.autograd.Function]:
    """`Dense` with the wrong sign in three of its weights."""
    wrong = torch.randint(0, 300 * 300, (3,), generator=torch.Generator().manual_seed(seed))

    def spoil(w: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        sign = torch.ones(300 * 300, dtype=w.dtype)
        sign[wrong] = -1
        return w * sign.reshape(w.shape), x

    return planted(Dense, spoil)


@pytest.mark.parametrize("seed", SEEDS)
def test_three_wrong_weights_of_ninety_thousand_are_never_excused(seed: int) -> None:
    w, x = drawn(seed, 300, 300) / 17, drawn(seed + 1000, 8, 300)
    report = check_gradients(three_wrong(seed), w, x, seed=seed, checks=CHECKS, wrt=["input0"])
    assert report.verdict is Verdict.WRONG, str(report)
    assert not report.passed


HALF_ZERO = torch.where(torch.arange(5000) % 2 == 0, 0.0, 0.1 + drawn(3, 5000).abs())


@pytest.mark.parametrize("make", [lambda f: f, Inside], ids=["alone", "in a module"])
def test_thousands_of_kinks_hide_no_wrong_element(make: Callable[[Any], Any]) -> None:
    right = check_gradients(make(Relu), HALF_ZERO, checks=CHECKS)
    assert right.verdict is Verdict.GOOD, str(right)
    report = check_gradients(make(planted(Relu, spoilt_element(17, -1))), HALF_ZERO, checks=CHECKS)
    assert report.verdict is Verdict.WRONG, str(report)
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.index == (17,)
    assert "input0: kinks at the point of the check leave room for a fault" in str(report)


def test_kinks_in_every_element_hide_no_wrong_slope() -> None:
    def spoil(gradient: Tensor) -> Tensor:
        return gradient * 0.5  # at a kink of slopes 0 and 1 a half is right, elsewhere it is wrong

    x = torch.zeros(6)
    assert check_gradients(Relu, x, checks=CHECKS).verdict is Verdict.GOOD
    assert check_gradients(planted(Relu, spoil), x, checks=CHECKS).verdict is Verdict.WRONG


def test_kinks_without_a_point_beside_them_are_not_called_good() -> None:
    def narrow(x: Tensor) -> Tensor:
        if bool((x.abs() > 1e-4).any()):
            raise ValueError("too large")
        return torch.where(x > 0, 3 * x, x).sum()

    report = check_gradients(narrow, torch.zeros(3000), checks=CHECKS)
    assert report.passed, str(report)
    assert (report.verdict, report.tensors[0].reason) == (Verdict.INCONCLUSIVE, "kink")


@pytest.mark.parametrize("height", [1.0, 1e-3])
@pytest.mark.parametrize("values", [[0.0], [0.0, 1.0, 2.0], [1.0, 0.0]])
def test_a_jump_is_the_reason_given(values: list[float], height: float) -> None:
    report = check_gradients(lambda x: torch.where(x >= 0, x + height, x), torch.tensor(values), checks=CHECKS)
    assert report.passed
    assert report.tensors[0].reason == "jump", str(report)
    assert f"input0[{values.index(0.0)}] is a jump of the function" in str(report)


def test_a_jump_hides_no_wrong_element() -> None:
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return torch.where(x >= 0, x + 1, x)

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return spoilt_element(7, -1)(grad[0])

    x = drawn(0, 5000)
    x[100] = 0
    assert check_gradients(Step, x, checks=CHECKS).verdict is Verdict.WRONG


def scaled(scale: float, factor: float) -> type[torch.autograd.Function]:
    """`sin` whose first output is `scale` times as large, with a factor on the gradient of its first input."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return spoilt_element(0, scale)(x.sin())

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return spoilt_element(0, scale * factor)(grad[0] * ctx.saved_tensors[0].cos())

    return Scaled


@pytest.mark.parametrize("size", [2, 20, 200])
def test_an_element_far_smaller_than_its_neighbours_fails_or_is_said_to_be_undecided(size: int) -> None:
    x = drawn(3, size)
    assert check_gradients(scaled(1e-8, 1.0), x, checks=CHECKS).findings == ()
    assert check_gradients(scaled(1e-8, -1.0), x, checks=CHECKS).verdict is Verdict.WRONG
    report = check_gradients(scaled(1e-12, -1.0), x, checks=CHECKS)
    assert [finding.kind for finding in report.findings] == ["small"], str(report)


def test_an_element_that_its_neighbours_drown_is_said_to_be_undecided() -> None:
    weights = torch.tensor([1.0, 2.0, 1e-12], dtype=torch.float64)
    report = check_gradients(lambda x: (weights * x.sin()).sum(), torch.rand(3) + 0.5, checks=CHECKS)
    assert report.verdict is Verdict.GOOD, str(report)
    (finding,) = report.findings
    assert (finding.kind, finding.severity) == ("small", "info")
    assert finding.message.startswith("input0: 1 of 3 elements is smaller than its error bar, so it is certified only")
    assert finding.message.endswith("at [2]")


@pytest.mark.parametrize("seed", range(5))
def test_right_gradients_of_all_sizes_give_no_alarm(seed: int) -> None:
    subjects: list[Callable[[Tensor], Tensor]] = [
        lambda x: torch.softmax(60 * x, -1),
        lambda x: torch.exp(20 * x),
        lambda x: torch.sigmoid(40 * x).cumsum(0),
        lambda x: (x.abs() ** 12).cumprod(0),
        lambda x: 1 - torch.erfc(3 * x),
    ]
    for subject in subjects:
        report = check_gradients(subject, drawn(seed, 30), seed=seed, checks=CHECKS)
        assert report.passed, str(report)


class Root(torch.autograd.Function):
    """The root of each element; its gradient at the last has the wrong sign."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sqrt()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return spoilt_element(-1, -1)(grad[0] / (2 * ctx.saved_tensors[0].sqrt()))


def test_infinite_gradients_at_the_edge_of_a_domain_are_no_diagnosis_of_another_fault() -> None:
    report = check_gradients(Root, torch.tensor([0.0, 0.0, 0.0, 2.0, 3.0]), checks=CHECKS)
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.index == (4,)
    assert "nan or inf" not in str(report)
