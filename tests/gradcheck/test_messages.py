"""What the reports and refusals say, word for word where a user acts on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import UsageProblem, Verdict, check_gradients
from pytest_gradcheck.marker import Marker
from pytest_gradcheck.subjects.draw import build, draw
from tests.gradcheck.functions import MatMul, Swish, planted, rewritten

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "integers": (
        lambda: check_gradients(lambda i, j: i + j, torch.tensor([1, 2]), torch.tensor(True)),
        "there is nothing to check: no input is a floating or complex tensor (got input0: int64 of shape (2,), input1: "
        "bool of shape ()) and no parameter requires a gradient",
    ),
    "nothing at all": (
        lambda: check_gradients(lambda: torch.zeros(())),
        "(got no tensors) and no parameter requires a gradient; give the inputs, as tensors or, in a mark, as shapes: "
        "gradcheck((8, 16))",
    ),
    "a numpy array": (
        lambda: check_gradients(lambda x: x, np.zeros(3)),
        "and no parameter requires a gradient; input0 is a numpy array: pass torch.from_numpy(input0) instead",
    ),
    "a numpy array for a module": (
        lambda: check_gradients(nn.Linear(3, 2), np.zeros((4, 3))),
        "; input0 is a numpy array: pass torch.from_numpy(input0) instead",
    ),
    "an empty wrt": (
        lambda: check_gradients(nn.Linear(3, 2), torch.randn(4, 3), wrt=[]),
        "wrt is empty: name at least one tensor to check, or leave wrt out to check all",
    ),
    "a meta input": (
        lambda: check_gradients(Swish, torch.randn(4, device="meta")),
        "input0 lies on the meta device, which holds shapes and no numbers: give a tensor with values, such as "
        "torch.randn((4,))",
    ),
    "a nested meta input": (
        lambda: check_gradients(lambda x: x["a"], {"a": torch.randn(4, device="meta")}),
        'input0["a"] lies on the meta device',
    ),
    "a meta module": (
        lambda: check_gradients(nn.Linear(3, 2, device="meta"), torch.randn(4, 3)),
        "weight lies on the meta device, which holds shapes and no numbers: build the module on a real device, or give "
        "it one by module.to_empty(device='cpu') and initialise it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_checked_is_refused_in_one_sentence(case: str) -> None:
    ask, message = REFUSED[case]
    with pytest.raises(UsageProblem, match=re.escape(message)) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_numbers_are_said_to_be_derivatives_of_a_sum() -> None:
    said = "(autograd and numeric: derivatives of sum(v * output), v a random cotangent; 1 for a single number)"
    assert said in str(check_gradients(planted(Swish, lambda g: -g), torch.randn(4)))
    assert said not in str(check_gradients(Swish, torch.randn(4)))


def _fails(ctx: Any, *grad: Any) -> Any:
    raise ValueError("no way back")


def test_a_backward_that_raises_is_the_headline_with_its_place() -> None:
    report = check_gradients(rewritten(Swish, _fails, "Broken"), torch.randn(4))
    line = _fails.__code__.co_firstlineno + 1
    head = str(report).splitlines()[0]
    assert re.fullmatch(
        rf"gradients of Broken are WRONG: the backward raised ValueError: no way back \(\S*test_messages\.py:{line}\)",
        head,
    )
    assert report.verdict is Verdict.WRONG


def _twice_detached(ctx: Any, *grad: Any) -> Any:
    (x,) = ctx.saved_tensors
    s = torch.sigmoid(x.detach())
    return grad[0] * (s + x.detach() * s * (1 - s))


def test_a_double_backward_that_misses_a_tensor_is_said_in_the_words_of_the_backward() -> None:
    report = check_gradients(rewritten(Swish, _twice_detached), torch.randn(4))
    assert not report.passed
    assert "by autograd the backward's result does not depend on input0, though its value does: it was taken" in str(
        report
    )


class Kept(torch.autograd.Function):
    """Saves an intermediate result, which is a constant in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = x.square().mean(-1, keepdim=True).rsqrt()
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        x, scale = ctx.saved_tensors
        return scale * grad[0] - x * scale**3 * (grad[0] * x).mean(-1, keepdim=True)


def test_a_saved_intermediate_result_is_said_to_be_a_constant_of_the_double_backward() -> None:
    report = check_gradients(Kept, torch.randn(3, 4))
    assert [check.verdict for check in report.tensors] == [Verdict.GOOD]
    assert not report.passed
    assert "other tensors that forward saves are constants there: compute them again" in str(report)


def test_outputs_that_are_left_out_are_counted_and_the_first_is_named() -> None:
    report = check_gradients(torch.log, torch.tensor([[1.0, 2.0], [3.0, -1.0]]))
    (message,) = (finding.message for finding in report.findings if finding.kind == "non-finite")
    assert message == (
        "1 of 4 output elements is nan or infinite, output0[1, 1] first; what is not finite was left out of the check"
    )
    report = check_gradients(lambda x, y: (x.sum(), y.log()), torch.ones(2), -torch.ones(2))
    (message,) = (finding.message for finding in report.findings if finding.kind == "non-finite")
    assert message.startswith("2 of 3 output elements are nan or infinite, output1[0] first; ")


def test_of_many_good_tensors_the_least_exact_one_is_shown() -> None:
    report = check_gradients(nn.LSTM(2, 2, 2, bidirectional=True), torch.randn(3, 1, 2))
    least = max(report.tensors, key=lambda check: check.relative_error)
    lines = str(report).splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("  tensor "))
    assert lines[at + 1].split()[0] == least.name
    assert lines[at + 2] == f"  ... and {len(report.tensors) - 1} tensors GOOD"


def test_an_empty_tensor_could_not_have_failed() -> None:
    report = check_gradients(lambda x, y: x.sum() * y, torch.randn(0, 3), torch.randn(()))
    assert report.passed
    messages = [finding.message for finding in report.findings if finding.kind == "no-power"]
    assert "input0 of shape [0, 3] is empty: this check of it could not have failed" in messages


class Bent(torch.autograd.Function):
    """A ReLU whose gradient at 0 is no slope of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad[0] * torch.where(x == 0, 1.5, (x > 0).double())


def test_a_slope_outside_of_a_kink_is_said_with_both_slopes() -> None:
    report = check_gradients(Bent, torch.tensor([0.0, 1.0, -2.0]), order=1)
    assert report.verdict is Verdict.WRONG
    text = str(report)
    found = re.search(r"input0\[0\] is a kink: slopes (\S+) to (\S+); autograd's (\S+) lies outside of them", text)
    assert found, text
    low, high, autograd = map(float, found.groups())
    assert low <= high
    assert not low <= autograd <= high
    assert "lies outside" not in str(check_gradients(torch.relu, torch.tensor([0.0, 1.0])))


def test_an_output_that_is_wrong_by_itself_names_its_custom_functions() -> None:
    class Layer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = planted(MatMul, lambda a, b: (-a, b), "Product").apply(x, torch.ones(3, 2).double())  # type: ignore[no-untyped-call]
            return found

    report = check_gradients(Layer(), torch.randn(4, 3))
    assert re.search(r"the backward of Product stands at \S*functions\.py:\d+", str(report))


def test_a_backward_that_writes_into_its_cotangent_spoils_no_other_check() -> None:
    def overwrites(ctx: Any, *grad: Any) -> Any:
        found = Swish.backward(ctx, *grad)
        grad[0].zero_()
        return found

    report = check_gradients(rewritten(Swish, overwrites), torch.randn(4, 5), order=1)
    assert report.tensors[0].verdict is Verdict.GOOD
    assert {finding.kind for finding in report.findings if finding.severity != "info"} == {"mutation"}


def test_a_custom_function_whose_slope_is_excused_inside_a_module_is_a_warning() -> None:
    class Net(nn.Module):
        def __init__(self, bend: Any) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 6, bias=False)
            self.bend = bend

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.bend(self.inner(x))
            return found

    report = check_gradients(Net(Bent.apply), torch.zeros(3, 4))
    kinks = [finding for finding in report.findings if finding.kind == "kinks" and finding.severity == "warning"]
    assert kinks or report.verdict is Verdict.WRONG, str(report)
    assert all(finding.message.endswith("check Bent alone, where one kink decides") for finding in kinks)
    silent = check_gradients(Net(torch.relu), torch.zeros(3, 4))
    assert not [finding for finding in silent.findings if finding.severity != "info" and finding.kind == "kinks"]
    assert silent.passed


def test_a_module_that_writes_into_its_input_is_told_what_a_caller_must_do() -> None:
    class Doubles(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2)

    (finding,) = check_gradients(Doubles(), torch.randn(3)).findings
    assert finding.message == (
        "Doubles writes into input0; the check gives each call a copy of its own, a caller who still needs the old "
        "values must do the same"
    )


def test_a_jump_has_no_derivative_to_compare_with() -> None:
    report = check_gradients(lambda x: torch.where(x >= 0, x + 1e-3, x), torch.tensor([0.0, 1.0, -1.0]), checks=["vjp"])
    assert report.passed, str(report)
    assert "input0[0] is a jump of the function: it has no derivative there to compare with" in str(report)
    head = "gradients of <lambda> are INCONCLUSIVE: 1 of 1 tensor could not be certified"
    assert str(report).splitlines()[0].endswith(head.partition("<lambda>")[2])


def test_outputs_that_depend_on_nothing_are_refused() -> None:
    with pytest.raises(UsageProblem, match="depends on input0, neither by autograd nor in value"):
        check_gradients(lambda x: torch.ones(3), torch.randn(3))


BAD_INPUTS: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (lambda: 1 / 0, "gradcheck: inputs= raised ZeroDivisionError: division by zero"),
    "a number": (lambda: 3, "gradcheck: inputs= must return a tuple of inputs, not int"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_cannot_be_made(case: str) -> None:
    make, message = BAD_INPUTS[case]
    with pytest.raises(UsageProblem, match=re.escape(message)):
        draw(Marker(make_inputs=make), 0)


def test_an_error_of_inputs_has_its_line() -> None:
    with pytest.raises(UsageProblem, match=r"division by zero \(\S*test_messages\.py:\d+\)$"):
        draw(Marker(make_inputs=lambda: 1 / 0), 0)


@pytest.mark.parametrize("size", [10**15, 2**70])
def test_a_shape_that_no_memory_holds_is_said_in_one_line(size: int) -> None:
    with pytest.raises(UsageProblem, match=rf"^no input of shape \(3, {size}\) can be made: [^\n]+$") as caught:
        draw(Marker(inputs=((3, size),)), 0)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("returned", "got"), [(Swish, "the class Swish"), (nn.Linear(3, 2), "an object of Linear")])
def test_constructor_arguments_without_a_class_name_what_came_instead(returned: Any, got: str) -> None:
    said = f"gradcheck: init builds a class of nn.Module, but the test returned {got}: remove init"
    with pytest.raises(UsageProblem, match=re.escape(said)):
        build(returned, Marker(init=(3,)))


def test_an_error_of_the_engine_itself_has_no_place_in_pythons_library() -> None:
    class Counts(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return 2

    report = check_gradients(Counts, torch.randn(3))
    (finding,) = report.findings
    assert re.fullmatch(r"the backward raised \w+: [^/]*", finding.message), finding.message
    assert report.source is not None and "test_messages.py" in report.source


def test_the_source_is_the_users_own_line_also_without_a_backward() -> None:
    class Without(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

    class Renamed(Without):
        @staticmethod
        def vjp(ctx: Any, *grad: Any) -> Any:
            return 2 * grad[0]

    for function in (Without, Renamed):
        report = check_gradients(function, torch.randn(3))
        assert report.source is not None and "test_messages.py" in report.source
        assert report.passed is (function is Renamed)
