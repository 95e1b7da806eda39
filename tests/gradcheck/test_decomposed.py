"""What replaces torch's functions in a batch has their values, and what it does not cover is left to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pytest_gradcheck.subjects.decomposed import FEW, Decomposed

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
MASKED = X.masked_fill(X > 0.5, -math.inf)

SAME: dict[str, Callable[[], Tensor]] = {
    "softmax": lambda: functional.softmax(X, dim=-1),
    "another axis": lambda: torch.softmax(X, 1),
    "of large logits": lambda: (1e3 * X).softmax(0),
    "masked": lambda: functional.softmax(MASKED, -1),
    "no row left": lambda: torch.full((2, 3), -math.inf).double().softmax(-1),
    "infinite": lambda: torch.tensor([[1.0, math.inf], [math.nan, 1.0]]).double().softmax(-1),
    "without an axis": lambda: functional.softmax(X[0], _stacklevel=5, dim=None),
    "in another dtype": lambda: functional.softmax(X, -1, dtype=torch.float32),
    "of another dtype": lambda: functional.softmax(X.float(), -1),
    "of many": lambda: torch.zeros(2, FEW + 1, dtype=torch.float64).softmax(-1),
    "of nothing": lambda: torch.zeros(2, 0, dtype=torch.float64).softmax(-1),
    "of a scalar": lambda: torch.ones((), dtype=torch.float64).softmax(0),
    "dropout": lambda: functional.dropout(X, 0.5, training=False),
    "a normed pool": lambda: functional.adaptive_max_pool1d(X, 2),
}


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("case", SAME)
def test_values_are_torchs(case: str) -> None:
    expected = SAME[case]()
    with Decomposed():
        found = SAME[case]()
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0.0, equal_nan=True)


class Seen(list[object]):
    """Notes the functions it is asked for, and answers none."""

    def __call__(self, func: object, *_: object) -> object:
        self.append(func)
        return NotImplemented


def test_attention_is_seen_inside() -> None:
    """A function of many operations is not handed over as a whole."""
    seen = Seen()
    layer = torch.nn.MultiheadAttention(4, 2, dtype=torch.float64)
    x = torch.randn(3, 1, 4, dtype=torch.float64)
    expected = layer(x, x, x)
    with Decomposed(seen):
        found = layer(x, x, x)
    torch.testing.assert_close(found, expected)
    assert functional.linear in seen
    assert functional.softmax in seen


def test_recurrent_layers_are_matrix_products() -> None:
    seen = Seen()
    layer = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with Decomposed(seen):
        found = layer(x)
    torch.testing.assert_close(found, layer(x))
    assert functional.linear in seen
