"""Which layers an init call fills: through apply, loops, names and functions; nothing where it is not certain."""

from __future__ import annotations

import pytest

from tests.lint.linting import unit

CODE = """
    import torch
    from torch import nn
    from torch.nn import init as I
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(1, 1)
            self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Conv2d(3, 3, 3))
            self.norm = nn.LayerNorm(3)
            {init}
        def start(self, m):
            if isinstance(m, nn.Linear):
                I.ones_(m.weight)
        def forward(self, x):
            return self.norm(self.body(self.one(x)))
    def fill(m):
        I.ones_(m.weight)
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(5, 5))
    other = nn.Sequential(nn.Linear(6, 6))
    {after}
"""


def reached(init: str = "pass", after: str = "pass") -> list[int | None]:
    text = CODE.replace("{init}", init.replace("\n", "\n" + " " * 12)).replace("{after}", after.replace("\n", "\n    "))
    of = unit(text)
    return [link.in_features for call in of.inits.calls for link in of.reach.layers(call)]


@pytest.mark.parametrize(
    ("init", "dims"),
    [
        ("self.apply(self.start)", [2, 1]),
        ("self.body.apply(self.start)", [2]),
        ("for m in self.modules():\n    if isinstance(m, nn.Conv2d):\n        I.ones_(m.weight)", [3]),
        ("for n, m in self.named_modules():\n    if type(m) is nn.Linear:\n        I.ones_(m.weight)", [1, 2]),
        ("I.ones_(self.one.weight.data)", [1]),
        ("self.one.weight.data.fill_(1)", [1]),
        ("I.ones_(self.body[2].weight)", [3]),
        ("I.ones_(self.norm.weight)", []),
        (
            "for m in self.modules():\n    if isinstance(m, nn.Linear) and m is not self.one:\n"
            "        I.ones_(m.weight)",
            [],
        ),
        ("for m in self.modules():\n    if not isinstance(m, nn.Linear):\n        I.ones_(m.weight)", []),
    ],
)
def test_in_a_class(init: str, dims: list[int]) -> None:
    assert sorted(each or 0 for each in reached(init)) == sorted(dims)


@pytest.mark.parametrize(
    ("after", "dims"),
    [
        ("net.apply(fill)", [4, 5]),
        ("fill(net[0])", [4]),
        ("for m in net:\n    if isinstance(m, nn.Linear):\n        I.ones_(m.weight)", [4, 5]),
        ("net[-1].weight.data.normal_()", [5]),
        ("net = nn.Sequential(nn.Linear(7, 7))\nnet.apply(fill)", [7]),
        ("if other:\n    net = nn.Sequential(nn.Linear(7, 7))\nnet.apply(fill)", []),
        ("nn.Sequential(nn.Linear(8, 8)).apply(fill)", [8]),
        ("Net().apply(fill)", [1, 2, 3]),
        ("unknown.apply(fill)", []),
    ],
)
def test_outside(after: str, dims: list[int]) -> None:
    assert sorted(each or 0 for each in reached(after=after)) == sorted(dims)
