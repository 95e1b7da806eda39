"""Every planted fault gets its own diagnosis, and none gets another's; random errors get none, or a true one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks import locate
from pytest_gradcheck.checks.base import Deadline
from pytest_gradcheck.model import TensorCheck
from tests.gradcheck.faults import FAULTS, FunctionClass
from tests.gradcheck.functions import MatMul, Swish, Unconjugated, planted, rewritten


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
    for shape in ((3,), (30, 20)):
        z = torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
        assert check_gradients(Unconjugated, z, checks=["vjp"]).verdict is Verdict.WRONG
