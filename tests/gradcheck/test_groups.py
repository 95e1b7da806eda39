"""Elements moved at once: only where no output depends on two of them, and with the numbers of single moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks import batched
from pytest_gradcheck.checks.groups import Groups
from pytest_gradcheck.model import Report


def looked(monkeypatch: pytest.MonkeyPatch, subject: Any, *inputs: Tensor) -> tuple[Report, dict[str, list[Tensor]]]:
    """The element-wise report, and the colours along each axis of every leaf whose elements were moved together."""
    found: dict[str, list[Tensor]] = {}
    original = batched.Rows.together

    def watched(self: batched.Rows, groups: Groups, *arguments: Any) -> Tensor:
        answer = original(self, groups, *arguments)
        found[self._leaf.name] = [axis.colours for axis in groups._axes]
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(batched.Rows, "together", watched)
        return check_gradients(subject, *inputs, checks=["vjp"], mode="elementwise"), found


def exact(report: Report) -> bool:
    """Whether every element was measured and agrees to rounding."""
    return all(
        check.verdict is Verdict.GOOD and check.coverage == 1.0 and check.relative_error < 1e-8
        for check in report.tensors
    )


CASES: dict[str, tuple[nn.Module, tuple[int, ...], dict[str, list[int]]]] = {
    # A row of the weight moves its column of the output; a sample of the batch its own row.
    "linear": (nn.Linear(16, 20), (8, 16), {"input0": [1, 16], "weight": [1, 16]}),
    # A kernel of width 2 reaches two outputs: every second pixel can move at once.
    "conv": (nn.Conv2d(3, 16, 2), (2, 3, 9, 10), {"input0": [1, 3, 2, 2], "weight": [1, 3, 2, 2]}),
    "complex": (nn.Linear(16, 20, dtype=torch.complex64), (16, 16), {"input0": [1, 16, 2], "weight": [1, 16, 2]}),
    "norm in eval": (nn.BatchNorm1d(40).eval(), (10, 40), {"input0": [1, 40]}),
    # The samples meet in the statistics; only the features stay apart.
    "norm in training": (nn.BatchNorm1d(12), (160, 12), {"input0": [160, 1]}),
    "dropout": (nn.Sequential(nn.Linear(16, 20), nn.Dropout(0.5)), (8, 16), {"input0": [1, 16], "0.weight": [1, 16]}),
    "two outputs": (nn.LSTM(8, 3), (3, 4, 8), {"input0": [3, 1, 8]}),
}


@pytest.mark.parametrize("case", CASES)
def test_groups_are_those_of_the_layer_and_the_numbers_are_right(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, shape, expected = CASES[case]
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.complex64 if case == "complex" else None)
    report, found = looked(monkeypatch, module, x)
    assert exact(report), report
    assert {name: [len(set(axis.tolist())) for axis in axes] for name, axes in found.items()} == expected


def test_many_elements_cost_few_evaluations() -> None:
    report = check_gradients(nn.Linear(64, 64), torch.randn(8, 64), checks=["vjp"], mode="elementwise")
    assert exact(report)
    assert report.forward_calls < 1_200, "4,672 elements; two evaluations each would be 9,344"


class Coupled(nn.Module):
    """Rows that do not know of each other but for a coupling, which the graph knows or (detached) does not."""

    def __init__(self, strength: float, kind: str, detached: bool) -> None:
        super().__init__()
        self.strength, self.kind, self.detached = strength, kind, detached

    def forward(self, x: Tensor) -> Tensor:
        from_others = {
            "always": lambda: x.roll(1, 0),
            "one element": lambda: x[5, 3],
            "largest": lambda: x.amax(),
            "where positive": lambda: x.roll(1, 0).clamp(min=0.0),
        }[self.kind]()
        return x.sin() + self.strength * (from_others.detach() if self.detached else from_others)


KINDS = ["always", "one element", "largest", "where positive"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [1.0, 1e-3, 1e-9])
def test_coupled_rows_are_never_moved_together(kind: str, strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(16, 20)
    report, found = looked(monkeypatch, Coupled(strength, kind, detached=False), x)
    assert exact(report)
    rows = found["input0"][0] if found else torch.arange(16)
    reaches_all = {"one element": 5, "largest": int(x.amax(1).argmax())}
    if kind in reaches_all:
        assert int((rows == rows[reaches_all[kind]]).sum()) == 1, "the row that reaches all others moves alone"
    else:
        assert not (rows == rows.roll(1)).any(), "each row reaches the next: every second may move"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [1.0, 1e-2])
def test_a_coupling_that_backward_forgets_is_found(kind: str, strength: float) -> None:
    report = check_gradients(Coupled(strength, kind, detached=True), torch.randn(16, 20), mode="elementwise")
    assert report.tensors[0].verdict > Verdict.INCONCLUSIVE, report


def test_one_wrong_element_in_a_group_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            spoilt = torch.zeros_like(self.weight)
            spoilt[7, 3] = 0.05
            weight = self.weight - spoilt * (self.weight - self.weight.detach())
            return nn.functional.linear(x, weight, self.bias)

    report, found = looked(monkeypatch, Wrong(16, 20), torch.randn(4, 16))
    assert "weight" in found, "nothing was moved together: this proves nothing"
    wrong = next(check for check in report.tensors if check.name == "weight")
    assert wrong.verdict is Verdict.WRONG
    assert wrong.worst is not None
    assert wrong.worst.index == (7, 3)


def test_a_group_that_moves_what_it_should_not_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the reaches wrong, the sample of single moves would contradict them."""
    used = []
    original = batched._grouped

    def spoilt(*arguments: Any) -> Any:
        found = original(*arguments)
        used.append(found is not None)
        return found

    monkeypatch.setattr("pytest_gradcheck.checks.groups._reaches", _blind)
    monkeypatch.setattr(batched, "_grouped", spoilt)
    assert exact(
        check_gradients(Coupled(1.0, "always", False), torch.randn(16, 20), checks=["vjp"], mode="elementwise")
    )
    assert used == [False]


def _blind(_: Any, leaf: Any, k: int, order: list[int]) -> Any:
    """Reaches as if every element moved only the output of its own index."""
    place = torch.arange(leaf.numel).view(leaf.tensor.shape)
    for where in order:
        reach = torch.zeros(leaf.numel, dtype=torch.bool)
        reach[place.select(k, where).reshape(-1)] = True
        yield where, reach


def test_a_gate_that_only_a_joint_move_crosses_does_no_harm() -> None:
    def gated(x: Tensor) -> Tensor:
        return torch.where(x.sum() > 0, x * x, 3 * x)

    x = torch.randn(16, 20, dtype=torch.float64)
    # One step of one element, 1e-5, leaves the sum positive; one of 320 elements at once does not.
    report = check_gradients(gated, x - x.mean() + 1e-4 / x.numel(), checks=["vjp"], mode="elementwise")
    assert exact(report), report


def test_off_the_domain_elements_are_moved_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def root(x: Tensor) -> Tensor:
        factor: Tensor = torch.linalg.cholesky(x @ x.mT + 1e-3 * torch.eye(4))
        return factor

    def positive(x: Tensor) -> Tensor:
        return x.log()

    report, found = looked(monkeypatch, positive, torch.rand(16, 20) + 0.5)
    assert exact(report)
    assert not found
    assert looked(monkeypatch, root, torch.randn(30, 4, 4) + 3 * torch.eye(4))[0].verdict is Verdict.GOOD


def test_leaves_are_left_where_they_were() -> None:
    module, x = nn.Linear(16, 20), torch.randn(8, 16)
    before = [x.clone(), *(parameter.detach().clone() for parameter in module.parameters())]
    check_gradients(module, x, checks=["vjp"], mode="elementwise")
    assert all(torch.equal(now, then) for now, then in zip([x, *module.parameters()], before, strict=True))
