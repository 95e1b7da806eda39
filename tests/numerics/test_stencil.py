"""Difference quotients: their orders, their bars, and the calibration that shows how often a bar is broken."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pytest_gradcheck.numerics.noise import fine_noise
from pytest_gradcheck.numerics.stencil import Derivative, Line, calibrated, central, one_sided, richardson, sweep

Functions = dict[str, tuple[Callable[[float], float], Callable[[float], float]]]
FUNCTIONS: Functions = {
    "sin": (math.sin, math.cos),
    "exp": (math.exp, math.exp),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "fast": (lambda x: math.sin(1e4 * x), lambda x: 1e4 * math.cos(1e4 * x)),
    "tiny": (lambda x: 1e-9 * math.sin(x), lambda x: 1e-9 * math.cos(x)),
    "offset": (lambda x: 1e6 + math.sin(x), math.cos),
    "tanh": (lambda x: math.tanh(5 * x), lambda x: 5 / math.cosh(5 * x) ** 2),
    "quartic": (lambda x: (x - 1) ** 4 + x, lambda x: 4 * (x - 1) ** 3 + 1),
    "rational": (lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2),
    "log": (lambda x: math.log(x + 4), lambda x: 1 / (x + 4)),
}
#: Two steps cannot see these; the engine believes two steps only where they agree with autograd.
SINGULAR: Functions = {
    "pole": (lambda x: 1 / (x + 2.7000001), lambda x: -1 / (x + 2.7000001) ** 2),
    "branch": (lambda x: math.sqrt(x + 2.7000001), lambda x: 0.5 / math.sqrt(x + 2.7000001)),
}
POINTS = [-2.7 + 0.23 * k for k in range(25)]


def line_of(function: Callable[[float], float], x: float) -> Line:
    def line(step: float) -> tuple[float, float]:
        try:
            return function(x + step) - function(x), (x + step) - x
        except ValueError:  # off the domain
            return math.nan, step

    return line


def test_central_quotient_is_second_order_and_richardson_fourth() -> None:
    line = line_of(math.exp, 0.3)
    second = [abs(central(line, h) - math.exp(0.3)) for h in (0.1, 0.05)]
    fourth = [abs(richardson(line, h, 0.0).value - math.exp(0.3)) for h in (0.1, 0.05)]
    assert second[0] / second[1] == pytest.approx(4, rel=0.02)
    assert fourth[0] / fourth[1] == pytest.approx(16, rel=0.02)


def at_eps(line: Line, noise: float) -> Derivative:
    return richardson(line, 1e-5, noise)


@pytest.mark.parametrize(
    ("estimate", "functions"), [(at_eps, FUNCTIONS), (sweep, FUNCTIONS | SINGULAR)], ids=["at_eps", "sweep"]
)
def test_error_bars_are_honest(estimate: Callable[[Line, float], Derivative], functions: Functions) -> None:
    excesses = []
    for function, derivative in functions.values():
        for x in POINTS:
            line = line_of(function, x)
            found = estimate(line, max(fine_noise(line), 2**-53 * abs(function(x))))
            excesses.append(abs(found.value - derivative(x)) / found.bar)
    broken, worst = sum(excess > 1 for excess in excesses), max(excesses)
    print(f"{estimate.__name__}: bar broken {broken} times of {len(excesses)}, by at most {worst:.2f} x")
    assert worst < 3, "a difference of three bars counts as proven"
    assert broken <= len(excesses) // 50


def test_calibrated_step_suits_the_function() -> None:
    lines = [line_of(FUNCTIONS[name][0], 0.3) for name in ("sin", "fast")]
    slow, fast = (calibrated(line, fine_noise(line)).step for line in lines)
    assert fast < 1e-6 < slow


def test_sweep_resolves_what_a_fixed_step_cannot() -> None:
    function, derivative = FUNCTIONS["fast"]
    line = line_of(function, 0.3)
    fixed, best = richardson(line, 1e-5, 1e-16), sweep(line, 1e-16)
    assert fixed.bar > 1e-5 * abs(derivative(0.3))
    assert best.bar < 1e-6 * abs(derivative(0.3))


def test_steps_off_the_domain_are_passed_over() -> None:
    def root(x: float) -> float:
        return math.sqrt(x) if x >= 0 else math.nan

    assert math.isnan(richardson(line_of(root, 1e-6), 1e-5, 0.0).value)
    found = sweep(line_of(root, 1e-6), 1e-19)
    assert found.value == pytest.approx(500, rel=1e-6)
    assert sweep(line_of(root, -1.0), 0.0).bar == math.inf


@pytest.mark.parametrize("side", [1, -1])
def test_one_sided_derivative_at_the_edge(side: int) -> None:
    def edge(x: float) -> float:
        return math.sin(x + 1) if x * side >= 0 else math.nan

    found = one_sided(line_of(edge, 0.0), 1e-16, side)
    assert found.value == pytest.approx(math.cos(1), abs=1e-8)
    assert abs(found.value - math.cos(1)) <= found.bar


def test_displacement_is_what_floating_point_made_of_the_step() -> None:
    assert central(line_of(lambda x: 2 * x, 1e8), 1e-5) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("near", [1e-4, 1e-6, 1e-8, 1e-10])
def test_steps_across_a_pole_do_not_count(near: float) -> None:
    line = line_of(lambda x: 1 / x if x else math.inf, near)
    found = sweep(line, max(fine_noise(line, rounding=1e-16 / near), 1e-16 / near))
    assert abs(found.value + near**-2) <= found.bar
    assert found.bar <= 1e-5 * near**-2


@pytest.mark.parametrize("function", [lambda x: x * math.log(x) if x else 0.0, lambda x: math.sqrt(x)])
def test_a_quotient_that_never_settles_is_not_believed(function: Callable[[float], float]) -> None:
    assert one_sided(line_of(function, 0.0), 1e-18, 1).bar == math.inf
