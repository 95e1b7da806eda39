"""Which layers get the data: the first ones, also where no gradient is kept on the way."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pytest_gradcheck.training.entries import Entries
from tests.training.test_real_models import Calling, X, mlp, teacher


def entered(net: nn.Module) -> set[str]:
    with Entries(net) as entries:
        net(X)
    return entries.names


def test_layers_inside_of_a_checkpoint_do_not_get_the_data() -> None:
    def forward(self: Any, inputs: torch.Tensor) -> Any:
        return self.last(checkpoint(self.middle, self.first(inputs), use_reentrant=True))

    net = Calling(forward, first=nn.Linear(20, 64), middle=mlp(64, 64), last=nn.Linear(64, 4))
    assert entered(net) == {"first"}


def test_the_first_layer_of_a_forward_without_gradients_gets_the_data() -> None:
    with torch.no_grad():
        assert entered(mlp()) == {"0"}


def test_a_teacher_and_its_student_both_get_the_data() -> None:
    net = teacher()
    assert entered(net) == {"key.0", "query.0"}
