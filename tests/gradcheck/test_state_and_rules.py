"""State between calls, several outputs, leaks, jvp and vmap rules, the native forward, precision: messages, silence."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_gradcheck import Report, Verdict, check_gradients
from pytest_gradcheck.settings import CHECKS
from tests.gradcheck.functions import MatMul, Softmax, Swish, planted, rewritten

#: The checks of this package that look beyond the value of the gradient.
FURTHER = [check for check in CHECKS if check not in ("determinism", "vjp", "cotangent", "second-order")]


def _said(report: Report, kind: str) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in report.findings if finding.kind == kind]


class Remembers(torch.autograd.Function):
    """Keeps its input where the next call overwrites it."""

    last: Tensor

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Remembers.last = x.detach().clone()
        return x * x

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return 2 * Remembers.last * grad[0]


def test_state_in_a_class_attribute_is_found_and_the_gradient_alone_is_right() -> None:
    report = check_gradients(Remembers, torch.randn(5), order=1)
    assert report.tensors[0].verdict is Verdict.GOOD
    assert not report.passed
    ((severity, message),) = _said(report, "reentrant")
    assert severity == "error"
    assert "when its backward runs after another forward" in message
    assert "is there state in a global, a class attribute or a closure?" in message
    assert not _said(check_gradients(Swish, torch.randn(5), order=1), "reentrant")


def test_a_backward_that_runs_only_once_is_a_warning_that_names_its_exception() -> None:
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.kept = [2 * x]
        return x * x

    body = {"forward": staticmethod(forward), "backward": staticmethod(lambda ctx, g: ctx.kept.pop() * g)}
    report = check_gradients(type("Once", (torch.autograd.Function,), body), torch.randn(3), order=1)
    assert report.passed
    ((severity, message),) = _said(report, "reentrant")
    assert severity == "warning"
    assert message.startswith("the backward cannot run twice (retain_graph=True): IndexError: pop from empty list (")
    assert "test_state_and_rules.py:" in message


class SinCos(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        found = torch.zeros_like(x)
        found = found if grad[0] is None else found + grad[0] * x.cos()
        return found if grad[1] is None else found - grad[1] * x.sin()


def test_one_output_alone() -> None:
    careless = rewritten(SinCos, lambda ctx, a, b: a * ctx.saved_tensors[0].cos() - b * ctx.saved_tensors[0].sin())
    report = check_gradients(careless, torch.randn(4), order=1)
    assert not report.passed
    ((_, message),) = _said(report, "outputs")
    assert message.startswith("the backward raises when only output 0 has a gradient and the others' is None: TypeErr")
    assert check_gradients(SinCos, torch.randn(4)).verdict is Verdict.GOOD


def test_a_zero_gradient_gives_zero_and_not_nan() -> None:
    divides = rewritten(Swish, lambda ctx, *g: Swish.backward(ctx, g[0] / g[0].norm()) * g[0].norm(), "Divides")
    report = check_gradients(divides, torch.randn(4), order=1)
    ((_, message),) = _said(report, "outputs")
    assert message.startswith("the gradient of input0 is wrong when the incoming gradient is zero: nan instead of 0")


class Cycle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.result = torch.exp(x)
        return ctx.result  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return ctx.result * grad[0]


def test_a_cycle_is_named_by_the_attribute_that_closes_it() -> None:
    collecting = gc.isenabled()
    report = check_gradients(Cycle, torch.randn(3))
    assert gc.isenabled() is collecting
    assert report.passed
    ((severity, message),) = _said(report, "leak")
    assert severity == "warning"
    assert message.startswith("output 0 of Cycle stays in memory after all references to it are gone, with the whole")
    assert "ctx.result holds an output" in message


def test_an_output_saved_rightly_or_detached_is_no_leak() -> None:
    assert not _said(check_gradients(Softmax, torch.randn(2, 3), order=1), "leak")

    def forward(ctx: Any, x: Tensor) -> Tensor:
        found = torch.exp(x)
        ctx.result = found.detach()
        return found

    body = {"forward": staticmethod(forward), "backward": staticmethod(lambda ctx, g: ctx.result * g)}
    detached = type("Detached", (torch.autograd.Function,), body)
    assert not _said(check_gradients(detached, torch.randn(3), order=1), "leak")


def _product(**rules: Any) -> type[torch.autograd.Function]:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    body: dict[str, Any] = {
        "forward": lambda a, b: a * b,
        "setup_context": setup,
        "backward": lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]),
        **rules,
    }
    made = {name: staticmethod(value) if callable(value) else value for name, value in body.items()}
    return type("Product", (torch.autograd.Function,), made)


def test_a_wrong_jvp_is_said_with_all_three_values() -> None:
    wrong = _product(jvp=lambda ctx, da, db: da * ctx.saved_tensors[1])
    report = check_gradients(wrong, torch.randn(3), torch.randn(3))
    messages = [message for _, message in _said(report, "jvp")]
    assert [message.split(":")[0] for message in messages] == [
        "the jvp is wrong for a tangent of all tensors together",
        "the jvp is wrong for a tangent of input1 alone",
    ]
    assert "forward-mode AD gives 0, finite differences" in messages[1]
    right = _product(jvp=lambda ctx, da, db: da * ctx.saved_tensors[1] + ctx.saved_tensors[0] * db)
    assert check_gradients(right, torch.randn(3), torch.randn(3)).verdict is Verdict.GOOD


def test_a_jvp_at_a_kink_is_right_with_any_subgradient() -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    rule = staticmethod(lambda ctx, t: t * (ctx.saved_tensors[0] > 0))
    forward = staticmethod(lambda x: x.relu())
    body = {"forward": forward, "setup_context": staticmethod(setup), "backward": rule, "jvp": rule}
    function = type("Relu", (torch.autograd.Function,), body)
    report = check_gradients(function, torch.tensor([0.0, 1.0, -1.0]), order=1)
    assert report.verdict is Verdict.GOOD, str(report)
    assert not _said(report, "jvp")


def test_a_vmap_rule_that_mixes_up_the_batch() -> None:
    def vmap(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
        found: Any = _product(generate_vmap_rule=True)
        return found.apply(a, b), 0

    report = check_gradients(_product(vmap=vmap), torch.randn(3, 3), torch.randn(3, 3))
    ((severity, message),) = _said(report, "vmap")
    assert severity == "error"
    assert message.startswith("under vmap with all inputs batched along their last axis, output 0 differs from that of")
    assert check_gradients(_product(generate_vmap_rule=True), torch.randn(3), torch.randn(3)).verdict is Verdict.GOOD


#: A right jvp, checked in a process where every warning is an error: torch warns of itself when it loads forward mode.
STRICT = """
import torch
from pytest_gradcheck import check_gradients

class Sine(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()

    @staticmethod
    def jvp(ctx, t):
        return t * ctx.saved_tensors[0].cos()

import warnings
warnings.simplefilter("error")
print(check_gradients(Sine, torch.randn(3)))
"""


def test_a_warning_of_torch_itself_is_no_fault_of_a_jvp() -> None:
    said = subprocess.run([sys.executable, "-c", STRICT], capture_output=True, text=True, check=True).stdout
    assert said.startswith("gradients of Sine are GOOD"), said


def test_the_native_forward_sees_one_small_element_of_many() -> None:
    spoilt = torch.ones(2000)
    spoilt[7] = 1.1
    x = torch.randn(2000)
    x[7] = -14.0  # there the derivative is tiny beside all the others
    report = check_gradients(planted(Swish, lambda g: g * spoilt), x, checks=["native-forward"])
    ((severity, message),) = _said(report, "native-forward")
    assert severity == "error"
    assert "the forward's own operations: input0[7] gets " in message


def test_what_the_native_forward_confirms_is_said_with_its_numbers_once() -> None:
    report = check_gradients(planted(Swish, lambda g: 2 * g), torch.randn(4))
    worst = report.tensors[0].worst
    assert worst is not None
    ((severity, message),) = _said(report, "native-forward")
    assert severity == "warning"
    assert message == (
        "the backward is not the derivative of the forward's own operations in input0; finite differences agree with "
        "the forward's operations"
    )
    for number in (worst.autograd, worst.numeric):
        assert str(report).count(f"{number:.9g}") == 1


@pytest.mark.parametrize(
    "forward",
    [
        lambda ctx, x: (ctx.save_for_backward(x), x * torch.sigmoid(x.detach()))[1],
        lambda ctx, x: (ctx.save_for_backward(x), x * torch.sigmoid(x.data))[1],
        lambda ctx, x: (ctx.save_for_backward(x), torch.from_numpy(x.detach().numpy() * 1.0) * torch.sigmoid(x))[1],
    ],
    ids=["detach", "data", "numpy"],
)
def test_a_body_that_is_not_what_it_seems_is_not_believed(forward: Any) -> None:
    function = type("Hidden", (Swish,), {"forward": staticmethod(forward)})
    report = check_gradients(function, torch.randn(6))
    assert report.verdict is Verdict.GOOD, str(report)
    assert not _said(report, "native-forward")


def test_half_precision_inside_and_overflow_are_warnings_with_the_dtype() -> None:
    half = planted(Swish, lambda g: g if g.dtype == torch.float64 else g.half().to(g.dtype))
    report = check_gradients(half, torch.randn(8), order=1)
    assert report.passed
    severity, message = _said(report, "low-precision")[0]
    assert severity == "warning"
    assert message.startswith("in float32 the gradient of input0 is off by ")

    class Overflows(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return torch.log(torch.exp(x) + 1)

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return grad[0] * torch.sigmoid(ctx.saved_tensors[0])

    message = _said(check_gradients(Overflows, torch.tensor([100.0]), order=1), "low-precision")[0][1]
    assert message == "in float32 1 of 1 elements of output 0 are nan or infinite; in float64 none is"
    assert not _said(check_gradients(Swish, 100 * torch.randn(50), order=1), "low-precision")


@pytest.mark.parametrize("check", FURTHER)
def test_each_can_be_switched_off_or_run_alone(check: str) -> None:
    wrong = planted(Remembers, lambda g: g)
    report = check_gradients(wrong, torch.randn(3), checks=[check])
    assert report.settings.checks == (check,)
    kinds = {finding.kind for finding in report.findings}
    assert kinds <= {check, "low-precision"}


def test_a_budget_that_is_over_ends_them_and_says_so() -> None:
    report = check_gradients(MatMul, torch.randn(2, 3), torch.randn(3, 2), checks=FURTHER, budget=1e-9)
    assert [finding.kind for finding in report.findings] == ["budget"]
    assert report.findings[0].message == f"the budget of 1e-09 s ended; not run: {', '.join(FURTHER)}"


def test_the_class_is_left_as_it_was_also_when_the_backward_raises() -> None:
    def raises(ctx: Any, *grad: Any) -> Any:
        if not all(ctx.needs_input_grad):
            raise KeyError("frozen")
        return MatMul.backward(ctx, *grad)

    function = rewritten(MatMul, raises)
    before = dict(vars(function))
    report = check_gradients(function, torch.randn(2, 3), torch.randn(3, 2), order=1)
    assert "the backward raises when only input0 requires a gradient: KeyError" in str(report)
    assert dict(vars(function)) == before
    assert function.forward is MatMul.forward


def test_checks_keep_out_of_subjects_without_a_custom_function() -> None:
    report = check_gradients(torch.nn.Linear(3, 2), torch.randn(4, 3), checks=FURTHER)
    assert not report.findings
    # One for the outputs, one for the gradient, one to look for custom Functions: no check pays more.
    assert report.forward_calls == 3
