"""Names: full names through every alias, Python's scoping exactly, and silence where nothing can be known."""

from __future__ import annotations

import builtins
import symtable
import sys
from textwrap import dedent

import libcst as cst
import pytest
from gradlint.constants import UNKNOWN, constant
from gradlint.names import Standing, canonical
from gradlint.scopes import BindingKind

from tests.lint.linting import node, unit


def full(code: str, expression: str) -> str | None:
    """The full name of the last `expression` in the code."""
    u = unit(code)
    kind: type[cst.CSTNode] = cst.Attribute if "." in expression else cst.Name
    return u.names.full_name(node(u, expression, kind))


@pytest.mark.parametrize(
    ("code", "expression", "expected"),
    [
        ("import torch\ntorch.nn.Linear", "torch.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn\ntorch.nn.Linear", "torch.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn as N\nN.Linear", "N.Linear", "torch.nn.Linear"),
        ("from torch import nn\nnn.Linear", "nn.Linear", "torch.nn.Linear"),
        ("from torch.nn import init as I\nI.ones_", "I.ones_", "torch.nn.init.ones_"),
        ("from torch.nn import Linear as L\nL", "L", "torch.nn.Linear"),
        ("import torch\nnn = torch.nn\nL = nn.Linear\nL(1)", "L", "torch.nn.Linear"),
        ("import torch\na, b = torch.nn.Linear, torch.nn.ReLU\nb", "b", "torch.nn.ReLU"),
        ("import torch\nif (L := torch.nn.Linear): L", "L", "torch.nn.Linear"),
        ("import torch\nL: type = torch.nn.Linear\nL", "L", "torch.nn.Linear"),
        ("def f():\n    from torch import nn\n    return nn.ReLU", "nn.ReLU", "torch.nn.ReLU"),
        ("try:\n    from torch import nn\nexcept ImportError:\n    nn = None\nnn.ReLU", "nn.ReLU", "torch.nn.ReLU"),
        ("if X:\n    import torch.nn as nn\nelse:\n    from torch import nn\nnn.ReLU", "nn.ReLU", "torch.nn.ReLU"),
        ("from torch import nn\nf = lambda x: nn.ReLU", "nn.ReLU", "torch.nn.ReLU"),
        ("from torch import nn\n[nn.ReLU for _ in x]", "nn.ReLU", "torch.nn.ReLU"),
        ("from torch import nn\nclass A:\n    nn = 1\n    def f(self): nn.ReLU", "nn.ReLU", "torch.nn.ReLU"),
        ("from torch.nn.modules.linear import Linear\nLinear", "Linear", "torch.nn.Linear"),
        ("class A:\n    class B: pass\nA.B", "A.B", "__main__.A.B"),
        ("def f():\n    class B: pass\n    return B", "B", "__main__.f.<locals>.B"),
        ("len", "len", "builtins.len"),
        (
            "global_ = 1\ndef f():\n    global nn\n    from torch import nn\ndef g(): nn.ReLU",
            "nn.ReLU",
            "torch.nn.ReLU",
        ),
    ],
)
def test_full_names(code: str, expression: str, expected: str) -> None:
    assert full(code, expression) == expected


@pytest.mark.parametrize(
    ("code", "expression"),
    [
        ("from torch.nn import *\nLinear", "Linear"),
        ("nn.Linear", "nn.Linear"),
        ("from torch import nn\ndef f(nn): nn.Linear", "nn.Linear"),
        ("from torch import nn\ndef f():\n    nn.Linear\n    nn = 1", "nn.Linear"),
        ("from torch import nn\nlambda nn: nn.Linear", "nn.Linear"),
        ("from torch import nn\n[nn.Linear for nn in x]", "nn.Linear"),
        ("from torch import nn\nfor nn in x: nn.Linear", "nn.Linear"),
        ("from torch import nn\nwith x as nn: nn.Linear", "nn.Linear"),
        ("try:\n    from apex import LN\nexcept ImportError:\n    from torch.nn import LayerNorm as LN\nLN", "LN"),
        ("from torch import nn\nclass A:\n    nn = None\n    nn.Linear", "nn.Linear"),
        ("nn = nn\nnn.Linear", "nn.Linear"),
        ("a = b\nb = a\na.x", "a.x"),
        ("from . import nn\nnn.Linear", "nn.Linear"),
        ("import torch\nmake().nn", "make().nn"),
        ("import torch\ntorch += 1\ntorch.nn", "torch.nn"),
        ("from torch import nn\nmatch x:\n    case nn: nn.Linear", "nn.Linear"),
    ],
)
def test_what_cannot_be_known_has_no_name(code: str, expression: str) -> None:
    assert full(code, expression) is None


@pytest.mark.parametrize(
    ("module", "is_package", "statement", "expected"),
    [
        ("pkg.sub.mod", False, "from . import a", "pkg.sub.a"),
        ("pkg.sub.mod", False, "from ..b import a", "pkg.b.a"),
        ("pkg.sub", True, "from .b import a", "pkg.sub.b.a"),
        ("pkg", True, "from ..b import a", None),
    ],
)
def test_relative_imports(module: str, is_package: bool, statement: str, expected: str | None) -> None:
    u = unit(f"{statement}\na\n", module=module, is_package=is_package)
    assert u.names.full_name(node(u, "a", cst.Name)) == expected


def test_a_re_export_is_followed_if_the_project_knows_it() -> None:
    from gradlint.semantics.file_facts import file_facts
    from gradlint.semantics.project import ProjectIndex

    facts = file_facts("from torch.nn import Linear as Dense\nfrom torch import nn", "pkg.layers")
    assert facts is not None
    u = unit(
        "from pkg.layers import Dense\nfrom pkg import layers\nDense\nlayers.nn.ReLU", project=ProjectIndex.of([facts])
    )
    assert u.names.full_name(node(u, "Dense", cst.Name)) == "torch.nn.Linear"
    assert u.names.full_name(node(u, "layers.nn.ReLU", cst.Attribute)) == "torch.nn.ReLU"


SCOPING = """
    import os, a.b as ab
    from m import *
    x = y = 1
    class C(x, metaclass=y):
        x = 2
        z: int
        def method(self, p=x, *args, q: x = 1, **kw):
            nonlocal_ = x
            def inner():
                nonlocal nonlocal_
                global made
                made = nonlocal_ = q
                return [i for i in p if (w := i)], w
            return inner
        items = [x for x in x if x]
    def outer(t):
        f = lambda u, v=t: u + v + x
        try: pass
        except E as err: err
        with o as (g, [h, *rest]): pass
        for k, in x: del k
        match t:
            case {"a": cap, **more} | [cap, *more]: pass
            case C(x=attr) as whole: pass
        import late.module
        return {key: val for key, val in t for t in key}
    async def co():
        async for n in x: await n
"""


def _symtable_locals(table: symtable.SymbolTable, found: dict[tuple[str, int], set[str]]) -> None:
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_local() or symbol.is_parameter()}
    names |= {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() and table.get_type() == "module"
    }
    if table.get_name() not in ("listcomp", "dictcomp", "setcomp", "genexpr"):
        found[table.get_name(), table.get_lineno()] = {name for name in names if not name.startswith(".")}
    for child in table.get_children():
        _symtable_locals(child, found)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="symtable counts a comprehension's names to its function there")
def test_each_scope_binds_what_python_says_it_binds() -> None:
    code = dedent(SCOPING).lstrip()
    theirs: dict[tuple[str, int], set[str]] = {}
    _symtable_locals(symtable.symtable(code, "m", "exec"), theirs)
    u = unit(code)
    scopes = u.names.scopes
    # symtable leaves what a `global` brings out of the module's own table.
    assert set(scopes.module.bindings) - {"made"} == theirs["top", 0]
    assert "made" in scopes.module.bindings
    definitions: list[cst.FunctionDef | cst.ClassDef] = [*u.tree.nodes(cst.FunctionDef), *u.tree.nodes(cst.ClassDef)]
    for definition in definitions:
        line = u.positions.range(definition.name).start.line
        assert set(scopes.inside(definition).bindings) == theirs[definition.name.value, line], definition.name.value
    (first, *_) = u.tree.nodes(cst.Lambda)
    assert set(scopes.inside(first).bindings) == {"u", "v"}


def standing(code: str, name: str) -> tuple[Standing, str | None]:
    u = unit(code)
    reference = u.names.reference(node(u, name, cst.Name))
    return reference.standing, reference.scope.kind.value if reference.scope else None


@pytest.mark.parametrize(
    ("code", "name", "scope"),
    [
        ("n = 1\ndef f(m): return n", "n", "module"),
        ("def f():\n    return n\nn = 1", "n", "module"),
        ("def f(n):\n    def g(): return n", "n", "function"),
        ("def f(n):\n    return lambda: n", "n", "function"),
        ("lambda n: n", "n", "lambda"),
        ("[n for n in x]", "n", "comprehension"),
        ("n = 1\n[n2 for n2 in n]", "n", "module"),
        ("class A:\n    n = 1\n    [k for k in n]", "n", "class"),
        ("class A:\n    n = 1\n    m = n", "n", "class"),
        ("def f():\n    [k for k in (n := x)]\n    n", "n", "function"),
        ("def f():\n    try: pass\n    except E as n: n", "n", "function"),
        ("def f(x):\n    match x:\n        case [n]: n", "n", "function"),
        ("def f[T](x: T): pass", "T", "types"),
        ("class A[T]:\n    def f(self, x: T): pass", "T", "types"),
        ("type X[T] = list[T]", "T", "types"),
        ("n = 1\ndef f():\n    global n\n    n = 2\n    return n", "n", "module"),
        ("def f():\n    n = 1\n    def g():\n        nonlocal n\n        n = 2\n        return n", "n", "function"),
        ("def f(n, m=n): pass\nn = 1", "n", "module"),
        ("def f():\n    import n.sub\n    n", "n", "function"),
        ("class A:\n    n = int\n    def f[T](self, x: n): pass", "n", "class"),
    ],
)
def test_a_name_is_bound_in(code: str, name: str, scope: str) -> None:
    assert standing(code, name) == (Standing.BOUND, scope)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("n", Standing.UNDEFINED),
        ("class A:\n    n = 1\n    def f(self): return n", Standing.UNDEFINED),
        ("class A:\n    n = 1\n    f = [n for _ in x]", Standing.UNDEFINED),
        ("class A:\n    n = 1\n    class B:\n        m = n", Standing.UNDEFINED),
        ("[n for n in x]\ny = n", Standing.UNDEFINED),
        ("def f(n): pass\nn", Standing.UNDEFINED),
        ("lambda n: 0\nn", Standing.UNDEFINED),
        ("def f(x=[lambda n: 0]): return n", Standing.UNDEFINED),
        ("from m import *\nn", Standing.UNKNOWN),
        ("exec(code)\nn", Standing.UNKNOWN),
        ("globals().update(x)\nn", Standing.UNKNOWN),
    ],
)
def test_a_name_that_nothing_binds(code: str, expected: Standing) -> None:
    assert standing(code, "n") == (expected, None)


def test_builtins_do_not_depend_on_the_interpreter() -> None:
    for name in (*dir(builtins), "ExceptionGroup", "aiter", "__file__", "exit", "PythonFinalizationError"):
        assert standing(f"{name}\n", name)[0] is Standing.BUILTIN


def test_a_binding_tells_its_kind_and_value() -> None:
    u = unit("x = 1\nfor x in y: pass\nimport x\n")
    reference = u.names.reference(next(iter(u.tree.nodes(cst.Name))))
    assert {binding.kind for binding in reference.bindings} == {
        BindingKind.ASSIGNMENT,
        BindingKind.LOOP,
        BindingKind.IMPORT,
    }
    assert reference.binding is None
    assert reference.is_module_level


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("class A:\n    def f(self): self.x", "x"),
        ("class A:\n    def f(me): me.x", "x"),
        ("class A:\n    def f(self):\n        return lambda: self.x", "x"),
        ("class A:\n    def f(self):\n        def g(): return self.x", "x"),
        ("def f(self): self.x", None),
        ("class A:\n    @staticmethod\n    def f(self): self.x", None),
        ("class A:\n    @classmethod\n    def f(self): self.x", None),
        ("class A:\n    def f(self, other): other.x", None),
        ("class A:\n    def f(self):\n        self = 1\n        self.x", None),
        ("class A:\n    def f(self):\n        def g(self): return self.x", None),
        ("class A:\n    def f(self):\n        return self.y.x", None),
    ],
)
def test_self_attributes(code: str, expected: str | None) -> None:
    u = unit(code)
    (attribute,) = [found for found in u.tree.nodes(cst.Attribute) if found.attr.value == "x"]
    assert u.names.self_attribute(attribute) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch.nn.modules.linear.Linear", "torch.nn.Linear"),
        ("torch.nn.parameter.Parameter", "torch.nn.Parameter"),
        ("torch.optim.adam.Adam", "torch.optim.Adam"),
        ("torch.optim.lr_scheduler.StepLR", "torch.optim.lr_scheduler.StepLR"),
        ("torch.autograd.function.Function", "torch.autograd.Function"),
        ("torch.nn.functional.relu", "torch.nn.functional.relu"),
        ("mytorch.nn.modules.Linear", "mytorch.nn.modules.Linear"),
    ],
)
def test_canonical_names(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("v = 3", 3),
        ("v = -2 * (3 + 1) ** 2", -32),
        ("v = 0.5", 0.5),
        ("v = 'a'", "a"),
        ("v = True", True),
        ("v = None", None),
        ("n = 4\nv = n // 2", 2),
        ("n = 4\ndef f():\n    v = n % 3", 1),
        ("v = (1, 2)[1]", 2),
        ("v = len((1, 2, 3))", 3),
        ("v = range(1, 6, 2)", (1, 3, 5)),
        ("def f(n=4):\n    v = n", UNKNOWN),
        ("n = 4\nn = 5\nv = n", UNKNOWN),
        ("for n in range(3): v = n", UNKNOWN),
        ("n = [1]\nv = n", UNKNOWN),
        ("v = 1 / 0", UNKNOWN),
        ("v = 9 ** 9 ** 9 ** 9", UNKNOWN),
        ("v = range(10 ** 9)", UNKNOWN),
        ("v = range(1, 2, 0)", UNKNOWN),
        ("v = f()", UNKNOWN),
        ("n = m\nm = n\nv = n", UNKNOWN),
        ("def range(x): pass\nv = range(3)", UNKNOWN),
        ("v = 0x1_F", 31),
        ("v = 1_0.5e-1", 1.05),
        (f"v = {'9' * 5000}", UNKNOWN),
    ],
)
def test_constants(code: str, expected: object) -> None:
    u = unit(code)
    value = next(
        assign.value
        for assign in u.tree.nodes(cst.Assign)
        if isinstance(assign.targets[0].target, cst.Name) and assign.targets[0].target.value == "v"
    )
    assert constant(value, u.names) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch\nx", "torch.nn.ModuleList"),
        ("from torch import nn as N\nx", "N.ModuleList"),
        ("import torch\nfrom torch import nn\nx", "nn.ModuleList"),
        ("from torch.nn import ModuleList as ML\nfrom torch import nn\nx", "ML"),
        ("from torch import nn\nnn = 3\nx", None),
        ("from torch import nn\ndef f(nn):\n    x", None),
        ("def f():\n    from torch import nn\nx", None),
        ("from elsewhere import nn\nx", None),
    ],
)
def test_a_torch_name_is_spelled_with_what_is_imported(code: str, expected: str | None) -> None:
    u = unit(code)
    assert u.names.spelling("torch.nn.ModuleList", node(u, "x", cst.Name)) == expected
