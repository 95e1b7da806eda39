"""Each cause on evidence that is made up: what it says, and that errors of another kind get no cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pytest_gradcheck.diagnosis import Columns, Evidence, Gradient, diagnose
from pytest_gradcheck.diagnosis.factors import origin
from pytest_gradcheck.diagnosis.outputs import BENT


class Known:
    """A Jacobian, a cotangent and what follows from them: evidence without a subject."""

    def __init__(self, seed: int, shape: tuple[int, ...] = (6, 7)) -> None:
        self.source = torch.Generator().manual_seed(seed)
        self.shape = shape
        self.values = self.randn(*shape).flatten()
        self.jacobian, self.cotangent = self.randn(self.values.numel(), 4, 5), self.randn(4, 5)
        self.numeric = (self.jacobian * self.cotangent).flatten(1).sum(1)

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.source, dtype=torch.float64)

    def evidence(self, autograd: Tensor) -> Evidence:
        everything = torch.arange(self.numeric.numel())
        return Evidence(
            name="x",
            shape=self.shape,
            positions=everything,
            autograd=autograd,
            numeric=self.numeric,
            bars=1e-12 * self.numeric.abs(),
            point=self.values,
            reached=True,
            whole=autograd,
            others=[Gradient("y", self.shape, self.randn(autograd.numel()))],
            sizes=[("the batch size", 4), ("the number of elements", autograd.numel())],
            multipliers=[("the tensor's own value", self.values)],
            measure=lambda _: Columns(everything, [self.jacobian], [self.cotangent]),
        )


#: Wrong in ways that no cause describes.
UNNAMED: dict[str, Callable[[Known], Tensor]] = {
    "noise": lambda known: known.numeric + known.randn(known.numeric.numel()),
    "noise of a percent": lambda known: known.numeric * (1 + 0.01 * known.randn(known.numeric.numel())),
    "another gradient": lambda known: known.randn(known.numeric.numel()),
    "a random factor each": lambda known: known.numeric * (known.randn(known.numeric.numel()) > 0),
    "random signs": lambda known: known.numeric * known.randn(known.numeric.numel()).sign(),
    "half of them doubled": lambda known: known.numeric * (1 + (known.randn(known.numeric.numel()) > 0)),
    "shuffled": lambda known: known.numeric[torch.randperm(known.numeric.numel(), generator=known.source)],
    "another cotangent": lambda known: (known.jacobian * known.randn(4, 5)).flatten(1).sum(1),
    "a random part of the output": lambda known: (known.jacobian * known.cotangent * (known.randn(4, 5) > 0)).sum(
        (1, 2)
    ),
    "nonlinear": lambda known: known.numeric.tanh() + 0.1 * known.numeric**2,
    "of rank five": lambda known: known.numeric + (known.randn(6, 5) @ known.randn(5, 7)).flatten(),
    "close to a sign": lambda known: -known.numeric * (1 + 1e-4 * known.randn(known.numeric.numel())),
    "close to a factor": lambda known: 2 * known.numeric * (1 + 1e-4 * known.randn(known.numeric.numel())),
    "all but one flipped": lambda known: torch.cat([known.numeric[:1] * 1.5, -known.numeric[1:]]),
}


@pytest.mark.parametrize("kind", UNNAMED)
def test_errors_of_no_known_kind_get_no_diagnosis(kind: str) -> None:
    for seed in range(50):
        known = Known(seed)
        assert diagnose(known.evidence(UNNAMED[kind](known))) is None


def test_two_elements_prove_no_pattern_that_has_a_parameter() -> None:
    for seed in range(50):
        known = Known(seed, (2,))
        cause = diagnose(known.evidence(known.randn(2)))
        assert cause is None


def test_one_element_is_called_a_sign_or_a_known_factor_but_never_any_factor() -> None:
    known = Known(0, (1,))
    flipped = diagnose(known.evidence(-known.numeric))
    assert flipped is not None
    assert flipped.said.startswith("the sign is flipped")
    assert diagnose(known.evidence(1.37 * known.numeric)) is None


def test_equal_elements_count_once() -> None:
    """A gradient of ones that lost some looks like anything: only what is true of it may be said."""
    known = Known(0, (1, 12))
    known.numeric = torch.ones(12, dtype=torch.float64)
    known.jacobian = torch.ones(12, 1, 1, dtype=torch.float64)
    known.cotangent = torch.ones(1, 1, dtype=torch.float64)
    lost = torch.tensor([0.0] + [1.0] * 11, dtype=torch.float64)
    found = diagnose(known.evidence(lost))
    assert found is not None
    assert found.said == "only 1 of 12 elements differ, at [0, 0]; all others agree; there autograd is zero"


def test_what_the_error_bars_cover_is_no_evidence() -> None:
    known = Known(1)
    evidence = replace(known.evidence(-known.numeric), bars=10 * known.numeric.abs())
    assert diagnose(evidence) is None


def test_without_measured_elements_nothing_is_said() -> None:
    known = Known(0)
    nothing = known.evidence(-known.numeric).only(torch.zeros(0, dtype=torch.long))
    assert diagnose(nothing) is None


def test_an_output_that_does_not_change_is_a_step_function_only_where_no_element_moves_it() -> None:
    known = Known(0)
    passed = known.numeric
    known.numeric = torch.zeros_like(passed)
    found = diagnose(known.evidence(passed))
    assert found is not None
    assert found.said.startswith(
        "the output does not change with x: numeric is 0 in all 42 elements measured, as behind"
    )
    negative = (known.values < 0).nonzero().flatten()
    relu = diagnose(replace(known.evidence(passed).only(negative), complete=True))
    assert relu is None or "does not change" not in relu.said
    known.numeric = passed * (torch.arange(42) == 3)
    moved = diagnose(known.evidence(passed))
    assert moved is None or "does not change" not in moved.said


@pytest.mark.parametrize("said", BENT)
def test_every_way_to_bend_a_cotangent_is_named(said: str) -> None:
    known = Known(3)
    bent = (known.jacobian * BENT[said](known.cotangent)).flatten(1).sum(1)
    found = diagnose(known.evidence(bent))
    assert found is not None
    assert found.said == f"the incoming gradient {said}"


ORIGINS = {
    2.0: "a forgotten or doubled 2",
    0.5: "a forgotten 2, or a 1/2 too many",
    -2.0: "a wrong sign and a 2",
    -0.5: "a wrong sign and a 1/2",
    1 / 6: "a mean where a sum belongs, 6 is the batch size",
    6.0: "a sum where a mean belongs, 6 is the batch size",
    6**-0.5: "a scale of 1/sqrt(6) too many, 6 is the batch size",
    6**0.5: "a scale of 1/sqrt(6) forgotten, 6 is the batch size",
    6 / 5: "N - 1 where N belongs, N = 6 is the batch size",
    5 / 6: "N where N - 1 belongs, N = 6 is the batch size",
    1 / 7: "a mean where a sum belongs, 7 is the width or the height",
}


@pytest.mark.parametrize("value", ORIGINS)
def test_factors_of_known_origin(value: float) -> None:
    sizes = [("the batch size", 6), ("the width", 7), ("the height", 7), ("one", 1), ("two", 2)]
    assert origin(value, sizes) == f" ({ORIGINS[value]}?)"
    assert origin(value * 1.001, sizes) == ""


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "is left out"), (-1.0, "has the wrong sign"), (0.3, "counts 0.3 times")]
)
def test_one_row_of_the_output_in_words(value: float, said: str) -> None:
    known = Known(4)
    weights = torch.ones(4, 5, dtype=torch.float64)
    weights[3] = value
    found = diagnose(known.evidence((known.jacobian * known.cotangent * weights).flatten(1).sum(1)))
    assert found is not None
    assert found.said == f"index 3 (the last) of axis 0 of the output {said}, the others are right"


def test_the_border_of_the_output() -> None:
    known = Known(5)
    weights = torch.ones(4, 5, dtype=torch.float64)
    weights[:, [0, -1]] = 0
    found = diagnose(known.evidence((known.jacobian * known.cotangent * weights).flatten(1).sum(1)))
    assert found is not None
    assert found.said == "the border of axis 1 of the output is left out, the others are right"


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "the gradient is flipped along axis 0: autograd = numeric.flip(0)": lambda g: g.flip(0),
    "the gradient is flipped along axes 0 and 1: autograd = numeric.flip(0, 1)": lambda g: g.flip(0, 1),
    "the gradient is rolled along axis 1 by -2: autograd = numeric.roll(-2, 1)": lambda g: g.roll(-2, 1),
}


@pytest.mark.parametrize("said", MOVES)
def test_moves_are_said_as_code(said: str) -> None:
    known = Known(6)
    found = diagnose(known.evidence(MOVES[said](known.numeric.reshape(known.shape)).flatten()))
    assert found is not None
    assert found.said == said
