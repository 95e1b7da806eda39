"""Planted faults: the replay names the module, the operation and the source line that broke the step."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.training import train_smoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gradcheck.model.training import Failure, Site

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


def here(offset: int = 0) -> int:
    """The line this is called from."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno + offset


def failure_of(model: nn.Module, batches: Any = ((X, Y),), **options: Any) -> Failure:
    run = train_smoke(model, list(batches), **options)
    assert run.failure is not None
    return run.failure


def source(failure: Failure | Site) -> tuple[str, int]:
    assert failure.source is not None
    file, _, line = failure.source.rpartition(":")
    return file.rpartition("/")[2], int(line)


class Layer(nn.Module):
    """A linear layer, and one line that breaks."""

    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.formula = formula

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.formula(self.inner(inputs))


def test_an_overflow_in_a_convolution_is_not_blamed_on_what_comes_after() -> None:
    """The ReLU hides the convolution's -inf, and the loss turns its +inf into nan: anomaly mode blames the loss."""
    first, second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
    nn.init.constant_(second.weight, 1e38)
    nn.init.constant_(first.weight, 1.0)
    model = nn.Sequential(first, second, nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    failure = failure_of(model, [(torch.full((4, 1, 6, 6), 3.0), Y[:4])])
    assert (failure.phase, failure.quantity, failure.value) == ("forward", "activation", "inf")
    assert (failure.module, failure.op, failure.source) == ("1", "aten.convolution", None)
    assert failure.reproduced is True


def test_an_infinity_that_a_relu_swallows_is_named_but_not_blamed() -> None:
    def formula(hidden: torch.Tensor) -> torch.Tensor:
        swallowed = torch.relu(-torch.exp(hidden * 0 + 100)).sum()
        return (hidden[:, :3] + swallowed) * math.nan

    failure = failure_of(Layer(formula))
    assert failure.op == "aten.mul"
    assert failure.first is not None
    assert (failure.first.op, failure.first.value) == ("aten.exp", "inf")
    assert source(failure)[1] == source(failure.first)[1] + 1


def test_sqrt_at_zero_is_infinite_only_in_backward() -> None:
    line = here(2)
    model = nn.Sequential(
        Layer(lambda hidden: torch.sqrt(hidden * 0)),
        nn.Linear(6, 3),
    )
    failure = failure_of(model)
    assert (failure.phase, failure.quantity, failure.value) == ("backward", "gradient", "inf")
    assert (failure.module, failure.op) == ("0", "SqrtBackward0")
    assert source(failure) == ("test_replay.py", line)


def test_log_of_zero_masked_by_where_breaks_only_the_backward() -> None:
    def formula(hidden: torch.Tensor) -> torch.Tensor:
        positive = hidden * (hidden > 0)
        safe = torch.log(positive)
        return torch.where(positive > 0, safe, torch.zeros(()))[:, :3]

    failure = failure_of(Layer(formula))
    assert (failure.phase, failure.value) == ("backward", "nan")
    assert (failure.module, failure.op) == ("", "LogBackward0")
    assert failure.first is not None
    assert (failure.first.op, failure.first.value) == ("aten.log", "-inf")
    assert source(failure) == source(failure.first)


def test_log_of_zero_in_forward_names_the_line_in_a_nested_module() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                [Layer(lambda hidden: hidden), Layer(lambda hidden: hidden.clamp(max=0).relu().log())]
            )

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                inputs = block(inputs)
            return inputs[:, :3]

    failure = failure_of(Outer())
    assert (failure.phase, failure.value) == ("forward", "inf")
    assert (failure.module, failure.op) == ("blocks.1", "aten.log")
    assert source(failure)[0] == "test_replay.py"


def test_a_loss_of_the_users_is_named_as_the_loss() -> None:
    def loss(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return (outputs * 0).log().sum()

    failure = failure_of(nn.Linear(6, 3), loss=loss)
    assert (failure.quantity, failure.module, failure.op) == ("loss", None, "aten.log")
    assert source(failure)[0] == "test_replay.py"


def test_attention_masks_of_minus_infinity_are_allowed_but_a_fully_masked_row_is_blamed_on_softmax() -> None:
    def attention(hidden: torch.Tensor) -> torch.Tensor:
        future = torch.ones(8, 8, dtype=torch.bool).triu(1)
        weights = torch.softmax((hidden @ hidden.T).masked_fill(future, -math.inf), -1)
        return (weights @ hidden)[:, :3]

    assert train_smoke(Layer(attention), [(X, Y)]).passed

    def broken(hidden: torch.Tensor) -> torch.Tensor:
        hide = torch.full((8, 8), -math.inf)
        return (torch.softmax(hidden @ hidden.T + hide, -1) @ hidden)[:, :3]

    failure = failure_of(Layer(broken))
    assert (failure.op, failure.value, failure.first) == ("aten._softmax", "nan", None)


def test_float16_overflow_under_autocast() -> None:
    model = nn.Sequential(nn.Linear(6, 6), Layer(lambda hidden: hidden * 300), nn.Linear(6, 3))
    failure = failure_of(model, [(X * 1000, Y)], amp="float16")
    assert (failure.phase, failure.value) == ("forward", "inf")
    assert failure.module == "1"
    assert failure.op == "aten.mul"


def test_a_gradient_that_overflows_in_a_sum_names_the_node_that_receives_it() -> None:
    def formula(hidden: torch.Tensor) -> torch.Tensor:
        return hidden[:, :3]

    def loss(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        near = outputs * 1e-30
        return (near * 2e38).sum() + (near * 2e38).sum()

    failure = failure_of(Layer(formula), loss=loss)
    assert (failure.phase, failure.op, failure.value) == ("backward", "MulBackward0", "inf")
    assert source(failure)[0] == "test_replay.py"


def test_the_replay_repeats_dropout_batch_statistics_and_counters() -> None:
    """It must run from the state before the failing forward: one draw or one count later nothing would fail."""

    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.norm, self.calls = nn.Linear(6, 3), nn.BatchNorm1d(6), 0

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            noise = torch.rand(())
            seen = self.norm.running_mean
            assert seen is not None
            out: torch.Tensor = self.inner(nn.functional.dropout(self.norm(inputs), 0.5)) + noise + seen.sum()
            return out / 0 if self.calls == 3 else out

    failure = failure_of(Moody())
    assert failure.step == 2
    assert failure.reproduced is True
    assert failure.op == "aten.div"


def test_a_step_that_does_not_repeat_says_so() -> None:
    outside = {"calls": 0}

    def formula(hidden: torch.Tensor) -> torch.Tensor:
        outside["calls"] += 1
        return hidden[:, :3] * (math.nan if outside["calls"] == 2 else 1)

    run = train_smoke(Layer(formula), [(X, Y)])
    assert run.failure is not None
    assert (run.failure.step, run.failure.reproduced, run.failure.op) == (1, False, None)
    assert "did not fail the same way" in str(run)


def test_a_replay_that_raises_does_not_hide_the_failure() -> None:
    outside = {"calls": 0}

    def formula(hidden: torch.Tensor) -> torch.Tensor:
        outside["calls"] += 1
        if outside["calls"] == 2:
            raise ValueError("only once")
        return hidden[:, :3] * math.nan

    run = train_smoke(Layer(formula), [(X, Y)])
    assert run.failure is not None
    assert run.failure.value == "nan"
    assert any("running the step again raised UsageProblem" in said for said in run.failure.evidence)


@pytest.mark.parametrize("inplace", [False, True])
def test_operations_in_place_are_followed(inplace: bool) -> None:
    def formula(hidden: torch.Tensor) -> torch.Tensor:
        grown = hidden * 1e38 * 1e38
        grown = grown.mul_(0) if inplace else grown * 0
        return grown[:, :3] + hidden[:, :3]

    failure = failure_of(Layer(formula))
    assert (failure.op, failure.value, failure.first) == ("aten.mul", "inf", None)


def test_a_tensor_overwritten_in_place_is_forgiven() -> None:
    def formula(hidden: torch.Tensor) -> torch.Tensor:
        scratch = torch.exp(hidden.detach() * 0 + 100)
        scratch.zero_()
        return (hidden[:, :3] + scratch[:, :3]) / 0

    failure = failure_of(Layer(formula))
    assert failure.op == "aten.div"
    assert failure.first is not None
    assert failure.first.op == "aten.exp"
