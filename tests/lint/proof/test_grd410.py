"""GRD410: the constructor given data raises or makes a module without a value; the fixed one computes the loss."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

LOSSES = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.CrossEntropyLoss, nn.BCEWithLogitsLoss]


@pytest.mark.filterwarnings("ignore:size_average and reduce")
@pytest.mark.parametrize("kind", LOSSES)
def test_data_of_several_values_raises_and_the_safe_fix_does_not(kind: Any) -> None:
    output, target = torch.ones(3), torch.zeros(3)
    with pytest.raises(RuntimeError, match="Boolean value of Tensor"):
        kind(output, target)
    assert kind()(output, target).dim() == 0


@pytest.mark.filterwarnings("ignore:size_average and reduce")
def test_single_values_make_a_module() -> None:
    made = nn.MSELoss(torch.tensor(1.0), torch.tensor(0.0))
    assert isinstance(made, nn.Module)
    assert not hasattr(made, "backward")
