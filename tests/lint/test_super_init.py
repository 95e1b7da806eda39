"""Rules about super().__init__() leave templates alone, whose code is unrolled and never run."""

from __future__ import annotations

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source

EARLY = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(1, 1)
        super().__init__()
"""
NEVER = EARLY.replace("        super().__init__()\n", "")


@pytest.mark.parametrize(("text", "code"), [(EARLY, "GRD605"), (NEVER, "GRD604")])
@pytest.mark.parametrize(("path", "fires"), [("net.py", True), ("models/x/modular_x.py", False)])
def test_a_modular_file_is_silent(text: str, code: str, path: str, fires: bool) -> None:
    found = lint_source(Source(path, text), Settings(), load(info for info in RULES if info.code == code))
    assert [one.code for one in found] == ([code] if fires else [])
