"""GRD605: the order decides; plain values may come first, what is registered may not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

SUPER = "super().__init__()"
LINES = [
    "self.fc = nn.Linear(4, 4)",
    "self.w = nn.Parameter(torch.ones(3))",
    'self.register_buffer("b", torch.ones(3))',
]


def made(*lines: str) -> Any:
    space: dict[str, Any] = {"nn": nn, "torch": torch}
    exec("class Net(nn.Module):\n    def __init__(self):\n" + "".join(f"        {line}\n" for line in lines), space)
    return space["Net"]()


@pytest.mark.parametrize("line", LINES)
def test_before_super_it_raises_and_after_it_does_not(line: str) -> None:
    with pytest.raises(AttributeError, match=r"(?i)before Module.__init__\(\) call"):
        made(*[line, SUPER])
    assert len(made(SUPER, line).state_dict()) > 0


def test_plain_values_may_come_first() -> None:
    assert made("self.n = 3", SUPER).n == 3
