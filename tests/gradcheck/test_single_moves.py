"""Rows that each move one element: the same numbers as rows in full, whatever the forward makes of the tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks import batched
from pytest_gradcheck.subjects.decomposed import Decomposed
from pytest_gradcheck.subjects.single_moves import SingleMoves
from pytest_gradcheck.subjects.subject import Moves

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.randn(4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def chunks(w: Tensor) -> Tensor:
    a, b = w.chunk(2)
    return functional.linear(X, a).softmax(-1) @ functional.linear(X, b).mT


def attention(w: Tensor) -> Tensor:
    x, packed = X.view(3, 1, 6), torch.cat([w, w, 2 * w[:2]])
    out, bias = torch.eye(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    found: Tensor = functional.multi_head_attention_forward(
        x, x, x, 6, 2, packed[:18], None, None, None, False, 0.0, out, bias
    )[0]
    return found


#: A forward of a matrix of shape (8, 6), and how many products of it need not be taken row by row.
FORWARDS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "linear": (lambda w: functional.linear(X, w).tanh(), 1),
    "with a bias": (lambda w: functional.linear(X, w, torch.ones(8, dtype=torch.float64)), 1),
    "one vector": (lambda w: functional.linear(X[0], w), 1),
    "product with the transposed": (lambda w: X @ w.T, 1),
    "product": (lambda w: torch.matmul(Y, w[1:6]), 1),
    "three axes": (lambda w: torch.matmul(X.view(3, 1, 6), w.t()), 1),
    "chunks": (chunks, 1),
    "a slice, transposed": (lambda w: functional.linear(Y, w[1:7, 1:].mT.T), 1),
    "twice in a row": (lambda w: functional.linear(functional.linear(X, w)[:, :6].sin(), w), 2),
    "squared": (lambda w: w[:6] @ w[:6], 1),
    "reshaped": (lambda w: functional.linear(torch.ones(2, 4, dtype=torch.float64), w.reshape(12, 4)), 1),
    "every second": (lambda w: functional.linear(X, w[::2]), 1),
    "chosen by another tensor": (lambda w: functional.linear(X, w[w[:, 0].argsort()]), 0),
    "an element twice": (lambda w: functional.linear(X, w[[0, 0, 1]]), 0),
    "broadcast": (lambda w: functional.linear(X, w[:1].expand(3, 6)), 0),
    "element by element": (lambda w: (w * w).sum(0) + X, 0),
    "product on the left": (lambda w: w @ X.T, 0),
    "both ways": (lambda w: functional.linear(X, w) * w.sum(), 1),
    "attention": (attention, 0),
    "a norm first": (lambda w: functional.linear(X, w / w.norm()), 0),
}


def played(function: Callable[[Tensor], Any], w: Tensor, places: Tensor, by: Tensor) -> Tensor:
    """The outputs at every row, by vmap."""
    values = w.reshape(-1).repeat(len(places), 1)
    values[torch.arange(len(places)), places] += by
    moves = Moves(w.clone(), places, by)

    def play(value: Tensor, place: Tensor, far: Tensor) -> Any:
        with Decomposed(SingleMoves(value, moves, place, far)):
            return function(value)

    found: Tensor = torch.vmap(play)(values.view(-1, *w.shape), places[:, None], by)
    return found


@pytest.mark.parametrize("places", [range(48), range(24), [47], [0, 47, 3]], ids=["all", "half", "last", "some"])
@pytest.mark.parametrize("case", FORWARDS)
def test_each_row_is_as_if_evaluated_in_full(case: str, places: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    function, products = FORWARDS[case]
    taken = []
    original = SingleMoves._product

    def counted(*given: Any) -> Tensor:
        taken.append(given)
        return original(*given)

    monkeypatch.setattr(SingleMoves, "_product", counted)
    w, where = torch.randn(8, 6, dtype=torch.float64), torch.tensor([0, *places])
    by = torch.cat([torch.zeros(1), torch.rand(len(places)) + 0.5]).double()
    found = played(function, w, where, by)
    for row, place, far in zip(found, where.tolist(), by.tolist(), strict=True):
        moved = w.clone()
        moved.view(-1)[place] += far
        torch.testing.assert_close(row, function(moved), rtol=1e-13, atol=1e-13)
    if len(places) == 48:
        assert len(taken) >= products, "the product was taken row by row"
    if not products:
        assert not taken


def test_a_part_that_no_row_moves_is_computed_once() -> None:
    batched = []

    def watched(w: Tensor) -> Tensor:
        parts = w.chunk(2)
        batched.append([torch._C._functorch.is_batchedtensor(part) for part in parts])
        return parts[0].sum() + parts[1].sum()

    for place in (3, 40):
        played(watched, torch.randn(8, 6), torch.tensor([place]), torch.ones(1))
    assert batched == [[True, False], [False, True]]


class Written(nn.Module):
    """Writes into its own weight between two looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        before = functional.linear(x, self.weight[:4])
        with torch.no_grad():
            self.weight.mul_(0.5)
        after = functional.linear(x, self.weight[4:])
        with torch.no_grad():
            self.weight.mul_(2.0)
        return (before + after).cumsum(-1).tanh()


def test_what_the_forward_writes_into_its_weight_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Written(), torch.randn(3, 6)
    together = check_gradients(layer, x, wrt=["weight"], mode="elementwise", checks=["vjp"])
    monkeypatch.setattr(batched, "WORTH", 10**9)
    alone = check_gradients(layer, x, wrt=["weight"], mode="elementwise", checks=["vjp"])
    for one, other in zip(together.tensors, alone.tensors, strict=True):
        assert one.verdict is other.verdict is Verdict.WRONG, "autograd does not see the halving"
        assert one.worst is not None and other.worst is not None
        assert one.worst.index == other.worst.index
        assert one.worst.numeric == pytest.approx(other.worst.numeric, rel=1e-8)


class Forgets(torch.autograd.Function):
    """A product whose backward forgets a hundredth of one weight's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return functional.linear(x, w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, w = ctx.saved_tensors
        gradient = grad.mT @ x
        gradient[5, 2] *= 0.99
        return grad @ w, gradient


def test_a_wrong_element_beside_a_product_is_named() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(12, 12))

        def forward(self, x: Tensor) -> Tensor:
            # The mixing afterwards makes every output depend on every weight: nothing can be moved at once.
            rest: Tensor = functional.linear(x, self.weight).sin()
            wrong: Tensor = Forgets.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return (rest + 0.1 * wrong).cumsum(-1).tanh()

    report = check_gradients(Layer(), torch.randn(3, 12), mode="elementwise", checks=["vjp"])
    wrong = next(check for check in report.tensors if check.name == "weight")
    assert wrong.verdict is Verdict.WRONG or wrong.proven
    assert wrong.worst is not None
    assert wrong.worst.index == (5, 2)
