"""Rules about how a network learns are silent in tests, whose networks are toys with known numbers."""

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


def found(path: str, code: str, tests: str = "") -> int:
    rules = load(info for info in RULES if info.code == code)
    text = f"import torch\nfrom torch import nn\n{dedent(TOYS[code])}\n{tests}\n"
    return len(lint_source(Source(path, text), Settings(), rules))


@pytest.mark.parametrize("code", TOYS)
@pytest.mark.parametrize(
    "path",
    [
        "net.py",
        "latest.py",
        "testing.py",
        "tests/net.py",
        "pkg/test/net.py",
        "pkg/testing/a/b.py",
        "test_net.py",
        "net_test.py",
    ],
)
def test_a_name_or_folder_says_nothing(code: str, path: str) -> None:
    """Research code evaluates its network in `test_net.py`, and a course keeps its exercises in `tests/`."""
    assert found(path, code) == 1
    assert found(path, code, "def test_epoch(net):\n    return net") == 1


@pytest.mark.parametrize("code", TOYS)
@pytest.mark.parametrize("path", ["test_net.py", "net.py"])
@pytest.mark.parametrize(
    "tests",
    [
        "import pytest",
        "from unittest import TestCase",
        "from torch.testing import assert_close as same",
        "def test_sum(x):\n    assert x > 0",
        "class Test:\n    def test_sum(self, x):\n        self.assertEqual(x, 0)",
    ],
)
def test_toys_beside_tests_are_not_told_wherever_the_file_lies(code: str, path: str, tests: str) -> None:
    assert found(path, code, tests) == 0
