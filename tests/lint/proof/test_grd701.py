"""GRD701: the misspelt init function raises, or does nothing at all; the fixed one initialises."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from gradlint.engine import lint_source  # noqa: E402
from gradlint.loader import load  # noqa: E402
from gradlint.rules import RULES  # noqa: E402
from gradlint.settings import Settings  # noqa: E402
from gradlint.source import Source  # noqa: E402
from torch import nn  # noqa: E402 - only where torch is

BAD = """
import torch
from torch import nn
def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.constant_(n.weight, 7.0)
"""


def weights_after(code: str) -> Any:
    space: dict[str, Any] = {}
    exec(code, space)
    net = nn.Sequential(nn.Linear(2, 2))
    net.apply(space["init_weights"])
    first: Any = net[0]
    return first.weight.detach()


def test_the_bad_example_raises_and_its_safe_fix_initialises() -> None:
    (found,) = lint_source(Source("a.py", BAD), Settings(), load(info for info in RULES if info.code == "GRD701"))
    assert found.fix is not None
    (edit,) = found.fix.edits
    source = Source("a.py", BAD)
    start, end = source.offset(edit.range.start), source.offset(edit.range.end)
    with pytest.raises(NameError, match="'n' is not defined"):
        weights_after(BAD)
    assert weights_after(BAD[:start] + edit.content + BAD[end:]).eq(7).all()
