"""Which classes are modules, also through other files, and what they hold."""

from __future__ import annotations

from textwrap import dedent

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.module_class import AttributeKind
from gradlint.semantics.project import ProjectIndex
from gradlint.semantics.project_cst import unit_facts
from gradlint.settings import Settings
from gradlint.source import Source

from tests.lint.linting import unit


def index(**files: str) -> ProjectIndex:
    facts = [file_facts(text, name.replace("__", "."), is_package=name == "pkg") for name, text in files.items()]
    return ProjectIndex.of(one for one in facts if one is not None)


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        ("nn.Module", True),
        ("nn.Sequential", True),
        ("Base", True),
        ("Plain, nn.Module", True),
        ("Generic[T], Base", True),
        ("object", False),
        ("Plain", False),
        ("", False),
        ("torch.autograd.Function", False),
        ("nn.Parameter", False),
        ("Unknown", None),
        ("make()", None),
        ("*bases", None),
        ("Loop", None),
    ],
)
def test_a_class_is_a_module_through_its_bases(bases: str, expected: bool | None) -> None:
    u = unit(f"""
        import torch
        from torch import nn
        from typing import Generic
        from elsewhere import Unknown
        class Base(nn.Module): pass
        class Plain: pass
        class Loop(Loop): pass
        class Net({bases}): pass
    """)
    assert u.classes.all[-1].is_module is expected
    assert [one.node.name.value for one in u.classes.modules] == ["Base", *(["Net"] if expected else [])]


def test_a_base_in_another_file_is_followed_through_re_exports() -> None:
    project = index(
        pkg="from .core import Base as Exported\nfrom .star import *",
        pkg__core="import torch.nn as nn\nclass Root(nn.Module): pass\nclass Base(Root): pass\nclass Other: pass",
        pkg__star="from torch import nn\nclass Starred(nn.Module): pass",
    )
    text = """
        import pkg
        from pkg import Exported, Starred
        from pkg.core import Other
        from . import core
        class A(Exported): pass
        class B(pkg.Exported): pass
        class C(Starred): pass
        class D(core.Base): pass
        class E(Other): pass
        class F(pkg.core.Missing): pass
    """
    found = unit(text, module="pkg.model", project=project).classes.all
    assert [one.is_module for one in found] == [True, True, True, True, False, None]
    assert [one.is_module for one in unit(text, module="pkg.model").classes.all] == [None] * 6


def test_the_index_knows_functions_methods_attributes_and_ends_on_loops() -> None:
    project = index(
        a="from b import x\ndef f(): pass\nclass C:\n    def m(self):\n        self.y, z.w = 1, 2\n    z = 1",
        b="from a import x\nimport torch.nn as N\nL = N.Linear",
    )
    found = project.find_class("a.C")
    assert found is not None
    assert (found.methods, found.attributes, found.bases) == (frozenset({"m"}), frozenset({"y"}), ())
    assert project.files["a"].functions == {"f"}
    assert project.resolve("a.x") in ("a.x", "b.x")
    assert project.resolve("b.L") == "torch.nn.Linear"
    assert project.resolve("nowhere.x") == "nowhere.x"
    assert project.find_class("a.f") is None


def test_the_index_says_when_it_cannot_parse() -> None:
    assert file_facts("def f(:", "a") is None


NET = """
    import torch
    from torch import nn
    from elsewhere import thing
    class Net(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.fc = nn.Linear(3, 4)
            self.w = nn.Parameter(torch.zeros(3))
            self.register_buffer("mean", torch.zeros(3))
            self.register_parameter("bias", None)
            self.add_module("extra", nn.ReLU())
            self.n = 3
            self.names = ["a"]
            self.scale = torch.ones(3)
            self.unknown = thing(n)
            self.parameter = n
            self.a, self.b = thing(n)
            self.sub = Sub()
            setattr(self, "late", n)
            other.fc2 = nn.Linear(3, 3)
        def forward(self, x):
            self.seen: int = 1
            return self.fc(x)
    class Sub(nn.Module): pass
    class Dynamic(nn.Module):
        def __init__(self):
            for i in range(3):
                self.add_module(f"fc{i}", nn.Linear(3, 3))
    class Getter(nn.Module):
        def __getattr__(self, name): pass
    class Dict(nn.Module):
        def f(self): self.__dict__.update(x=1)
"""


def test_what_a_module_holds() -> None:
    net = unit(NET).classes.all[0]
    kinds = {name: [place.kind for place in places] for name, places in net.attributes.items()}
    layer, parameter, buffer = AttributeKind.LAYER, AttributeKind.PARAMETER, AttributeKind.BUFFER
    plain, opaque = AttributeKind.PLAIN, AttributeKind.OPAQUE
    assert kinds == {
        "fc": [layer], "w": [parameter], "mean": [buffer], "bias": [parameter], "extra": [layer], "n": [plain],
        "names": [plain], "scale": [plain], "unknown": [opaque], "parameter": [opaque], "a": [opaque], "b": [opaque],
        "sub": [layer], "late": [opaque], "seen": [plain],
    }  # fmt: skip
    found = net.attribute("fc")
    assert found is not None
    assert (found.type, found.method) == ("torch.nn.Linear", net.methods["__init__"])
    assert net.attribute("nothing") is None
    assert net.forward is net.methods["forward"]


def test_dynamic_classes_say_so() -> None:
    assert [one.dynamic for one in unit(NET).classes.all] == [False, False, True, True, True]


def test_lineage_and_enclosing() -> None:
    u = unit("class A: pass\nclass B(A): pass\nclass C(B, A):\n    def f(self): pass\n")
    a, b, c = u.classes.all
    assert u.classes.lineage(c) == [c, b, a]
    assert u.classes.enclosing(c.methods["f"]) is c
    assert u.classes.enclosing(c.node) is None
    assert u.classes.named("__main__.B") is b
    assert u.classes.of(a.node) is a


FACTS = """
    import torch.nn as nn
    import os.path
    from . import sibling
    from .core import Base as B, other
    from .star import *
    L = nn.Linear
    try:
        from fast import Norm
    except ImportError:
        from torch.nn import LayerNorm as Norm
    class Net(B, nn.Module):
        def __init__(self):
            self.fc, self.n = L(1, 2), 1
            self.typed: int = 1
            other.x = 1
        def forward(self): pass
    class Sub(Net, make()): pass
    class Held(nn.Module):
        kind: str
        size = 3
        if size:
            low, high = 1, 2
        for each in range(3):
            pass
        class Inner: pass
        def __init__(self, given):
            self.body = nn.Sequential(L(1, 2), nn.LayerNorm(3), Net(), helper())
            self.register_buffer("mean", L(1))
            setattr(self, "late", Sub())
            for self.i in given: pass
            with given as self.w: pass
            self.n += 1
            super(Held, self).__init__()
            nn.Module.__init__(self)
        @staticmethod
        def make(x):
            x.y = 1
    class Handed(nn.Module):
        def build(self):
            fill(self)
    class Computed(nn.Module):
        def build(self, name):
            setattr(self, name, 1)
    class Aliased(nn.Module):
        def build(self):
            me = self
    class Getter(nn.Module):
        def __getattr__(self, name): pass
    @other.given_more("x")
    class Decorated(nn.Module): pass
    @other.register("x")
    @dataclass
    class Noted(nn.Module): pass
    def helper():
        class Inner: pass
"""


@pytest.mark.parametrize(("module", "is_package"), [("pkg.model", False), ("pkg", True)])
def test_libcst_gives_the_facts_that_ast_gives(module: str, is_package: bool) -> None:
    expected = file_facts(dedent(FACTS), module, is_package=is_package)
    assert expected is not None
    held = expected.classes["Held"]
    assert held.names == {"kind", "size", "low", "high", "each", "Inner", "__init__", "make"}
    assert held.attributes == {"body", "mean", "late", "i", "w", "n"}
    parts = ("torch.nn.Sequential", "torch.nn.Linear", "torch.nn.LayerNorm", f"{module}.Net", f"{module}.Sub")
    assert held.made == set(parts)
    dynamic = {name for name, one in expected.classes.items() if one.dynamic}
    assert dynamic == {"Handed", "Computed", "Aliased", "Getter", "Decorated"}
    assert unit_facts(unit(FACTS, module=module, is_package=is_package)) == expected


@pytest.mark.parametrize(("base", "found"), [("nn.Module", 1), ("Unknown", 0), ("object", 0)])
def test_bases_are_followed_through_two_other_files(base: str, found: int) -> None:
    """The rules see a module where its class is one only by the class of another file, by that of a third."""
    facts = (
        file_facts(f"from torch import nn\nclass Base({base}):\n    pass\n", "pkg.a"),
        file_facts("from .a import Base\nclass Middle(Base):\n    pass\n", "pkg.b"),
    )
    text = (
        "import torch\nfrom torch import nn\nfrom .b import Middle\n\n\nclass Net(Middle):\n    def __init__(self):\n"
        "        super().__init__()\n        self.w = nn.Parameter(torch.ones(3)).half()\n"
    )
    rules = load(info for info in RULES if info.code == "GRD606")
    index = ProjectIndex.of(one for one in facts if one is not None)
    assert len(lint_source(Source("pkg/c.py", text, module="pkg.c"), Settings(), rules, index)) == found


def test_values_side_by_side_are_those_of_the_attributes() -> None:
    of = unit(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, x):
                super().__init__()
                self.a, self.b = nn.Linear(2, 2), nn.Parameter(torch.ones(2))
                self.c, *self.d = nn.Linear(2, 2), x, x
                self.e, self.f = x
        """
    )
    kinds = {name: place[0].kind.value for name, place in of.classes.all[0].attributes.items()}
    assert kinds == {"a": "layer", "b": "parameter", "c": "opaque", "d": "opaque", "e": "opaque", "f": "opaque"}
