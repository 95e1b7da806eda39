"""Saved outputs: which variable surely holds one where a statement changes it, however the code gets there."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.held_modules import HeldModules
from gradlint.semantics.saved_output import SavedOutputs

from tests.lint.linting import unit

HEAD = """
import torch
import torch.nn.functional as F
from torch import nn
from elsewhere import make
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.own = Own()
        self.act = nn.Softmax(-1)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())
        self.p = nn.Parameter(torch.ones(2))
        self.q = make()
    def forward(self, x, y):
{body}
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)
"""


def word(body: str) -> str | None:
    """The operation whose output the last `h += 1` changes."""
    of = unit(HEAD.replace("{body}", "\n".join(f"        {line}" for line in body.splitlines())))
    outputs = SavedOutputs(of.tree, of.names, of.classes, of.chains, HeldModules(of.tree, of.names, of.classes))
    target = of.tree.nodes(cst.AugAssign)[-1].target
    assert isinstance(target, cst.Name)
    found = outputs.by_statement(target)
    return found.word if found is not None else None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("h = torch.tanh(self.fc(x))\nh += 1", "tanh"),
        ("x = self.fc(x)\nh = (x * 2).sigmoid()\nh += 1", "sigmoid"),
        ("h = torch.exp(self.p - x)\nh += 1", "exp"),
        ("h = self.act(self.own(x))\nh += 1", "softmax"),
        ("h = self.body(x)\nh += 1", "sigmoid"),
        ("h = torch.tanh(F.relu(self.fc(x)))\nif y:\n    for i in y:\n        h += 1", "tanh"),
        ("h = torch.tanh(self.fc(x))\ng = h.view(-1)\nh = g\nh += 1", "tanh"),
        ("h = torch.tanh(x)\nh += 1", None),
        ("h = torch.tanh(self.q(x))\nh += 1", None),
        ("h = torch.tanh(make(self.fc(x)))\nh += 1", None),
        ("h = torch.tanh(self.fc(x))\nh = h + 1\nh += 1", None),
        ("h = torch.tanh(self.fc(x))\nif y:\n    h = y\nh += 1", None),
        ("h = torch.tanh(self.fc(x))\nfor h in y:\n    pass\nh += 1", None),
        ("h, g = torch.tanh(self.fc(x)), y\nh += 1", None),
        ("h = torch.tanh(self.fc(x)).clone()\nh += 1", None),
        ("h = torch.sin(self.fc(x))\nh += 1", None),
        ("h += 1", None),
        ("h = torch.tanh(self.fc(x))\nh += 1\nh += 1", None),
        ("h = torch.tanh(self.fc(x))\n" + "y = 1\n" * 300 + "h += 1", None),
    ],
)
def test_what_a_statement_changes(body: str, expected: str | None) -> None:
    assert word(body) == expected
