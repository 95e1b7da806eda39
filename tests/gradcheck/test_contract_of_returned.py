"""What backward returns, what it writes into, and which inputs require a gradient: messages, and silence near by."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Report, Verdict, check_gradients
from tests.gradcheck.functions import MatMul, Softmax, Swish, planted, rewritten


def _said(report: Report, kind: str) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in report.findings if finding.kind == kind]


class AddBias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, times: int = 1) -> Tensor:
        ctx.times = times
        return x + times * bias

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return grad[0], ctx.times * grad[0].sum(0), None


POINT = (torch.ones(3, 4), torch.arange(4.0), 2)


def test_a_gradient_that_the_engine_sums_in_silence_is_said_with_both_shapes() -> None:
    unsummed = rewritten(AddBias, lambda ctx, *g: (g[0], ctx.times * g[0], None), "Unsummed")
    report = check_gradients(unsummed, *POINT, order=1)
    assert report.passed
    ((severity, message),) = _said(report, "contract")
    assert severity == "warning"
    assert message.startswith(
        "the backward of Unsummed returns for input 1 a gradient of shape [3, 4] where the input has [4]: the engine "
        "sums it to that shape in silence"
    )
    assert not check_gradients(AddBias, *POINT, order=1).findings


@pytest.mark.parametrize(
    ("spoil", "severity", "said"),
    [
        (lambda g: g.float(), "warning", "float32 where the input holds float64: the engine casts it in silence; prec"),
        (lambda g: g.sign().int(), "warning", "int32 where the input holds float64: the engine casts it in silence; d"),
    ],
)
def test_another_dtype(spoil: Any, severity: str, said: str) -> None:
    report = check_gradients(planted(Swish, spoil), torch.randn(3), checks=["contract"])
    ((found, message),) = _said(report, "contract")
    assert found == severity
    assert said in message


def test_a_float64_gradient_in_a_float32_check_is_harmless() -> None:
    report = check_gradients(planted(Swish, Tensor.double), torch.randn(3), checks=["contract"], dtype="float32")
    assert [severity for severity, _ in _said(report, "contract")] == ["info"]


def test_further_nones_are_harmless() -> None:
    report = check_gradients(planted(Swish, lambda g: (g, None, None)), torch.randn(3), order=1)
    assert report.verdict is Verdict.GOOD
    ((severity, message),) = _said(report, "contract")
    assert severity == "info"
    assert "returns 3 gradients for 1 inputs" in message


def test_functions_inside_of_modules_and_callables_are_found() -> None:
    unsummed: Any = rewritten(AddBias, lambda ctx, *g: (g[0], ctx.times * g[0], None), "Unsummed")

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.randn(4))

        def forward(self, x: Tensor) -> Any:
            return torch.tanh(unsummed.apply(x.exp(), self.bias))

    assert _said(check_gradients(Layer(), torch.randn(3, 4)), "contract")
    assert _said(check_gradients(lambda x: unsummed.apply(x, torch.ones(4, requires_grad=True)), POINT[0]), "contract")


def test_subsets_are_named_and_a_function_that_asks_rightly_is_silent() -> None:
    def only_together(ctx: Any, *grad: Any) -> Any:
        a, b = MatMul.backward(ctx, *grad)
        return (a, b) if all(ctx.needs_input_grad) else (None, b)

    report = check_gradients(rewritten(MatMul, only_together), torch.randn(2, 3), torch.randn(3, 2))
    assert not report.passed
    ((severity, message),) = _said(report, "needs-input-grad")
    assert severity == "error"
    assert message.startswith("the gradient of input0 is wrong when only input0 requires a gradient: 0 instead of ")
    assert check_gradients(MatMul, torch.randn(2, 3), torch.randn(3, 2)).verdict is Verdict.GOOD


def test_of_many_tensors_each_is_left_out_and_alone() -> None:
    asked: list[tuple[bool, ...]] = []

    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *terms: Tensor) -> Tensor:
            asked.append(ctx.needs_input_grad)
            return torch.stack(terms).sum(0)

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return grad * len(ctx.needs_input_grad)

    report = check_gradients(Sum, *(torch.randn(2) for _ in range(5)), checks=["needs-input-grad"])
    assert not report.findings
    subsets = {flags for flags in asked if any(flags)}
    assert sorted(map(sum, subsets)) == [1] * 5 + [4] * 5 + [5]


def test_frozen_weights_that_a_module_needs_are_a_warning() -> None:
    def refuses(ctx: Any, *grad: Any) -> Any:
        if not all(ctx.needs_input_grad):
            raise ValueError("frozen")
        return MatMul.backward(ctx, *grad)

    picky: Any = rewritten(MatMul, refuses, "Picky")

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 2))

        def forward(self, x: Tensor) -> Any:
            return picky.apply(x, self.weight)

    report = check_gradients(Layer(), torch.randn(2, 3))
    assert report.passed
    message = r"the backward raises when only input0 requires a gradient: ValueError: frozen \(\S*returned\.py:\d+\)"
    assert any(
        severity == "warning" and re.fullmatch(message, text) for severity, text in _said(report, "needs-input-grad")
    )


def _in_place(ctx: Any, *grad: Any) -> Any:
    (y,) = ctx.saved_tensors
    return grad[0].sub_((grad[0] * y).sum(-1, keepdim=True)).mul_(y)


def _past_the_counter(ctx: Any, *grad: Any) -> Any:
    (y,) = ctx.saved_tensors
    found = y * (grad[0] - (grad[0] * y).sum(-1, keepdim=True))
    y.data.zero_()
    return found


@pytest.mark.parametrize(
    ("backward", "severity", "said"),
    [
        (_in_place, "error", "the backward of Writes writes into its incoming gradient 0: autograd may hand the same"),
        (_past_the_counter, "warning", "the backward of Writes writes into a tensor that its forward kept: a second"),
    ],
)
def test_mutations_are_said(backward: Any, severity: str, said: str) -> None:
    report = check_gradients(rewritten(Softmax, backward, "Writes"), torch.randn(3, 4), checks=["mutation"])
    ((found, message),) = _said(report, "mutation")
    assert found == severity
    assert message.startswith(said)
    assert not check_gradients(Softmax, torch.randn(3, 4), checks=["mutation"]).findings


def _spoils_what_others_saved(ctx: Any, *grad: Any) -> Any:
    (x,) = ctx.saved_tensors
    return grad[0] * Swish.backward(ctx, torch.ones_like(grad[0])) * x.div_(x)


def _writes_and_returns_it(ctx: Any, *grad: Any) -> Any:
    (x,) = ctx.saved_tensors
    s = torch.sigmoid(x)
    return grad[0].mul_(s + x * s * (1 - s))


class Within(nn.Module):
    """A Function inside a module, by what comes before and after it."""

    def __init__(self, function: Any, around: str) -> None:
        super().__init__()
        self.function = function
        self.around = around

    def forward(self, x: Tensor) -> Any:
        inside = x.tanh()  # saves its output, which the Function saves too
        y: Tensor = self.function.apply(inside)
        return {"alone": y, "summed": y.sum(), "beside": inside + y}[self.around]


@pytest.mark.parametrize("around", ["alone", "summed", "beside"])
@pytest.mark.parametrize(
    ("backward", "into"),
    [(_writes_and_returns_it, "its incoming gradient 0"), (_spoils_what_others_saved, "an input of its forward")],
)
def test_a_mutation_leads_whatever_its_symptom_is(backward: Any, into: str, around: str) -> None:
    function = rewritten(Swish, backward, "Writes")
    report = check_gradients(Within(function, around), torch.rand(3, 4) + 0.5)
    assert report.verdict is Verdict.WRONG
    assert report.findings[0].kind == "mutation"
    said = f"gradients of Within are WRONG: the backward of Writes writes into {into}: "
    assert str(report).startswith(said), str(report)


def test_a_mutation_leads_before_what_second_order_and_a_second_backward_make_of_it() -> None:
    report = check_gradients(rewritten(Softmax, _past_the_counter, "Writes"), torch.randn(3, 4))
    assert report.verdict is Verdict.WRONG
    assert {finding.kind for finding in report.findings} >= {"mutation", "reentrant"}
    said = "gradients of Writes are WRONG: the backward of Writes writes into a tensor that its forward kept: "
    assert str(report).startswith(said), str(report)


def _zeroes_what_it_saved(ctx: Any) -> None:
    ctx.saved_tensors[0].data.zero_()


@pytest.mark.parametrize("around", ["alone", "summed", "beside"])
@pytest.mark.parametrize(
    ("spoil", "into"),
    [
        (lambda ctx, g: _zeroes_what_it_saved(ctx), "an input of its forward"),
        (lambda ctx, g: g.data.zero_(), "its incoming gradient 0"),
    ],
)
def test_a_mutation_leads_where_the_backward_then_raises(spoil: Any, into: str, around: str) -> None:
    def writes(ctx: Any, *grad: Any) -> Any:
        spoil(ctx, grad[0])
        raise ValueError("no such luck")

    report = check_gradients(Within(rewritten(Swish, writes, "Writes"), around), torch.rand(3, 4) + 0.5)
    assert [finding.kind for finding in report.findings] == ["mutation", "backward-raised"]
    said = f"gradients of Within are WRONG: the backward of Writes writes into {into}: "
    assert str(report).startswith(said), str(report)


def test_a_backward_that_raises_without_writing_is_told_by_its_exception() -> None:
    def raises(ctx: Any, *grad: Any) -> Any:
        raise ValueError("no such luck")

    report = check_gradients(Within(rewritten(Swish, raises, "Raises"), "summed"), torch.randn(3, 4))
    assert [finding.kind for finding in report.findings] == ["backward-raised"]
    assert str(report).startswith("gradients of Within are WRONG: the backward raised ValueError: no such luck (")


def test_a_backward_that_returns_what_its_forward_put_out_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    class Exponential(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            (y,) = ctx.saved_tensors
            return y.mul_(grad[0])

    check_gradients(Exponential, torch.randn(3, 4))
    assert not [str(warning.message) for warning in recwarn]


def test_marked_dirty_is_allowed_and_unmarked_is_not() -> None:
    def double(ctx: Any, x: Tensor, mark: bool, hide: bool) -> Any:
        if mark:
            ctx.mark_dirty(x)
        return x.mul_(2) if mark else (x.data if hide else x.detach()).mul_(2).clone()

    back: Any = lambda ctx, g: (2 * g, None, None)  # noqa: E731
    body = {"forward": staticmethod(double), "backward": staticmethod(back)}
    function = type("Double", (torch.autograd.Function,), body)
    assert not check_gradients(function, torch.randn(3), True, False, order=1).findings
    ((severity, message),) = _said(check_gradients(function, torch.randn(3), False, True, order=1), "mutation")
    assert severity == "error"
    assert "writes into its input 0 without ctx.mark_dirty, past autograd's version counter" in message
    ((severity, message),) = _said(check_gradients(function, torch.randn(3), False, False, order=1), "mutation")
    assert severity == "warning"
