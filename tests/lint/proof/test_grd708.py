"""GRD708: an attribute that nothing sets raises AttributeError when the line runs, and not before."""

from __future__ import annotations

from typing import Any

import pytest
from gradlint.semantics.module_api import EVERYTHING, METHODS

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return self.conv1(x) if self.training else self.con1(x)  # type: ignore[operator]


def test_the_error_waits_until_the_line_runs() -> None:
    net = Net()
    assert net(torch.ones(1, 3)).shape == (1, 3)
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'con1'"):
        net.eval()(torch.ones(1, 3))


def test_the_table_holds_every_name_that_a_module_has() -> None:
    module = nn.Module()
    # torch's compiler, once another test has loaded it, marks the class with a name of three underscores.
    assert {name for name in dir(module) if not name.startswith("___")} <= EVERYTHING
    assert {name for name in dir(module) if not name.startswith("_") and callable(getattr(module, name))} <= METHODS
