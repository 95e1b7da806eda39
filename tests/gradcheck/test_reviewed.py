"""What a reviewer broke: unseen parameters, float32 islands, poles, hooks, raising domains. Each stays mended."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytest_gradcheck import Verdict, check_gradients
from tests.gradcheck.functions import MatMul, Swish, planted, rewritten

Wrong = planted(MatMul, lambda a, b: (a, -b))
X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


class Layer(nn.Module):
    """Its weight's gradient has the wrong sign."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        y: Tensor = Wrong.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return y if weight is None else y * weight


class Closure(nn.Module):
    """Its forward goes through a lambda that deepcopy cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))
        self.product = lambda x: Wrong.apply(x, self.weight)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.product(x)  # type: ignore[no-untyped-call]
        return y


class Holder:
    """Not a module, but it has one."""

    def __init__(self) -> None:
        self.model = Layer()

    def loss(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x).sum()
        return y


LAYERS = [Layer()]
GLOBAL = Layer()


def helper(x: Tensor) -> Tensor:
    y: Tensor = GLOBAL(x)
    return y


UNSEEN: dict[str, Callable[..., Any]] = {
    "in a list": lambda x: LAYERS[0](x),
    "in a helper": lambda x: helper(x),
    "in an object": Holder().loss,
    "in a closure of the module": Closure(),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_parameters_are_found_wherever_they_are_held(case: str) -> None:
    report = check_gradients(UNSEEN[case], X)
    assert report.dtype == "float64"
    assert report.verdict is Verdict.WRONG
    assert len(report.tensors) == 2
    assert report.tensors[0].verdict is Verdict.GOOD


def test_a_parameter_and_an_input_of_one_name_are_both_checked() -> None:
    report = check_gradients(Layer(), X, kwargs={"weight": torch.rand(4)})
    by_name = {check.name: check.verdict for check in report.tensors}
    assert by_name == {"input0": Verdict.GOOD, "weight": Verdict.GOOD, "weight (parameter)": Verdict.WRONG}


def test_hooks_on_parameters_count() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.register_hook(lambda gradient: -gradient)  # type: ignore[no-untyped-call]
    report = check_gradients(layer, X)
    assert {check.name: check.verdict for check in report.tensors}["weight"] is Verdict.WRONG


def test_one_small_wrong_element_in_thousands_is_found_by_projection() -> None:
    scale = np.ones(5000)
    scale[7] = 1e-4

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return torch.from_numpy(np.sin(x.detach().numpy()) * scale)

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            k = torch.tensor(scale)
            return grad[0] * k * ctx.saved_tensors[0].cos() * torch.where(k < 0.5, -1.0, 1.0)

    report = check_gradients(Sine, torch.randn(5000).double(), checks=["vjp"])
    assert report.verdict is Verdict.WRONG
    assert report.tensors[0].worst is not None
    assert report.tensors[0].worst.index == (7,)


class RMSNorm(nn.Module):
    """As the Llama code has it: float32 in the middle, whatever comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(6) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        dtype, x = x.dtype, x.float()
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)).to(dtype)


RIGHT: dict[str, Callable[[], tuple[Callable[..., Any], Tensor]]] = {
    "softmax in float32": lambda: (
        lambda x: F.softmax(x, -1, dtype=torch.float32).to(x.dtype) @ x.mT,
        torch.randn(4, 6),
    ),
    "norm in float32": lambda: (RMSNorm(), torch.randn(4, 6)),
    "pole nearby": lambda: (lambda x: 1 / x, torch.tensor([1e-4, 1e-3, 1.0], dtype=torch.float64)),
    "padded rows": lambda: (F.normalize, torch.zeros(2, 3)),
    "steep step": lambda: (lambda x: torch.tanh(x / 1e-8), torch.randn(5)),
    "fast sine": lambda: (lambda x: torch.sin(1e7 * x), torch.randn(5)),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", RIGHT)
def test_right_gradients_at_awkward_scales_pass(case: str, seed: int) -> None:
    torch.manual_seed(seed)
    report = check_gradients(*RIGHT[case](), seed=seed)
    assert report.passed, str(report)


@pytest.mark.parametrize("seed", range(5))
def test_wrong_gradients_beside_a_float32_island_fail(seed: int) -> None:
    torch.manual_seed(seed)
    wrong = planted(Swish, lambda g: -g)
    subject = lambda x: wrong.apply(x.float()).to(x.dtype)  # type: ignore[no-untyped-call]  # noqa: E731
    assert check_gradients(subject, torch.randn(4, 6), seed=seed).verdict is Verdict.WRONG


def test_a_forward_that_raises_off_its_domain_is_no_usage_problem() -> None:
    def root(x: Tensor) -> Tensor:
        if bool((x < 0).any()):
            raise ValueError("negative")
        return x.sqrt()

    report = check_gradients(root, torch.tensor([1e-6, 1.0], dtype=torch.float64))
    assert report.passed, str(report)
    assert re.search(r"negative \(\S*test_reviewed\.py:\d+\); it ran at the point of the check", str(report))


def test_a_problem_off_the_domain_is_worded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One exception object that is raised a thousand times has a traceback of a thousand frames."""
    worded: list[BaseException] = []

    def at(error: BaseException) -> str:
        worded.append(error)
        return ""

    monkeypatch.setattr("pytest_gradcheck.subjects.forward.at", at)
    problem = ValueError("negative")

    def root(x: Tensor) -> Tensor:
        if bool((x < 0).any()):
            raise problem
        return x.sqrt()

    report = check_gradients(root, torch.zeros(3, dtype=torch.float64))
    assert report.forward_calls > 100
    assert worded == [problem]


def test_outputs_marked_as_not_differentiable_are_left_out() -> None:
    class Statistic(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Any:
            spread = x.std()
            ctx.mark_non_differentiable(spread)
            return x * 2, spread

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return grad[0] * 2

    report = check_gradients(Statistic, torch.randn(5), order=1)
    assert report.passed, str(report)
    assert "output1 of Statistic carries no gradient" in str(report)


def test_inference_mode_around_the_check_does_not_matter() -> None:
    layer = nn.Linear(3, 2)
    with torch.inference_mode():
        assert check_gradients(layer, torch.randn(5, 3)).verdict is Verdict.GOOD


def test_clamped_cotangents_of_any_size_are_found() -> None:
    clamped = rewritten(Swish, lambda ctx, *g: Swish.backward(ctx, g[0].clamp(-10, 10)))
    report = check_gradients(clamped, torch.randn(4, 5), order=1)
    assert not report.passed
    assert "not linear" in str(report)


def test_double_backward_that_raises_anything_is_not_allowed_not_a_crash() -> None:
    def backward(ctx: Any, *grad: Any) -> Any:
        if torch.is_grad_enabled():
            raise ValueError("no double backward")
        return Swish.backward(ctx, *grad)

    assert check_gradients(rewritten(Swish, backward), torch.randn(4), checks=["vjp", "second-order"]).passed


class Long(nn.Module):
    """Has a length of zero, a list that grows, and a cache of graph tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.history: list[int] = []
        self.cache: dict[str, Tensor] = {}
        self.noise = torch.Generator().manual_seed(1)

    def __len__(self) -> int:
        return 0

    def forward(self, x: Tensor) -> Tensor:
        self.history.append(1)
        if "w" not in self.cache:
            self.cache["w"] = self.weight.softmax(0)
        return x * self.cache["w"] + 0.1 * torch.randn(3, generator=self.noise)


def test_mutable_attributes_and_generators_are_held_still() -> None:
    module = Long()
    state = module.noise.get_state()
    for subject in (module, lambda x: module(x)):
        report = check_gradients(subject, torch.randn(2, 3))
        assert report.verdict is Verdict.GOOD, str(report)
    assert (module.history, module.cache) == ([], {})
    assert torch.equal(module.noise.get_state(), state)


def test_scripted_and_compiled_modules() -> None:
    scripted = torch.jit.script(nn.Linear(3, 2))
    assert check_gradients(scripted, torch.randn(4, 3)).passed
    compiled = torch.compile(nn.Linear(3, 2), backend="eager")
    report = check_gradients(compiled, torch.randn(4, 3))
    assert report.passed, str(report)
    assert [check.name for check in report.tensors] == ["input0", "weight", "bias"]


@pytest.mark.filterwarnings("error")
def test_a_scripted_module_warns_of_nothing_and_keeps_its_frozen_parameter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its age
        scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)))
    scripted[0].bias.requires_grad_(False)
    report = check_gradients(scripted, torch.randn(4, 3))
    assert [check.name for check in report.tensors] == ["input0", "0.weight", "1.weight", "1.bias"]
    assert all(parameter.is_leaf and parameter.grad is None for parameter in scripted.parameters())


def test_right_gradients_next_to_a_pole_pass() -> None:
    for seed in range(5):
        report = check_gradients(lambda x: 1 / x, torch.tensor([1e-8, 1e-6, 1.0], dtype=torch.float64), seed=seed)
        assert report.passed, str(report)
