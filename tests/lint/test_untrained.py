"""Values that nothing trained goes into: numbers, options, buffers and grids, and what is computed of these alone."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.untrained import Untrained

from tests.lint.linting import unit

NET = """
    import math
    import numpy as np
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, size, rate: float):
            super().__init__()
            self.size, self.rate = size, rate
            self.fc = nn.Linear(size, size)
            self.weight = nn.Parameter(torch.zeros(size))
            self.register_buffer("grid", torch.zeros(size))
            self.scale = size ** -0.5

        def forward(self, x, width: float, power=0.5):
            rows = torch.arange(3).to(x.device)
            rows = rows / 2
            mixed = torch.zeros(3)
            mixed[0] = self.fc(x)
            left, right = torch.meshgrid(rows, rows, indexing="ij")
            count, _ = x.shape
            for i in range(3):
                pass
            return {value}
"""


def asked(value: str) -> tuple[bool, bool]:
    of = unit(NET.replace("{value}", value))
    untrained = Untrained(of.tree, of.names, of.classes)
    returned = of.tree.nodes(cst.Return)[0].value
    return untrained.holds(returned), untrained.is_number(returned)


@pytest.mark.parametrize(
    "value",
    [
        "2.0", "math.pi", "width", "power * 2", "self.size", "self.scale", "self.rate ** 2", "count - 1", "i", "len(x)",
        "x.shape", "min(count, 3)", "int(x.sum())",
    ],
)  # fmt: skip
def test_numbers(value: str) -> None:
    assert asked(value) == (True, True)


@pytest.mark.parametrize(
    "value",
    [
        "rows", "left ** 2 + right", "self.grid[0]", "torch.cat([rows + i, rows], dim=0)", "x.detach()",
        "torch.randn(3).view(count)", "np.arange(3)", "rows.sum() if count else 1", "[rows + j for j in range(3)]",
    ],
)  # fmt: skip
def test_tensors_that_nothing_trains(value: str) -> None:
    assert asked(value) == (True, False)


@pytest.mark.parametrize(
    "value",
    [
        "x", "x.mean()", "self.fc(x)", "self.weight", "self.fc.weight", "rows + x", "mixed", "self.unknown", "unknown",
        "torch.ones(3, requires_grad=True)", "nn.Parameter(torch.ones(3))", "rows * self.weight", "self.grid @ x",
        "torch.where(rows > 0, x, rows)", "max(x, 0)", "self.make()",
    ],
)  # fmt: skip
def test_what_may_carry_a_graph(value: str) -> None:
    assert asked(value) == (False, False)
