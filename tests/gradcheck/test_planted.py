"""Every planted wrong gradient is caught, in small tensors (elements) and large ones (projections), and explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Verdict, check_gradients
from tests.gradcheck.functions import MatMul, Softmax, Swish, planted, rewritten, spoilt_element

SMALL, LARGE = (4, 5), (30, 40)


def _missing_term(ctx: Any, *grad: Any) -> Tensor:
    (x,) = ctx.saved_tensors
    found: Tensor = grad[0] * torch.sigmoid(x)
    return found


def _softmax_without_its_sum(ctx: Any, *grad: Any) -> Tensor:
    (y,) = ctx.saved_tensors
    found: Tensor = y * grad[0]
    return found


FAULTS: dict[str, tuple[type[torch.autograd.Function], str]] = {
    "sign": (planted(Swish, lambda g: -g), "sign is flipped"),
    "factor 1.002": (planted(Swish, lambda g: 1.002 * g), "1.002 x numeric"),
    "factor 2": (planted(Swish, lambda g: 2 * g), "2 x numeric (a forgotten or doubled 2?)"),
    "missing term": (rewritten(Swish, _missing_term), ""),
    "softmax without its sum": (rewritten(Softmax, _softmax_without_its_sum), ""),
    "zero": (planted(Swish, torch.zeros_like), "backward returns zeros"),
    "none": (planted(Swish, lambda g: None), "no gradient flows"),
    "nan": (planted(Swish, lambda g: g * float("nan")), "nan or inf"),
    "one wrong element": (planted(Swish, spoilt_element(7)), "only 1 of"),
    "one nan element": (planted(Swish, spoilt_element(7, float("nan"))), "nan or inf"),
    "shifted": (planted(Swish, lambda g: g.roll(1, -1)), ""),
}


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["elements", "projections"])
@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_gradient_is_caught(fault: str, shape: tuple[int, ...]) -> None:
    function, cause = FAULTS[fault]
    report = check_gradients(function, torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    assert not report.passed
    (check,) = report.tensors
    assert check.verdict is (Verdict.SUSPICIOUS if fault == "factor 1.002" else Verdict.WRONG)
    assert check.worst is not None
    assert cause in (check.diagnosis or "")


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["elements", "projections"])
@pytest.mark.parametrize("right", [Swish, Softmax])
def test_right_gradient_is_good(right: type[torch.autograd.Function], shape: tuple[int, ...]) -> None:
    report = check_gradients(right, torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    assert report.verdict is Verdict.GOOD, str(report)
    assert report.second_order


@pytest.mark.parametrize("position", [0, 7, 19, 599, 1199])
def test_the_wrong_element_is_named(position: int) -> None:
    function = planted(Swish, spoilt_element(position))
    shape = SMALL if position < 20 else LARGE
    worst = check_gradients(function, torch.randn(shape)).tensors[0].worst
    assert worst is not None
    assert worst.index == divmod(position, shape[1])
    assert worst.autograd == pytest.approx(2 * worst.numeric, rel=1e-6)


@pytest.mark.parametrize("size", [5, 24], ids=["elements", "projections"])
def test_transposed_matrix_gradient(size: int) -> None:
    function = planted(MatMul, lambda a, b: (a, b.transpose(-1, -2)))
    report = check_gradients(function, torch.randn(3, size), torch.randn(size, size))
    left, right = report.tensors
    assert left.verdict is Verdict.GOOD
    assert right.verdict is Verdict.WRONG
    if right.coverage == 1.0:
        assert "transposed" in (right.diagnosis or "")


def test_wrong_parameter_gradient_is_named_by_its_path() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5))

        def forward(self, x: Tensor) -> Tensor:
            product: Tensor = planted(MatMul, lambda a, b: (a, -b)).apply(x, self.weight.diag())  # type: ignore[no-untyped-call]
            return product

    report = check_gradients(nn.Sequential(nn.Linear(3, 5), Scale()), torch.randn(2, 3))
    assert [check.name for check in report.tensors] == ["input0", "0.weight", "0.bias", "1.weight"]
    assert [check.name for check in report.tensors if check.verdict is Verdict.WRONG] == ["1.weight"]


def _only_contiguous(ctx: Any, *grad: Any) -> Tensor:
    (x,) = ctx.saved_tensors
    s, wide = torch.sigmoid(x), grad[0].clone(memory_format=torch.preserve_format)
    raw = wide.as_strided(wide.shape, torch.empty(wide.shape).stride()) if not wide.is_contiguous() else wide
    found: Tensor = raw * (s + x * s * (1 - s))
    return found


def _views(ctx: Any, *grad: Any) -> Tensor:
    (x,) = ctx.saved_tensors
    s = torch.sigmoid(x)
    found: Tensor = grad[0].view(-1).view(x.shape) * (s + x * s * (1 - s))
    return found


COTANGENT: dict[str, tuple[Callable[..., Any], str]] = {
    "layout": (_only_contiguous, "transposed"),
    "view": (_views, "raises"),
    "ignored": (lambda ctx, *g: torch.sigmoid(ctx.saved_tensors[0]) * (1 + ctx.saved_tensors[0]), "input0"),
    "clamped": (lambda ctx, *g: Swish.backward(ctx, g[0].clamp(-2, 2)), "not linear"),
}


@pytest.mark.parametrize("fault", COTANGENT)
def test_cotangent_faults(fault: str) -> None:
    backward, said = COTANGENT[fault]
    report = check_gradients(rewritten(Swish, backward), torch.randn(SMALL))
    assert not report.passed
    assert report.verdict is Verdict.WRONG
    assert said in str(report)


def test_scalar_output_still_shows_an_ignored_cotangent() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (x * x).sum()

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return 2 * ctx.saved_tensors[0]

    report = check_gradients(Square, torch.randn(3), order=1)
    assert report.tensors[0].verdict is Verdict.GOOD
    assert not report.passed
    assert "not linear" in str(report)


SECOND: dict[str, Callable[..., Any]] = {
    "detached": lambda ctx, *g: Swish.backward(_Saved(ctx.saved_tensors[0].detach()), *g),
    "constant part": lambda ctx, *g: (
        g[0] * Swish.backward(_Saved(ctx.saved_tensors[0]), torch.ones_like(g[0])).detach()
    ),
}


class _Saved:
    def __init__(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


@pytest.mark.parametrize("fault", SECOND)
def test_silently_wrong_double_backward_fails(fault: str) -> None:
    report = check_gradients(rewritten(Swish, SECOND[fault]), torch.randn(SMALL))
    assert all(check.verdict is Verdict.GOOD for check in report.tensors)
    assert not report.passed
    assert "double backward is wrong in input0" in str(report)
    assert check_gradients(rewritten(Swish, SECOND[fault]), torch.randn(SMALL), order=1).passed


def test_once_differentiable_is_checked_to_first_order_only() -> None:
    once = torch.autograd.function.once_differentiable(Swish.backward)
    function = rewritten(Swish, once)
    report = check_gradients(function, torch.randn(SMALL))
    assert report.verdict is Verdict.GOOD
    assert not report.second_order


def test_float32_backward_is_a_precision_finding_and_fails_under_strict() -> None:
    function = planted(Swish, lambda g: g.float().double())
    report = check_gradients(function, torch.randn(SMALL), order=1)
    assert report.passed
    assert report.verdict is Verdict.GOOD
    assert [finding.kind for finding in report.findings] == ["precision"]
    assert not check_gradients(function, torch.randn(SMALL), order=1, strict=True).passed


def test_backward_that_raises_is_a_result() -> None:
    report = check_gradients(planted(Swish, lambda g: g[0]), torch.randn(SMALL))
    assert not report.passed
    assert "the backward raised RuntimeError" in str(report)
    assert "shape" in str(report)


def test_straight_through_estimator_mismatches() -> None:
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.sign()

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return grad[0]

    report = check_gradients(Sign, torch.randn(20))
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].relative_error == 1.0


def _rounded(steps: int) -> type[torch.autograd.Function]:
    """Quantises and passes the gradient straight through."""

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return torch.round(x * steps) / steps

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return grad[0]

    return Rounded


@pytest.mark.parametrize("steps", [1, 8, 256])
def test_straight_through_is_wrong(steps: int) -> None:
    assert check_gradients(_rounded(steps), torch.randn(5), order=1).verdict is Verdict.WRONG


@pytest.mark.parametrize("steps", [4096, 65536])
def test_straight_through_that_looks_like_low_precision_is_not_called_good(steps: int) -> None:
    assert check_gradients(_rounded(steps), torch.randn(5), order=1).verdict is not Verdict.GOOD


class Root(torch.autograd.Function):
    """As in entmax: its backward takes a root of its output, which is exactly zero off the support."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(min=0) ** 2
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return 2 * grad[0] * y.sqrt()


def test_a_double_backward_that_is_nan_off_the_support_is_wrong() -> None:
    assert check_gradients(Root, torch.tensor([1.0, 2.0, 0.5])).verdict is Verdict.GOOD
    report = check_gradients(Root, torch.tensor([1.0, -2.0, 0.5]))
    assert report.tensors[0].verdict is Verdict.GOOD
    assert not report.passed
    assert "autograd returned nan or inf in 1 of 3 elements" in str(report)
