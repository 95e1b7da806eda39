"""Noise levels, kinks, directions and the judgement."""

from __future__ import annotations

import math
import random
import struct

import pytest
import torch

from pytest_gradcheck.model import Verdict
from pytest_gradcheck.numerics.comparison import judge
from pytest_gradcheck.numerics.directions import BLOCK, Tangent, generator, inner, signed
from pytest_gradcheck.numerics.kink import Shape, look_closer
from pytest_gradcheck.numerics.noise import coarse_noise, fine_noise
from tests.numerics.test_stencil import line_of

BANDS = (1e-5, 1e-3)


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("level", [1e-12, 1e-9, 1e-6])
def test_noise_level_is_found_within_a_factor_of_four(level: float) -> None:
    source = random.Random(0)
    line = line_of(lambda x: math.sin(x) + source.gauss(0, level), 0.4)
    assert level / 4 < coarse_noise(line) < 4 * level


def test_float32_rounding_is_noise() -> None:
    def rounded(x: float) -> float:
        value: float = struct.unpack("f", struct.pack("f", math.sin(x) + 1))[0]
        return value

    assert 1e-9 < coarse_noise(line_of(rounded, 0.4)) < 1e-6


def test_smooth_function_has_rounding_only() -> None:
    assert max(fine_noise(line_of(math.exp, 0.4)), coarse_noise(line_of(math.exp, 0.4))) < 1e-14
    assert fine_noise(line_of(lambda x: 3.0, 0.4)) == coarse_noise(line_of(lambda x: 3.0, 0.4)) == 0.0


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (abs, Shape.KINK),
        (lambda x: max(x, 0.0), Shape.KINK),
        (lambda x: abs(x - 3e-6), Shape.SMOOTH),
        (lambda x: x * x + x, Shape.SMOOTH),
        (lambda x: 1 / (x + 1e-8), Shape.UNCLEAR),  # a jump from afar, not from near
        (lambda x: 1e-8 * math.log1p(math.exp(min(x / 1e-8, 700))) if x < 5e-6 else x, Shape.UNCLEAR),  # a bend
        (lambda x: math.copysign(1, x), Shape.JUMP),
        (lambda x: x / max(abs(x), 1e-12), Shape.JUMP),
        (lambda x: math.sqrt(x) if x >= 0 else math.nan, Shape.EDGE),
    ],
)
def test_shape_of_a_point(function: object, shape: Shape) -> None:
    assert look_closer(line_of(function, 0.0), 1e-5, 1e-17).shape is shape  # type: ignore[arg-type]


@pytest.mark.parametrize("slope", [0.0, 1e-12])
@pytest.mark.parametrize("sigmas", [-12, -3, 3, 12])
def test_an_error_of_the_value_at_the_point_is_no_jump(sigmas: float, slope: float) -> None:
    # It is in every change alike, so both slopes grow tenfold with a tenth of the step.
    noise = 1e-16
    corner = look_closer(lambda step: (slope * step + sigmas * noise, step), 1e-5, noise)
    assert corner.shape is not Shape.JUMP


@pytest.mark.parametrize("height", [1.0, 1e-3])
def test_a_jump_at_the_point_is_no_noise(height: float) -> None:
    assert fine_noise(line_of(lambda x: math.sin(x) + height * (x > 0.4), 0.4)) < 1e-14
    assert fine_noise(line_of(lambda x: math.sin(x) + height * (x >= 0.4), 0.4)) < 1e-14


def test_subgradients_are_admitted_and_nothing_else() -> None:
    corner = look_closer(line_of(lambda x: max(x, 0.0) * 2 + x, 0.0), 1e-5, 1e-17)
    assert (corner.low, corner.high) == pytest.approx((1, 3))
    assert corner.admits(1.0)
    assert corner.admits(2.5)
    assert not corner.admits(0.9)
    assert not corner.admits(3.1)


def test_directions_are_signed_bounded_and_reproducible() -> None:
    like = torch.zeros(4000, dtype=torch.float64)
    first, second = signed(like, generator(1, "a")), signed(like, generator(1, "a"))
    assert torch.equal(first, second)
    assert not torch.equal(first, signed(like, generator(2, "a")))
    assert not torch.equal(first, signed(like, generator(1, "b")))
    assert float(first.abs().min()) >= 0.5
    assert float(first.abs().max()) <= 1.5
    assert abs(float(first.sign().mean())) < 0.1


@pytest.mark.parametrize("shape", [(7,), (BLOCK + 1,), (3, BLOCK)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_tangents_are_their_dense_form(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    like = torch.zeros(shape, dtype=dtype)
    tangent = Tangent(like, generator(3, "t"))
    dense = tangent.dense()
    gradient = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert tangent.along(gradient) == pytest.approx(inner(gradient, dense))
    moved = torch.ones(shape, dtype=dtype)
    tangent.scaled(2.0).shift(moved, 0.5)
    assert torch.allclose(moved - 1, dense)
    assert float((torch.view_as_real(dense) if dtype.is_complex else dense).abs().min()) >= 0.25
    middle = tangent.part(2, 5)
    assert int((middle.dense() != 0).sum()) in (2, 3)  # a complex element counts twice
    turned = torch.ones(shape[::-1], dtype=dtype).permute(*range(len(shape))[::-1])
    tangent.shift(turned, 0.5)
    assert torch.allclose(turned - 1, 0.5 * dense)


def test_inner_product_is_real() -> None:
    z = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128)
    assert inner(z, z) == pytest.approx(float((z.conj() * z).sum().real))


def test_ratio_of_record() -> None:
    def ratio(autograd: torch.Tensor, numeric: torch.Tensor) -> float:
        return judge(autograd, numeric, torch.zeros_like(numeric), BANDS).relative_error

    assert ratio(vector(2.0), vector(1.0)) == pytest.approx(1 / 3)
    assert ratio(vector(0.0), vector(0.0)) == 0.0
    doubled = vector(*[1.0] * 400)
    doubled[0] = 2.0
    assert ratio(doubled, vector(*[1.0] * 400)) == pytest.approx(1 / (2 * math.sqrt(400)), rel=1e-2)


@pytest.mark.parametrize(
    ("autograd", "numeric", "bar", "verdict", "proven"),
    [
        (1.0, 1.0 + 1e-7, 1e-6, Verdict.GOOD, False),
        (1.0, 1.0, 1e-3, Verdict.INCONCLUSIVE, False),
        (1.0, 1.0 + 1e-6, 1e-9, Verdict.GOOD, True),
        (1.0, 1.0 + 1e-4, 1e-9, Verdict.SUSPICIOUS, True),
        (1.0, 1.0 + 1e-4, 6e-5, Verdict.SUSPICIOUS, False),
        (1.0, 1.0 + 1e-4, 2e-4, Verdict.INCONCLUSIVE, False),
        (1.0, 2.0, 1e-9, Verdict.WRONG, True),
        (1.0, 2.0, 0.9, Verdict.INCONCLUSIVE, False),
        (0.0, 0.0, 0.0, Verdict.GOOD, False),
        (0.0, 1e-12, 1e-11, Verdict.INCONCLUSIVE, False),
        (-1e-6, 1e-6, 1e-11, Verdict.WRONG, True),
        (math.nan, 1.0, 1e-9, Verdict.WRONG, True),
        (math.nan, math.nan, math.inf, Verdict.INCONCLUSIVE, False),
        (1.0, math.nan, math.inf, Verdict.INCONCLUSIVE, False),
    ],
)
def test_judgement(autograd: float, numeric: float, bar: float, verdict: Verdict, proven: bool) -> None:
    found = judge(vector(autograd), vector(numeric), vector(bar), BANDS)
    assert (found.verdict, found.proven) == (verdict, proven)
    assert (found.reason is None) == (verdict is not Verdict.INCONCLUSIVE)
