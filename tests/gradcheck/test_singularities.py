"""Beside a pole, a branch point or the edge of a domain: right gradients pass, planted wrong ones fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_gradcheck import Verdict, check_gradients
from tests.gradcheck.functions import spoilt_element

CASES: dict[str, tuple[Callable[[Tensor], Tensor], list[float]]] = {
    "reciprocal": (lambda x: 1 / x, [1e-8, 1e-6, 1.0]),
    "reciprocal, one element": (lambda x: 1 / x, [1e-7]),
    "reciprocal at the step": (lambda x: 1 / x, [1e-5, 1.0, 2.0]),
    "both sides of the pole": (lambda x: 1 / x, [1e-6, -3e-6, 0.5]),
    "pole shifted": (lambda x: 1 / (x - 1e-6), [0.0, 0.5]),
    "even pole": (lambda x: x**-2, [1e-5, *(1 + 0.1 * k for k in range(40))]),
    "third power": (lambda x: x**-3, [1e-6, 1.0]),
    "absolute pole": (lambda x: 1 / x.abs(), [1e-6, 1.0]),
    "tangent": (torch.tan, [math.pi / 2 - 1e-7, 1.0]),
    "tangent beyond": (torch.tan, [math.pi / 2 + 1e-6, 1.0]),
    "logarithm": (torch.log, [1e-7, 1e-3, 1.0]),
    "near log(0)": (torch.log, [1e-10, 0.3]),
    "root in the denominator": (torch.rsqrt, [1e-7, 1e-3, 1.0]),
    "entropy": (lambda x: -(x * x.log()), [1e-9, 0.5]),
    "arc sine": (torch.asin, [1 - 1e-8, 0.5]),
    "gamma": (torch.lgamma, [1e-6, -1 + 1e-6, 0.5]),
}
FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": lambda g: -g,
    "factor": lambda g: 1.01 * g,
    "zero": lambda g: 0 * g,
    "first sign": lambda g: torch.cat([-g[:1], g[1:]]),
}


def faulty(function: Callable[[Tensor], Tensor], fault: Callable[[Tensor], Tensor]) -> Any:
    """A Function that computes `function` and returns a gradient that `fault` made of the right one."""

    class Faulty(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return function(x)

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            with torch.enable_grad():
                x = ctx.saved_tensors[0].detach().requires_grad_()
                return fault(torch.autograd.grad(function(x), x, grad[0])[0])

    return Faulty


@pytest.mark.parametrize("mode", ["auto", "projection"])
@pytest.mark.parametrize("case", CASES)
def test_right_gradients_pass(case: str, mode: str) -> None:
    function, values = CASES[case]
    for seed in range(3):
        x = torch.tensor(values, dtype=torch.float64)
        report = check_gradients(function, x, seed=seed, mode=mode, checks=["determinism", "vjp"])
        assert report.verdict is Verdict.GOOD, str(report)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("mode", ["auto", "projection"])
@pytest.mark.parametrize("case", CASES)
def test_wrong_gradients_fail(case: str, mode: str, fault: str) -> None:
    function, values = CASES[case]
    for seed in range(2):
        x = torch.tensor(values, dtype=torch.float64)
        subject = faulty(function, FAULTS[fault])
        report = check_gradients(subject, x, seed=seed, mode=mode, checks=["determinism", "vjp"])
        assert report.verdict is Verdict.WRONG, str(report)


@pytest.mark.parametrize("function", [torch.sqrt, torch.log, lambda x: x * x.log()])
def test_a_point_without_a_derivative_is_no_fault(function: Callable[[Tensor], Tensor]) -> None:
    report = check_gradients(function, torch.tensor([0.0, 1.0], dtype=torch.float64), checks=["vjp"])
    assert report.passed, str(report)
    assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("function", [torch.log, torch.sqrt, lambda x: x / 0, lambda x: x * math.nan])
@pytest.mark.parametrize("size", [3, 3000])
def test_where_no_output_is_finite_nothing_was_seen(function: Callable[[Tensor], Tensor], size: int) -> None:
    report = check_gradients(function, -torch.ones(size))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert report.passed and not check_gradients(function, -torch.ones(size), strict=True).passed
    (check,) = report.tensors
    assert (check.reason, check.coverage) == ("domain edge", 0.0) and math.isnan(check.relative_error)
    assert "INCONCLUSIVE: domain edge\n" in str(report)
    assert [finding.kind for finding in report.findings] == ["non-finite"]


#: Functions with the edge of their domain at some of the numbers of a point, and where.
EDGES: dict[str, tuple[Callable[[Tensor], Tensor], dict[int, float]]] = {
    "root": (torch.sqrt, {3: 0.0, 30: 0.0}),
    "arc cosine": (torch.acos, {3: 1.0, 5: -1.0}),
    "entropy": (lambda x: torch.xlogy(x, x), {3: 0.0}),
    "root from above": (lambda x: (1 - x).sqrt(), {3: 1.0}),
    "logarithm": (torch.log, {3: 0.0}),
}


@pytest.mark.parametrize("size", [60, 2000])
@pytest.mark.parametrize("case", EDGES)
def test_the_edge_of_a_domain_hides_no_wrong_element(case: str, size: int) -> None:
    function, edges = EDGES[case]
    x = 0.1 + 0.8 * torch.rand(size, dtype=torch.float64)
    for position, value in edges.items():
        x[position] = value
    right = check_gradients(faulty(function, lambda g: g), x, checks=["determinism", "vjp"])
    assert (right.verdict, right.tensors[0].reason) == (Verdict.INCONCLUSIVE, "domain edge"), str(right)
    report = check_gradients(faulty(function, spoilt_element(47, -1)), x, checks=["determinism", "vjp"])
    assert report.verdict is Verdict.WRONG, str(report)
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.index == (47,)
    said = "input0: the edge of the domain at the point of the check leaves room for a fault; the values shown were"
    assert (said in str(report)) == (size == 2000)
