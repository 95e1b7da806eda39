"""Rules about how a network learns are silent in test files, whose networks are toys with known numbers."""

from __future__ import annotations

from textwrap import dedent

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source

TOYS = {
    "GRD102": "layer = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))\nnn.init.ones_(layer[0].weight)",
    "GRD202": "net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))",
    "GRD416": "def check(net, loader):\n    net.eval()\n    for x in loader:\n        print(net(x))",
    "GRD603": "class Net(nn.Module):\n    def forward(self, x):\n        return nn.Linear(2, 2)(x)",
}


def found(path: str, code: str) -> int:
    rules = load(info for info in RULES if info.code == code)
    text = f"import torch\nfrom torch import nn\n{dedent(TOYS[code])}\n"
    return len(lint_source(Source(path, text), Settings(), rules))


@pytest.mark.parametrize("code", TOYS)
@pytest.mark.parametrize(
    "path", ["tests/net.py", "pkg/test/net.py", "pkg/testing/a/b.py", "test_net.py", "a/net_test.py"]
)
def test_toys_of_tests_are_not_told(code: str, path: str) -> None:
    assert found(path, code) == 0


@pytest.mark.parametrize("code", TOYS)
@pytest.mark.parametrize("path", ["net.py", "contest/net.py", "latest.py", "pkg/test.py", "testing.py"])
def test_everything_else_is(code: str, path: str) -> None:
    assert found(path, code) == 1
