"""GRD111: with torch.empty filled by NaN, as torch offers for finding such bugs, the layer gives NaN only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


@pytest.fixture
def nan_for_empty() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)


class Scale(nn.Module):
    def __init__(self, *, filled: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(3))
        if filled:
            nn.init.ones_(self.gamma)

    def forward(self, x: Any) -> Any:
        return x * self.gamma


def test_what_is_never_filled_may_be_nan(nan_for_empty: None) -> None:
    assert Scale(filled=False)(torch.ones(3)).isnan().all()
    assert Scale(filled=True)(torch.ones(3)).eq(1).all()
