"""Element-wise differences in batches: the same numbers as one by one, and a fallback where they cannot be trusted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks import batched, measure
from pytest_gradcheck.model import Report
from tests.gradcheck.functions import Swish, planted, rewritten

MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(6, 5), (3, 6)),
    "conv": (nn.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    "dropout": (nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5)), (3, 6)),
    "batch norm": (nn.Sequential(nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5)), (4, 6)),
    "complex": (nn.Linear(4, 3, dtype=torch.complex64), (2, 4)),
    "many elements": (nn.Linear(12, 10), (2, 12)),
    "lstm": (nn.LSTM(3, 4), (3, 2, 3)),
    "gru": (nn.GRU(3, 4), (3, 2, 3)),
    "rnn": (nn.RNN(3, 4, nonlinearity="relu"), (3, 2, 3)),
}


def both(monkeypatch: pytest.MonkeyPatch, subject: Any, x: Tensor) -> tuple[Report, Report, int]:
    """The report with batches, the report without, and how many leaves were measured in a batch."""
    used = []
    original = batched.estimate

    def counted(*arguments: Any) -> Any:
        found = original(*arguments)
        used.append(found is not None)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(measure, "estimate", counted)
        together = check_gradients(subject, x, checks=["vjp"], mode="elementwise")
        patch.setattr(batched, "WORTH", 10**9)
        alone = check_gradients(subject, x, checks=["vjp"], mode="elementwise")
    return together, alone, sum(used)


@pytest.mark.parametrize("case", MODULES)
def test_batches_give_the_same_numbers(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, shape = MODULES[case]
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.complex64 if case == "complex" else None)
    together, alone, used = both(monkeypatch, module, x)
    assert used, "no batch was measured: this proves nothing"
    for one, other in zip(together.tensors, alone.tensors, strict=True):
        assert one.verdict is other.verdict is Verdict.GOOD
        assert one.coverage == other.coverage == 1.0
        assert one.worst is not None
        assert abs(one.worst.numeric - one.worst.autograd) < 1e-8


class Sneaky(nn.Module):
    """Computes something else under vmap."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 3 if torch._C._functorch.is_batchedtensor(x) else x * 2


def test_a_batch_that_computes_something_else_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    together, alone, used = both(monkeypatch, Sneaky(), torch.randn(20) + 3)
    assert not used
    assert together.tensors == alone.tensors
    assert together.verdict is Verdict.GOOD


class Cached(nn.Module):
    """Reads its weight from where no stand-in can be put."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(20))
        self.again = lambda: self.weight
        weight = self.weight
        self.read = lambda: weight

    def __deepcopy__(self, memo: Any) -> Any:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.read() * x  # type: ignore[no-untyped-call]


def test_a_stand_in_that_is_not_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    together, alone, used = both(monkeypatch, Cached(), torch.rand(20))
    assert used == 1, "the input can be batched, the weight cannot"
    assert together.verdict is alone.verdict is Verdict.GOOD


@pytest.mark.parametrize("index", [0, 777, 1199])
def test_one_wrong_element_of_many_is_found_and_named(index: int) -> None:
    def backward(ctx: Any, *grad: Any) -> Any:
        found = Swish.backward(ctx, *grad).clone()
        found.view(-1)[index] *= 1.01
        return found

    report = check_gradients(rewritten(Swish, backward), torch.randn(1200), mode="elementwise", checks=["vjp"])
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.index == (index,)
    assert report.tensors[0].coverage == 1.0


def test_a_sign_that_is_wrong_everywhere_is_found_in_bulk() -> None:
    report = check_gradients(planted(Swish, lambda g: -g), torch.randn(600), mode="elementwise", checks=["vjp"])
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].relative_error == pytest.approx(1.0)


def test_what_vmap_cannot_run_is_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    branching = lambda x: x * 2 if float(x.detach().sum()) > 0 else x * 3  # noqa: E731  data-dependent: vmap refuses it
    together, _, used = both(monkeypatch, branching, torch.rand(20))
    assert not used
    assert together.verdict is Verdict.GOOD
    assert both(monkeypatch, Swish, torch.randn(20))[0].verdict is Verdict.GOOD


def test_batches_leave_buffers_and_parameters_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = nn.BatchNorm1d(5)
    before = {name: (id(value), value.clone()) for name, value in norm.state_dict(keep_vars=True).items()}
    check_gradients(lambda x: norm(x), torch.randn(4, 5))
    for name, value in norm.state_dict(keep_vars=True).items():
        assert id(value) == before[name][0]
        assert torch.equal(value, before[name][1])


def test_chunks_cover_every_element(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "ROOM", 1)
    x = torch.randn(11)
    report = check_gradients(lambda x: x**3, x, checks=["vjp"])
    assert report.tensors[0].coverage == 1.0
    assert report.verdict is Verdict.GOOD
