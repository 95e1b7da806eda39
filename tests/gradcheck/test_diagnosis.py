"""Every planted fault gets its own diagnosis, and none gets another's; random errors get none, or a true one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks import locate
from pytest_gradcheck.checks.base import Deadline
from pytest_gradcheck.diagnosis import Columns, Evidence, Gradient, diagnose
from pytest_gradcheck.diagnosis.factors import origin
from pytest_gradcheck.diagnosis.outputs import BENT
from pytest_gradcheck.model import TensorCheck
from tests.gradcheck.faults import FAULTS, FunctionClass
from tests.gradcheck.functions import MatMul, Swish, planted, rewritten


def diagnosed(
    function: FunctionClass, shapes: tuple[Any, ...], wrong: str, seed: int = 0, **options: Any
) -> TensorCheck:
    source = torch.Generator().manual_seed(seed + 1)
    inputs = [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]
    report = check_gradients(function, *inputs, checks=["vjp"], seed=seed, **options)
    (check,) = (check for check in report.tensors if check.name == wrong)
    return check


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_gets_its_diagnosis(fault: str, size: str) -> None:
    case = FAULTS[fault]
    shapes = case.small if size == "small" else case.large
    check = diagnosed(case.function, shapes, case.wrong)
    assert check.verdict is Verdict.WRONG
    assert case.said in (check.diagnosis or "")
    assert check.confidence is not None
    assert 0.995 <= check.confidence <= 1.0


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


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_all_wrong_elements_of_many_are_found_and_named(count: int) -> None:
    shape = (60, 50)
    source = torch.Generator().manual_seed(count)
    places = sorted(torch.randperm(3000, generator=source)[:count].tolist())

    def spoil(g: Tensor) -> Tensor:
        scale = torch.ones_like(g).flatten()
        scale[places] = 1.5
        return g * scale.view_as(g)

    check = diagnosed(planted(Swish, spoil), (shape,), "input0", seed=count)
    named = ", ".join(str(list(divmod(place, 50))) for place in places[:5])
    assert check.diagnosis is not None
    assert check.diagnosis.startswith(f"only {count} of 3,000 elements differ, at {named}")
    assert check.worst is not None
    assert check.worst.index in [divmod(place, 50) for place in places]


@pytest.mark.parametrize("count", [1, 3])
def test_wrong_weights_of_a_million_cost_some_hundred_forward_calls(count: int) -> None:
    places = [123_456, 500_001, 999_999][:count]

    def spoil(a: Tensor, b: Tensor) -> Any:
        wrong = b.clone()
        wrong.view(-1)[places] *= -2
        return a, wrong

    torch.manual_seed(0)
    x, weight = torch.randn(2, 1000), torch.randn(1000, 1000)
    report = check_gradients(planted(MatMul, spoil), x, weight, checks=["vjp"])
    (check,) = (check for check in report.tensors if check.name == "input1")
    named = ", ".join(str(list(divmod(place, 1000))) for place in places)
    assert check.diagnosis is not None
    assert f"only {count} of 1,000,000 elements differ, at {named}; all others agree" in check.diagnosis
    assert "there autograd = -2 x numeric" in check.diagnosis or count == 1
    # Bisection costs about twenty cuts of four calls an element; the rest is the sample beside them.
    assert report.forward_calls < 460 + 500


def test_an_error_everywhere_in_a_large_tensor_is_not_bisected() -> None:
    torch.manual_seed(0)
    report = check_gradients(planted(MatMul, lambda a, b: (a, b * b.detach().sign())), torch.randn(3, 300),
                             torch.randn(300, 300), checks=["vjp"])  # fmt: skip
    assert report.verdict is Verdict.WRONG
    assert report.tensors[1].diagnosis is None
    assert report.forward_calls < 800


def _spoilt(mask: Callable[[Tensor], Tensor]) -> FunctionClass:
    """Swish whose gradient has random errors where the mask is set: no factor, no sign, only a place."""

    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return Swish.backward(ctx, *grad) * torch.where(mask(x), 1 + (1e3 * x).sin().abs(), 1.0)

    return rewritten(Swish, backward, "Spoilt")


def _index(x: Tensor, axis: int) -> Tensor:
    return torch.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.dim())]).expand(x.shape)


#: Places that come close to one that has a name, and what must not be said of them.
NEARLY: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "half of a row": (lambda x: (_index(x, 0) == 7) & (_index(x, 1) < x.shape[1] // 2), (60, 80)),
    "half of a row of a small one": (lambda x: (_index(x, 0) == 3) & (_index(x, 1) < 4), (6, 8)),
    "every other row": (lambda x: _index(x, 0) % 2 == 0, (60, 80)),
    "a block in the middle": (lambda x: (_index(x, 0) > 20) & (_index(x, 0) < 40) & (_index(x, 1) > 50), (60, 80)),
    "half of the tail": (lambda x: (_index(x, 0) >= 48) & (_index(x, 1) >= 40), (60, 80)),
    "one side of the border": (lambda x: (_index(x, 0) == 0) | (_index(x, 1) == 0), (60, 80)),
    "a tenth at random": (lambda x: (1e4 * x).sin() > 0.95, (60, 80)),
    "half of the negative ones": (lambda x: (x < 0) & ((1e4 * x).sin() > 0), (60, 80)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("place", NEARLY)
def test_places_that_come_close_to_a_named_one_are_not_called_so(place: str, seed: int) -> None:
    mask, shape = NEARLY[place]
    check = diagnosed(_spoilt(mask), (shape,), "input0", seed)
    assert check.verdict is Verdict.WRONG
    assert not (check.diagnosis or "").startswith("wrong only"), check.diagnosis


def test_without_measured_elements_nothing_is_said() -> None:
    known = Known(0)
    nothing = known.evidence(-known.numeric).only(torch.zeros(0, dtype=torch.long))
    assert diagnose(nothing) is None


def test_a_budget_that_ends_while_looking_for_the_cause_does_not_hide_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The budget ends at the moment when the explanation starts."""
    real = locate.locate

    def late(context: Any, comparison: Any) -> Any:
        context.deadline = Deadline(0.0)
        return real(context, comparison)

    monkeypatch.setattr(locate, "locate", late)
    check = diagnosed(planted(Swish, lambda g: 2 * g), ((40, 30),), "input0", budget=600.0, mode="projection")
    assert check.verdict is Verdict.WRONG
    assert check.diagnosis is None


#: Subjects with a wrong gradient that no cause describes, and outputs of every awkward shape.
AWKWARD: dict[str, tuple[Callable[[Tensor], Any], tuple[int, ...]]] = {
    "a scalar": (lambda y: y.sum(), (4, 5)),
    "scalars": (lambda y: (y.sum(), y.prod()), (4, 5)),
    "an empty output beside": (lambda y: (y, y[:0]), (4, 5)),
    "a scalar of a scalar": (lambda y: y * 1.0, ()),
    "one element": (lambda y: y.sum(), (1,)),
    "complex": (lambda y: torch.complex(y, y**2), (4, 5)),
    "four axes": (lambda y: y, (2, 3, 2, 3)),
    "a scalar of many": (lambda y: y.sum(), (30, 40)),
    "large and empty axes": (lambda y: y.unsqueeze(1), (400,)),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_outputs_of_every_shape_can_be_diagnosed(case: str) -> None:
    after, shape = AWKWARD[case]
    spoilt = _spoilt(lambda x: (1e4 * x).sin() > -0.5)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    report = check_gradients(lambda x: after(spoilt.apply(x)), x, checks=["vjp"])  # type: ignore[no-untyped-call]
    assert report.verdict is Verdict.WRONG, str(report)


def test_complex_tensors_can_be_diagnosed() -> None:
    class Conjugated(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor) -> Tensor:
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * grad[0]  # the conjugate is missing

    for shape in ((3,), (30, 20)):
        z = torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
        assert check_gradients(Conjugated, z, checks=["vjp"]).verdict is Verdict.WRONG


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
