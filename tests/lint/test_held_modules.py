"""Whether an expression makes parameters: layers of torch, classes of this file and of others."""

from __future__ import annotations

from textwrap import dedent

import libcst as cst
import pytest
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.held_modules import HeldModules
from gradlint.semantics.project import ProjectIndex

from tests.lint.linting import unit

BLOCKS = """
    import torch
    from torch import nn
    from elsewhere import make
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 3))
    class Outer(nn.Module):
        def __init__(self):
            self.inner = Block()
    class Sub(Block): pass
    class Scale(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(torch.ones(3))
    class Late(nn.Module):
        def __init__(self):
            self.add_module("fc", nn.Linear(3, 3))
    class Act(nn.Module):
        def __init__(self):
            self.act = nn.ReLU()
            self.unknown = make(nn.Linear(3, 3))
    class Loop(nn.Module):
        def __init__(self):
            self.loop = Loop()
    class Plain:
        def __init__(self):
            self.fc = nn.Linear(3, 3)
"""


@pytest.mark.parametrize(
    ("made", "has"),
    [
        ("nn.Linear(3, 3)", True),
        ("nn.ReLU()", False),
        ("nn.LayerNorm(3, elementwise_affine=False)", False),
        ("nn.BatchNorm1d(3, affine=flag)", False),
        ("nn.BatchNorm1d(3, affine=True)", True),
        ("Block()", True),
        ("nn.Sequential(nn.ReLU(), Block())", True),
        ("Outer()", True),
        ("Sub()", True),
        ("Scale()", True),
        ("Late()", True),
        ("Act()", False),
        ("Loop()", False),
        ("Plain()", False),
        ("Missing()", False),
    ],
)
def test_what_has_parameters(made: str, has: bool) -> None:
    facts = file_facts(dedent(BLOCKS), "pkg.blocks")
    assert facts is not None
    imports = "import torch.nn as nn\nfrom .blocks import Block, Outer, Sub, Scale, Late, Act, Loop, Plain, Missing\n"
    of = unit(f"{imports}x = {made}\n", module="pkg.net", project=ProjectIndex.of([facts]))
    value = of.tree.nodes(cst.Assign)[0].value
    assert HeldModules(of.tree, of.names, of.classes).has_parameters(value) is has
