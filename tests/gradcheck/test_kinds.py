"""Kinds of subjects that users bring: right ones are GOOD, and a wrong backward in any of them is found and named."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from pytest_gradcheck import Report, Verdict, check_gradients
from tests.gradcheck.functions import Swish, planted


def said(report: Report) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in report.tensors}


class Numpy(torch.autograd.Function):
    """Forward and backward in numpy."""

    scale = 1.0

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        values = x.detach().numpy()
        ctx.slope = np.cos(values)
        return torch.from_numpy(np.sin(values))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad: Any) -> Any:
        return torch.from_numpy(grad[0].numpy() * ctx.slope)


def test_numpy_bodies() -> None:
    assert check_gradients(Numpy, torch.randn(4, 5)).verdict is Verdict.GOOD
    wrong = check_gradients(planted(Numpy, lambda g: -g), torch.randn(4, 5))
    assert wrong.verdict is Verdict.WRONG
    assert "the sign is flipped" in str(wrong)


@torch.library.custom_op("pytest_gradcheck_tests::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    return x**3


@torch.library.custom_op("pytest_gradcheck_tests::wrong_cube", mutates_args=())
def wrong_cube(x: Tensor) -> Tensor:
    return x**3


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])


cube.register_autograd(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g, setup_context=_keep)
wrong_cube.register_autograd(lambda ctx, g: 2 * ctx.saved_tensors[0] ** 2 * g, setup_context=_keep)


def test_operators_of_torch_library() -> None:
    x = torch.randn(4, 5)
    assert check_gradients(cube, x).verdict is Verdict.GOOD
    assert check_gradients(torch.ops.pytest_gradcheck_tests.cube, x).verdict is Verdict.GOOD
    wrong = check_gradients(wrong_cube, x)
    assert wrong.verdict is Verdict.WRONG
    assert "autograd = 0.666667 x numeric" in str(wrong)


class WrongSide(torch.autograd.Function):
    """A product whose second gradient has the wrong sign; plain enough for a compiler."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        a, b = ctx.saved_tensors
        return grad[0] @ b.t(), -(a.t() @ grad[0])


class Gated(nn.Module):
    """A layer with a custom Function in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(WrongSide.apply(x, self.weight))  # type: ignore[no-untyped-call]


def _inductor() -> None:
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("inductor compiles C++, and there is no compiler")


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_compiled_modules(backend: str) -> None:
    if backend == "inductor":
        _inductor()
    torch._dynamo.reset()
    x = torch.randn(5, 3)
    right = check_gradients(torch.compile(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), backend=backend), x)
    assert said(right) == {"input0": Verdict.GOOD, "0.weight": Verdict.GOOD, "0.bias": Verdict.GOOD}
    wrong = check_gradients(torch.compile(Gated(), backend=backend), x)
    assert said(wrong) == {"input0": Verdict.GOOD, "weight": Verdict.WRONG}
    assert "the sign is flipped" in str(wrong)


def test_a_compiled_function() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: torch.sin(x) * x, backend="aot_eager")
    assert check_gradients(compiled, torch.randn(6)).verdict is Verdict.GOOD


def _tripled(module: nn.Module, inward: Any, outward: Any) -> Any:
    return (3 * inward[0],)


def test_hooks_of_modules_run_and_count() -> None:
    calls: list[str] = []
    layer = nn.Linear(3, 2)
    layer.register_forward_pre_hook(lambda module, args: calls.append("before"))
    layer.register_forward_hook(lambda module, args, output: 2 * output)
    assert check_gradients(layer, torch.randn(4, 3)).verdict is Verdict.GOOD
    assert calls
    layer.register_full_backward_hook(_tripled)
    wrong = check_gradients(layer, torch.randn(4, 3))
    assert said(wrong) == {"input0": Verdict.WRONG, "weight": Verdict.GOOD, "bias": Verdict.GOOD}
    assert "autograd = 3 x numeric" in str(wrong)


PARAMETRIZED: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "weight_norm": (
        lambda: parametrizations.weight_norm(nn.Linear(3, 2)),
        ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"],
    ),
    "spectral_norm in train mode": (
        lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
        ["bias", "parametrizations.weight.original"],
    ),
    "spectral_norm in eval mode": (
        lambda: parametrizations.spectral_norm(nn.Linear(3, 2)).eval(),
        ["bias", "parametrizations.weight.original"],
    ),
    "orthogonal": (
        lambda: parametrizations.orthogonal(nn.Linear(3, 3)),
        ["bias", "parametrizations.weight.original"],
    ),
    "the old weight_norm": (lambda: torch.nn.utils.weight_norm(nn.Linear(3, 2)), ["bias", "weight_g", "weight_v"]),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("case", PARAMETRIZED)
def test_parametrized_modules(case: str) -> None:
    make, expected = PARAMETRIZED[case]
    module = make()
    state = copy.deepcopy(module.state_dict())
    report = check_gradients(module, torch.randn(4, 3))
    assert [check.name for check in report.tensors] == ["input0", *expected]
    wrong = [check.name for check in report.tensors if check.verdict is Verdict.WRONG]
    assert not wrong, str(report)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in state.items())


class Negated(nn.Module):
    """A parametrization whose backward has the wrong sign."""

    def forward(self, weight: Tensor) -> Tensor:
        found: Tensor = planted(Swish, lambda g: -g).apply(weight)  # type: ignore[no-untyped-call]
        return found


def test_a_wrong_parametrization_is_found_under_its_parameter() -> None:
    layer = nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", Negated())
    report = check_gradients(layer, torch.randn(4, 3))
    assert said(report)["parametrizations.weight.original"] is Verdict.WRONG
    assert said(report)["bias"] is Verdict.GOOD


LAZY: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.LazyLinear(3), (2, 4)),
    "conv": (nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d()), (2, 1, 5, 5)),
}


@pytest.mark.parametrize("case", LAZY)
def test_lazy_modules_stay_lazy(case: str) -> None:
    module, shape = LAZY[case]
    report = check_gradients(module, torch.randn(shape))
    assert report.passed, str(report)
    assert len(report.tensors) >= 3
    assert any(isinstance(parameter, nn.UninitializedParameter) for parameter in module.parameters())


def test_sparse_gradients_right_and_wrong() -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.table = nn.Embedding(6, 3, sparse=True)
            self.table.weight.register_hook(lambda g: g * factor)  # type: ignore[no-untyped-call]

        def forward(self, index: Tensor) -> Tensor:
            found: Tensor = self.table(index)
            return found

    index = torch.tensor([1, 2, 1, 5])
    assert check_gradients(Scaled(1.0), index).verdict is Verdict.GOOD
    assert "2 x numeric" in str(check_gradients(Scaled(2.0), index))


def test_a_whole_transformer_in_eval_mode_with_padding_masks() -> None:
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    padding = torch.tensor([[False, False, True], [False, False, False]])
    masks = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding}
    report = check_gradients(model, torch.randn(2, 3, 8), torch.randn(2, 4, 8), kwargs=masks)
    assert report.passed, str(report)
    assert not model.training


class InPlace(nn.Module):
    """Writes into its own input, as an in-place activation at the head of a block does."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2).sin()


def test_a_module_that_writes_into_its_input_is_checked_and_said() -> None:
    x = torch.randn(4, 5)
    before = x.clone()
    report = check_gradients(InPlace(), x)
    assert torch.equal(x, before)
    assert said(report) == {"input0": Verdict.GOOD}
    assert [(f.kind, f.severity) for f in report.findings if "input0" in f.message] == [("mutation", "info")]
    assert "InPlace writes into input0" in str(report)
    silent = check_gradients(nn.Tanh(), x)
    assert not silent.findings


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_pass_through_and_come_out(layout: torch.layout) -> None:
    ragged = torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=layout)
    assert said(check_gradients(nn.Linear(3, 2), ragged)) == {"weight": Verdict.GOOD, "bias": Verdict.GOOD}

    def packed(a: Tensor, b: Tensor) -> Tensor:
        return torch.nested.as_nested_tensor([a, b], layout=layout).sin()

    inputs = torch.randn(2, 3), torch.randn(4, 3)
    assert said(check_gradients(packed, *inputs)) == {"input0": Verdict.GOOD, "input1": Verdict.GOOD}
    cut = check_gradients(lambda a, b: packed(a, b.detach()), *inputs)
    assert said(cut) == {"input0": Verdict.GOOD, "input1": Verdict.WRONG}


class Power(torch.autograd.Function):
    """Takes its exponent by position or by keyword."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, exponent: int = 2) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.exponent = exponent
        return weight * x**exponent

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        x, weight = ctx.saved_tensors
        return grad[0] * weight * ctx.exponent * x ** (ctx.exponent - 1), grad[0] * x**ctx.exponent, None


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_function_that_is_given_keywords_by_the_check_or_by_a_module(wrong: int) -> None:
    x, weight = torch.rand(3) + 1, torch.randn(3)
    try:
        Power.apply(x, weight=weight, exponent=3)  # type: ignore[no-untyped-call]
    except TypeError:
        pytest.skip("this torch takes no keywords in apply")
    function = planted(Power, lambda a, b, c: (wrong * a, b, c), "Power")

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(weight.clone())

        def forward(self, x: Tensor) -> Any:
            return function.apply(x, weight=self.weight, exponent=3)  # type: ignore[no-untyped-call]

    verdict = Verdict.GOOD if wrong == 1 else Verdict.WRONG
    keywords = {"weight": weight, "exponent": 3}
    assert said(check_gradients(function, x, kwargs=keywords)) == {"input0": verdict, "weight": Verdict.GOOD}
    report = check_gradients(Layer(), x)
    assert said(report) == {"input0": verdict, "weight": Verdict.GOOD}, str(report)
