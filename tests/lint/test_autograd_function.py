"""Functions: which classes are, what apply takes, what is saved and returned; what cannot be known is None."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.autograd_function import FunctionClass
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.project import ProjectIndex
from gradlint.semantics.tensor_evidence import TensorEvidence

from tests.lint.linting import node, unit

HEAD = "import torch\nfrom torch.autograd import Function as F\nfrom elsewhere import Base, pack, wrap\n"


def function(code: str) -> FunctionClass:
    return unit(HEAD + code).functions.all[-1]


def saving(body: str) -> FunctionClass:
    return function(f"class A(F):\n    @staticmethod\n    def forward(ctx, x, y):\n        {body}\n")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("class A(F): pass", ["A"]),
        ("class A(torch.autograd.function.Function): pass", ["A"]),
        ("class A(F): pass\nclass B(A): pass", ["A", "B"]),
        ("G = F\nclass A(G): pass", ["A"]),
        ("class A(Base): pass\nclass B: pass\nclass C(C): pass", []),
    ],
)
def test_which_classes_are_functions(code: str, found: list[str]) -> None:
    assert [one.node.name.value for one in unit(HEAD + code).functions.all] == found


def test_a_base_in_another_file_makes_a_function_that_is_not_closed() -> None:
    facts = file_facts("import torch\nclass Base(torch.autograd.Function): pass", "elsewhere")
    assert facts is not None
    code = "class A(Base):\n    @staticmethod\n    def forward(ctx, x): ctx.save_for_backward(x)"
    (one,) = unit(HEAD + code, project=ProjectIndex.of([facts])).functions.all
    assert (one.inputs, one.saves) == (None, None)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("def forward(ctx, x, y=1)", (("x", "y"), 1, False)),
        ("def forward(ctx, x, /, *rest)", (("x",), 1, True)),
        ("def forward(ctx, x, **rest)", (("x",), 1, True)),
        ("@staticmethod\n    @torch.amp.custom_fwd(device_type='cuda')\n    def forward(ctx, x)", (("x",), 1, False)),
        ("@wrap\n    def forward(ctx, x)", None),
        ("forward = pack\n    def forward(ctx, x)", None),
        ("def setup_context(ctx, inputs, output): pass\n    def forward(x, y=1)", (("x", "y"), 2, False)),
    ],
)
def test_inputs(head: str, expected: tuple[tuple[str, ...], int, bool] | None) -> None:
    inputs = function(f"class A(F):\n    {head}: return x\n").inputs
    assert (None if inputs is None else (inputs.names, inputs.required, inputs.is_open)) == expected


def test_inherited_methods_count() -> None:
    code = "class A(F):\n    def forward(ctx, x, y): return x\nclass B(A):\n    def backward(ctx, grad): return grad\n"
    inputs = function(code).inputs
    assert inputs is not None
    assert inputs.names == ("x", "y")


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("ctx.save_for_backward(x, y)", {2}),
        ("ctx.save_for_backward(x) if y else ctx.save_for_backward(x, y)", {1, 2}),
        ("ctx.n = 1", {0}),
        ("ctx.save_for_backward(*x)", None),
        ("pack(ctx, x)", None),
        ("save = ctx.save_for_backward", None),
    ],
)
def test_saved_counts(body: str, counts: set[int] | None) -> None:
    assert saving(body).saved_counts == counts


@pytest.mark.parametrize(
    ("value", "tensor", "other"),
    [
        ("g * 2", True, False),
        ("-g.sum(0)[1:]", True, False),
        ("torch.zeros_like(h)", True, False),
        ("torch.nn.functional.relu(h)", True, False),
        ("again", True, False),
        ("torch.where(h)", False, False),
        ("g.split(2)", False, False),
        ("h", False, False),
        ("pack(g)", False, False),
        ("several", False, True),
        ("h.shape[0] * 2", False, True),
        ("h.size(0)", False, True),
        ("n", False, True),
        ("either", False, False),
        ("None", False, False),
        ("torch.float32", False, False),
    ],
)
def test_evidence(value: str, tensor: bool, other: bool) -> None:
    code = f"""
        def f(g, h, n: int):
            again = g.clone()
            again = again + 1
            again += h
            several = [g, h]
            either = 1 if h else g
            probe({value})
    """
    of = unit("import torch\nfrom elsewhere import pack\n" + code.replace("\n        ", "\n"))
    expression = node(of, f"probe({value})", cst.Call).args[0].value
    evidence = TensorEvidence(of.names, frozenset({"g"}))
    assert (evidence.is_tensor(expression), evidence.is_other(expression)) == (tensor, other)
