"""GRD707: the method itself raises TypeError wherever its result is meant."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

USES = (
    lambda given: torch.optim.Adam(given, lr=1e-3),
    lambda given: nn.utils.clip_grad_norm_(given, 1.0),
    lambda given: nn.utils.parameters_to_vector(given),
    lambda given: [p.numel() for p in given],
)


@pytest.mark.parametrize("use", USES)
def test_bad_raises_and_the_safe_fix_does_not(use: Any) -> None:
    net: Any = nn.Linear(2, 2)
    with pytest.raises(TypeError):
        use(net.parameters)
    use(net.parameters())
