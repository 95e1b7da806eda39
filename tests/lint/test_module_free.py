"""Which files are left alone by rules of modules, since none of their classes can be one."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from gradlint.engine import able_rules
from gradlint.loader import load
from gradlint.parse import parse
from gradlint.rules import RULES
from gradlint.semantics.file_facts import FileFacts, file_facts
from gradlint.semantics.module_free import is_module_free
from gradlint.semantics.project import ProjectIndex
from gradlint.source import Source
from gradlint.unit import Unit

FIXTURES = Path(__file__).parent / "fixtures"
HELPERS = """
from torch import nn
class Net(nn.Module): ...
class Plain: ...
class Deep(Net): ...
"""
DATASET = '''
from torch.utils.data import Dataset

class Images(Dataset):
    """Where images are; init_weights_(x)."""

    def __init__(self, names):
        super().__init__()
        self.names = names
'''


def facts(text: str, module: str) -> FileFacts:
    found = file_facts(text, module)
    assert found is not None
    return found


PROJECT = ProjectIndex.of([facts(HELPERS, "pkg.helpers"), facts("from .helpers import Net as Block", "pkg.offer")])


def source(text: str) -> Source:
    return Source("a.py", dedent(text), module="pkg.mod")


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "class A: ...",
        "class A(dict): ...",
        "from torch.utils.data import Dataset\nclass A(Dataset[int]): ...\nclass B(A): ...",
        "import torch\nclass A(torch.Tensor): ...",
        "import torch\nclass A(torch.autograd.Function): ...",
        "from .helpers import Plain\nclass A(Plain): ...",
        "from elsewhere import Thing\nclass A(Thing, make(), metaclass=M): ...",
        "from elsewhere import *\nclass A(Thing): ...",
    ],
)
def test_a_file_without_a_module(text: str) -> None:
    assert is_module_free(source(text), PROJECT)
    assert not Unit(source(text), parse(source(text)), PROJECT).classes.modules


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nclass A(torch.nn.Module): ...",
        "import torch.nn as n\nclass A(n.Module): ...",
        "from torch.nn.modules.module import Module as M\nclass A(M): ...",
        "from torch import nn\nclass A(nn.Sequential): ...",
        "from torch import nn\nclass A(dict): ...\nclass B(A, nn.Module): ...",
        "from torch import nn\nBase = nn.Module\nclass A(Base): ...",
        "from torch import nn\nBase, n = nn.Module, 1\nclass A(Base): ...",
        "from torch import nn\nif (Base := nn.Module):\n    class A(Base): ...",
        "def f():\n    from torch import nn\n    class A(nn.Module): ...",
        "try:\n    import torch\nexcept ImportError:\n    x = 1\nelse:\n    class A(torch.nn.Module): ...",
        "import torch\nmatch x:\n    case 1:\n        class A(torch.nn.Module): ...",
        "import torch\nclass Outer:\n    class Inner(torch.nn.Module): ...",
        "from .helpers import Net\nclass A(Net): ...",
        "from . import helpers\nclass A(helpers.Deep): ...",
        "from pkg.offer import Block\nclass A(Block): ...",
        "import pkg.offer\nclass A(pkg.offer.Block): ...",
        "from pytorch_lightning import LightningModule\nclass A(LightningModule): ...",
    ],
)
def test_a_file_with_a_module(text: str) -> None:
    assert Unit(source(text), parse(source(text)), PROJECT).classes.modules
    assert not is_module_free(source(text), PROJECT)


def test_a_file_that_is_no_python_is_not_free() -> None:
    assert not is_module_free(source("class A(:"), PROJECT)


def test_no_fixture_with_a_module_is_called_free() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(FIXTURES.glob("GRD*/*.py"))]
    free = [text for text in texts if is_module_free(source(text), ProjectIndex())]
    assert free
    assert not [text for text in free if Unit(source(text), parse(source(text))).classes.modules]


def test_rules_of_modules_leave_a_file_alone_that_has_none() -> None:
    rules = load(RULES)
    assert able_rules(source(DATASET), rules, PROJECT) == []
    able = able_rules(
        source(DATASET.replace("torch.utils.data import Dataset", "torch.nn import Module as Dataset")), rules, PROJECT
    )
    assert {"GRD601", "GRD604", "GRD708"} <= {rule.info.code for rule in able}
