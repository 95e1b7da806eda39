"""GRD409: backward() of the copy reaches no parameter; of the loss itself it does."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_the_copy_has_no_graph() -> None:
    layer = nn.Linear(2, 1)
    loss: Any = nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1))
    torch.tensor(loss, requires_grad=True).backward()
    variable: Any = torch.autograd.Variable
    variable(loss.data, requires_grad=True).backward()
    assert layer.weight.grad is None
    loss.backward()
    assert layer.weight.grad is not None


def test_a_variable_of_a_loss_has_no_graph_and_the_switch_hides_that() -> None:
    layer = nn.Linear(2, 1)
    loss: Any = layer(torch.ones(1, 2)).sum()
    variable: Any = torch.autograd.Variable
    variable(loss, requires_grad=True).backward()
    assert layer.weight.grad is None
    cut = torch.tensor([loss.item()]).mean()
    with pytest.raises(RuntimeError, match="does not require grad"):
        cut.backward()
    cut.requires_grad = True
    cut.backward()
    assert layer.weight.grad is None
    with pytest.raises(RuntimeError, match="leaf"):
        loss.requires_grad = True
    loss.requires_grad_()
    loss.backward()
    assert layer.weight.grad is not None
