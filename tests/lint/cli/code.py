"""Code with known violations, of rules that the tests name."""

from __future__ import annotations

CLEAN = "import torch\n\nx = torch.zeros(3)\n"
TYPO = "import torch\n\nw = torch.zeros(3)\nw.require_grad = True\n"
FIXED_TYPO = TYPO.replace("require_grad", "requires_grad")
TYPO_LINE = 4
# An unsafe fix, a related place and several lines.
SATURATED = """\
from torch import nn

net = nn.Sequential(*(16 * [nn.Linear(64, 64), nn.Sigmoid()]))
"""
# A violation of level info in a rule of the default set.
LENET = """\
from torch import nn

net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2),
    nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
"""
BROKEN = "import torch\ndef f(:\n    pass\n"
