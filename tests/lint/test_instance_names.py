"""Which names instances have, through bases of other files, and where that cannot be known."""

from __future__ import annotations

from textwrap import dedent

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.project import ProjectIndex
from gradlint.settings import Settings
from gradlint.source import Source

BASE = """
    from torch import nn
    from other import Unknown
    class Base(nn.Module):
        kind: str
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 3)
            self.register_buffer("mean", None)
        @property
        def size(self): return 3
    class Further(Base):
        def build(self): self.late = nn.Linear(1, 1)
    class Open(Unknown): pass
    class Handed(nn.Module):
        def __init__(self): fill(self)
"""


def messages(base: str, use: str) -> list[str]:
    facts = file_facts(dedent(BASE), "pkg.base")
    assert facts is not None
    text = f"""
        from torch import nn
        from .base import {base}
        class Net({base}):
            def __init__(self):
                super().__init__()
            def forward(self, x):
                return self.{use}
    """
    source = Source("pkg/net.py", dedent(text), module="pkg.net")
    rules = load(info for info in RULES if info.code == "GRD708")
    return [found.message for found in lint_source(source, Settings(), rules, ProjectIndex.of([facts]))]


@pytest.mark.parametrize("use", ["conv1", "mean", "kind", "size", "late", "build()", "training", "state_dict()"])
def test_bases_of_other_files_give_names(use: str) -> None:
    assert messages("Further", use) == []


@pytest.mark.parametrize("base", ["Open", "Handed", "Missing"])
def test_what_cannot_be_known_is_silent(base: str) -> None:
    assert messages(base, "con1") == []


def test_a_name_that_no_base_gives_is_told_with_the_nearest() -> None:
    (message,) = messages("Further", "con1")
    assert message == (
        "`Net` has no `con1`: neither the class nor its bases set or register it, so this line raises AttributeError; "
        "the nearest name is `conv1`"
    )
