"""What can be checked, how its tensors are named and chosen, and what the awkward kinds of module need."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from pytest_gradcheck import UsageProblem, Verdict, check_gradients
from pytest_gradcheck.model import Report
from tests.gradcheck.functions import MatMul, Swish, Unconjugated


def names(report: Report) -> list[str]:
    return [check.name for check in report.tensors]


def test_function_class_and_its_apply_are_one_subject() -> None:
    x = torch.randn(4, 5)
    by_class, by_apply = check_gradients(Swish, x), check_gradients(Swish.apply, x)
    assert by_class.subject == by_apply.subject == "Swish"
    assert by_class.tensors == by_apply.tensors
    assert by_class.second_order == by_apply.second_order != ()


def test_inputs_are_named_by_position_breadcrumb_and_keyword() -> None:
    pair = namedtuple("pair", ["left", "right"])

    def everything(a: Any, b: Any, c: Any, *, mask: Tensor, extra: Any) -> Tensor:
        total: Tensor = a.sum() * b[0].sum() + c["mask"].sum() * mask.sum() + extra[1].left * extra[1].right
        return total

    report = check_gradients(
        everything,
        torch.randn(2),
        [torch.randn(3), torch.tensor([1, 2]), "text"],
        {"mask": torch.randn(2), 0: None},
        kwargs={"mask": torch.randn(2), "extra": (7, pair(torch.randn(()), torch.randn(())))},
    )
    assert names(report) == ["input0", "input1[0]", 'input2["mask"]', "mask", "extra[1].left", "extra[1].right"]
    assert report.verdict is Verdict.GOOD


def test_only_inputs_that_require_a_gradient_are_checked_where_there_are_any() -> None:
    a, b = torch.randn(2, 3, requires_grad=True), torch.randn(3, 2)
    assert names(check_gradients(MatMul, a, b, order=1)) == ["input0"]
    assert names(check_gradients(MatMul, a.detach(), b, order=1)) == ["input0", "input1"]


def test_frozen_parameters_are_not_checked_unless_wrt_names_them() -> None:
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    x = torch.randn(4, 3)
    assert names(check_gradients(layer, x)) == ["input0", "weight"]
    assert names(check_gradients(layer, x, wrt=["bias"])) == ["bias"]
    assert not layer.bias.requires_grad


class Single(nn.Linear):
    """Runs in its own precision only, so that a check asks twice."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(x)


@pytest.mark.parametrize("layer", [nn.Linear, Single])
@pytest.mark.parametrize("wrt", [["weight"], ("weight",), {"weight"}, {"weight": 1}.keys(), iter(["weight"])])
def test_wrt_may_be_any_iterable_of_names(layer: type[nn.Linear], wrt: Any) -> None:
    wrt = iter(["weight"]) if isinstance(wrt, Iterator) else wrt  # parameters of a test are shared by its items
    assert names(check_gradients(layer(3, 2), torch.randn(4, 3), wrt=wrt)) == ["weight"]


def test_wrt_may_be_one_name_alone() -> None:
    assert names(check_gradients(nn.Linear(3, 2), torch.randn(4, 3), wrt="weight")) == ["weight"]
    with pytest.raises(UsageProblem, match="wrt is empty"):
        check_gradients(nn.Linear(3, 2), torch.randn(4, 3), wrt=iter([]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        (["wieght"], "did you mean 'weight'?"),
        (["input1"], "int64: only dense floating and complex tensors can be checked"),
        ([], "wrt is empty"),
    ],
)
def test_wrt_errors(wrt: list[str], message: str) -> None:
    class Layer(nn.Linear):
        def forward(self, x: Tensor, i: Tensor | None = None) -> Tensor:
            return super().forward(x)

    with pytest.raises(UsageProblem, match=re.escape(message)):
        check_gradients(Layer(3, 2), torch.randn(4, 3), torch.tensor([1]), wrt=wrt)


def test_tied_weights_are_one_tensor_with_two_names() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(3, 3, bias=False)
            self.decode = nn.Linear(3, 3, bias=False)
            self.decode.weight = self.encode.weight

        def forward(self, x: Tensor) -> Tensor:
            decoded: Tensor = self.decode(torch.tanh(self.encode(x)))
            return decoded

    report = check_gradients(Tied(), torch.randn(2, 3))
    assert names(report) == ["input0", "encode.weight"]
    assert report.verdict is Verdict.GOOD
    assert names(check_gradients(Tied(), torch.randn(2, 3), wrt=["decode.weight"])) == ["decode.weight"]


ONCE = """
import torch, warnings
from pytest_gradcheck import UsageProblem, check_gradients

def padded(x):
    return torch.nested.as_nested_tensor([x[:1], x]).to_padded_tensor(0.0)

with warnings.catch_warnings(record=True) as recorded:
    warnings.simplefilter(FILTER)
    try:
        print(check_gradients(padded, torch.randn(3, 2)).passed, torch.is_warn_always_enabled())
    except UsageProblem as problem:
        print(problem)
print(*[f"warned of {warning.message}" for warning in recorded])
"""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("error", "padded raised UserWarning in its forward on (3, 2) in float64: The PyTorch API of nested tensors"),
        ("always", "True False\nwarned of The PyTorch API of nested tensors is in prototype stage"),
    ],
)
def test_a_warning_that_torch_says_once_in_a_process_is_not_used_up(told: str, said: str) -> None:
    source = ONCE.replace("FILTER", repr(told))  # a process of its own: in this one it may have been said
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(said) and ran.stdout.count("The PyTorch API of nested tensors") == 1, ran.stdout


@pytest.mark.filterwarnings("error")  # a checkpoint warns where no input requires a gradient: in a check, all do
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint_inside_a_module(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = checkpoint(lambda y: torch.tanh(self.inner(y)), x, use_reentrant=reentrant)
            return found

    report = check_gradients(Checkpointed(), torch.randn(3, 4))
    assert names(report) == ["input0", "inner.weight", "inner.bias"]
    assert report.verdict is Verdict.GOOD, str(report)


class _Adjoint(torch.autograd.Function):
    """Reads its module's parameters again in backward, as adjoint solvers and reversible nets do."""

    @staticmethod
    def forward(ctx: Any, module: nn.Module, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.module = module
        ctx.save_for_backward(x)
        with torch.no_grad():
            value: Tensor = torch.tanh(module(x))
        return value

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_(True)
            value = torch.tanh(ctx.module(x))
            return (None, *torch.autograd.grad(value, [x, *ctx.module.parameters()], grad[0]))


def test_module_whose_backward_reads_its_parameters() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            value: Tensor = _Adjoint.apply(self.inner, x, *self.inner.parameters())  # type: ignore[no-untyped-call]
            return value

    report = check_gradients(Reads(), torch.randn(3, 4))
    assert names(report) == ["input0", "inner.weight", "inner.bias"]
    assert report.verdict is Verdict.GOOD, str(report)


MODULES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "lstm": (nn.LSTM(3, 4), (torch.randn(5, 2, 3),)),
    "gru with a state": (nn.GRU(3, 4), (torch.randn(5, 2, 3), torch.randn(1, 2, 4))),
    "attention": (nn.MultiheadAttention(4, 2), (torch.randn(3, 2, 4),) * 3),
    "lazy": (nn.Sequential(nn.LazyLinear(3), nn.Tanh()), (torch.randn(2, 4),)),
    "sparse embedding": (nn.Embedding(5, 3, sparse=True), (torch.tensor([1, 2, 1]),)),
    "parametrized": (parametrizations.weight_norm(nn.Linear(3, 2)), (torch.randn(4, 3),)),
    "half precision": (nn.Linear(3, 2).half(), (torch.randn(4, 3).half(),)),
    "in place": (nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)), (torch.randn(4, 3),)),
}


@pytest.mark.parametrize("case", MODULES)
def test_modules_of_every_kind(case: str) -> None:
    module, inputs = MODULES[case]
    report = check_gradients(module, *inputs)
    assert report.verdict is Verdict.GOOD, str(report)


def test_nested_outputs_all_count() -> None:
    class Many(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return OrderedDict(a=x * 2, b=[x.sin(), None, {"c": x.argmax()}], d=(x.exp(), "text"))

    assert check_gradients(Many(), torch.randn(3)).verdict is Verdict.GOOD


def test_one_detached_output_of_several_is_wrong() -> None:
    report = check_gradients(lambda x: (x * 2, (x * 3).detach()), torch.randn(3))
    assert report.verdict is Verdict.WRONG


def test_complex_tensors_have_two_parts() -> None:
    z = torch.randn(3, dtype=torch.complex64)
    assert check_gradients(lambda z: z * z.conj() + z**2, z).verdict is Verdict.GOOD
    assert check_gradients(torch.abs, z).verdict is Verdict.GOOD
    report = check_gradients(Unconjugated, z)
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.part in ("real", "imag")
    assert f"input0{list(report.tensors[0].worst.index)}.{report.tensors[0].worst.part}" in str(report)


def test_layers_captured_by_a_closure_are_checked_by_name() -> None:
    layer, scale = nn.Linear(3, 2), torch.randn(2, requires_grad=True)
    report = check_gradients(lambda x: layer(x) * scale, torch.randn(4, 3))
    assert names(report) == ["input0", "layer.weight", "layer.bias", "scale"]
    assert report.verdict is Verdict.GOOD
    assert layer.weight.dtype is torch.float32
    partial = functools.partial(lambda m, x: m(x), layer)
    assert names(check_gradients(partial, torch.randn(4, 3)))[1:] == ["args[0].weight", "args[0].bias"]
    assert names(check_gradients(functools.partial(layer), torch.randn(4, 3)))[1:] == ["func.weight", "func.bias"]


#: Bears the name of an attribute of `Holder`, and has nothing to do with it.
inner = nn.Linear(3, 2)


class Holder:
    """No module, but it has one."""

    def __init__(self) -> None:
        self.inner = nn.Linear(3, 2)
        self.again = [self.inner]

    def encode(self, x: Tensor) -> Tensor:
        code: Tensor = self.inner(x)
        return code

    def __call__(self, x: Tensor) -> Tensor:
        return self.encode(x)


@pytest.mark.parametrize("subject", [Holder(), Holder().encode], ids=["object", "method"])
def test_an_object_that_is_no_module_is_checked_with_its_own_layers(subject: Any) -> None:
    report = check_gradients(subject, torch.randn(4, 3))
    assert names(report) == ["input0", "inner.weight", "inner.bias"]
    assert not report.findings  # a tensor that the output does not depend on would be named here


def test_a_global_is_no_part_of_what_has_an_attribute_of_its_name() -> None:
    holder = Holder()
    report = check_gradients(lambda x: holder.inner(x), torch.randn(4, 3))
    assert len(report.tensors) == 3
    assert "inner.weight" not in names(report) and not report.findings


def test_bound_methods_of_modules() -> None:
    class Coder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 2)

        def encode(self, x: Tensor) -> Tensor:
            code: Tensor = torch.tanh(self.inner(x))
            return code

    report = check_gradients(Coder().encode, torch.randn(4, 3))
    assert report.subject.endswith("Coder.encode")
    assert names(report) == ["input0", "inner.weight", "inner.bias"]


def test_module_that_cannot_be_copied_is_borrowed_and_given_back() -> None:
    layer = nn.Linear(3, 2)
    layer.lock = threading.Lock()  # type: ignore[assignment]
    before = layer.weight.detach().clone()
    storage = layer.weight.data_ptr()
    report = check_gradients(layer, torch.randn(4, 3))
    assert report.verdict is Verdict.GOOD
    assert layer.weight.dtype is torch.float32
    assert layer.weight.data_ptr() == storage
    assert torch.equal(layer.weight, before)


def test_tensors_that_the_forward_creates_follow_the_precision() -> None:
    class State(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ torch.eye(3)

    assert check_gradients(State(), torch.randn(2, 3)).verdict is Verdict.GOOD
    assert torch.get_default_dtype() is torch.float32


def test_non_contiguous_and_expanded_inputs() -> None:
    x = torch.randn(3, 8)[:, ::2].t()
    assert check_gradients(Swish, x).verdict is Verdict.GOOD
    assert check_gradients(Swish, torch.randn(3, 1).expand(3, 4)).verdict is Verdict.GOOD


def test_sparse_inputs_pass_through_unchecked() -> None:
    sparse = torch.eye(3).to_sparse()
    assert names(check_gradients(torch.sparse.mm, sparse, torch.randn(3, 2))) == ["input1"]
    with pytest.raises(UsageProblem, match="sparse_coo: only dense"):
        check_gradients(torch.sparse.mm, sparse, torch.randn(3, 2), wrt=["input0"])


def test_empty_tensor_and_scalar() -> None:
    assert check_gradients(lambda x, y: x.sum() * y, torch.randn(0, 3), torch.randn(())).verdict is Verdict.GOOD
