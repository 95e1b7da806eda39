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
        def __init__(self, size, rate: float, encoder, parts, other: nn.Module):
            super().__init__()
            self.size, self.rate = size, rate
            self.encoder, self.parts, self.other = encoder, parts, other
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
            added = torch.zeros(3)
            added.index_add_(0, rows, self.fc(x))
            copied = torch.zeros(3)
            copied.copy_(self.fc(x))
            viewed = torch.zeros(3)
            viewed.view(-1)[0].add_(x)
            replaced = torch.zeros(3)
            replaced.data = self.fc(x)
            listed = [0]
            listed.append(self.fc(x))
            given = torch.zeros(3)
            torch.add(x, x, out=given)
            trained = torch.zeros(3)
            trained.requires_grad_()
            filled = torch.zeros(3)
            filled.fill_(2).clamp_(min=count)
            filled[0] = 1
            filled.requires_grad_(False)
            filled.requires_grad = False
            torch.add(self.fc(x), x, out=added)
            for part in self.parts:
                pass
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
        "x.shape", "min(count, 3)", "int(x.sum())", "self.parts[0]", "self.encoder",
    ],
)  # fmt: skip
def test_numbers(value: str) -> None:
    assert asked(value) == (True, True)


@pytest.mark.parametrize(
    "value",
    [
        "rows", "left ** 2 + right", "self.grid[0]", "torch.cat([rows + i, rows], dim=0)", "x.detach()",
        "torch.randn(3).view(count)", "np.arange(3)", "rows.sum() if count else 1", "[rows + j for j in range(3)]",
        "filled", "rows.T",
    ],
)  # fmt: skip
def test_tensors_that_nothing_trains(value: str) -> None:
    assert asked(value) == (True, False)


@pytest.mark.parametrize(
    "value",
    [
        "x", "x.mean()", "self.fc(x)", "self.weight", "self.fc.weight", "rows + x", "mixed", "self.unknown", "unknown",
        "torch.ones(3, requires_grad=True)", "nn.Parameter(torch.ones(3))", "rows * self.weight", "self.grid @ x",
        "torch.where(rows > 0, x, rows)", "max(x, 0)", "self.make()", "added", "copied", "viewed", "replaced",
        "torch.stack(listed)", "given", "trained", "self.encoder.weight", "self.encoder.get()", "self.parts[0].weight",
        "part.weight", "self.other.weight", "self.encoder(x)", "self.other.layer.weight",
    ],
)  # fmt: skip
def test_what_may_carry_a_graph(value: str) -> None:
    assert asked(value) == (False, False)
