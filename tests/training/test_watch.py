"""`watch` around loops of all kinds: it changes nothing, sees every step, and names what broke."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks

from pytest_gradcheck.errors import TrainingFailure, UsageProblem
from pytest_gradcheck.training import watch

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Layer(nn.Module):
    """A linear layer, and one line that breaks at a call."""

    calls: torch.Tensor

    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor], at: int = 0) -> None:
        super().__init__()
        self.inner, self.formula, self.at = nn.Linear(6, 6), formula, at
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out: torch.Tensor = self.inner(inputs)
        return self.formula(out) if int(self.calls) > self.at else out


def net(formula: Callable[[torch.Tensor], torch.Tensor] = lambda hidden: hidden, at: int = 0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(Layer(formula, at), nn.Dropout(0.2), nn.Linear(6, 3))


def backward(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(X), Y)
    backward(loss)
    optimizer.step()
    return loss.item()


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


@pytest.mark.parametrize("make", [sgd, lambda model: torch.optim.Adam(model.parameters(), lr=0.01)])
def test_a_healthy_loop_is_the_bare_loop_bit_for_bit_and_is_seen_whole(make: Any) -> None:
    bare = net()
    optimizer = make(bare)
    wanted = [step(bare, optimizer) for _ in range(6)]
    watched = net()
    optimizer = make(watched)
    with watch(watched, optimizer, max_overhead=None) as seen:
        got = [step(watched, optimizer) for _ in range(6)]
    assert got == wanted == seen.loss
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters(), watched.parameters(), strict=True))
    assert seen.failure is None
    assert len(seen.gradient_norm) == len(seen.learning_rate) == seen.steps == 6
    assert [sample.step for sample in seen.health.samples] == [0, 1, 2, 4]
    assert str(seen).startswith("Sequential trained 6 steps without a failure: ")


def test_nothing_of_it_stays_behind() -> None:
    model = net()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu")
    with watch(model, optimizer, scaler=scaler):
        step(model, optimizer)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not _global_optimizer_pre_hooks
    assert "step" not in vars(scaler)
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize(
    "formula,phase,op",
    [
        (lambda hidden: (hidden * 0).log(), "forward", "aten.log"),
        (lambda hidden: (hidden * 0).sqrt(), "backward", "SqrtBackward0"),
    ],
)
def test_the_operation_the_module_and_the_line_are_named_before_anything_moves(
    formula: Any, phase: str, op: str
) -> None:
    model = net(formula, at=2)
    optimizer = sgd(model)
    with pytest.raises(TrainingFailure) as caught, watch(model, optimizer) as seen:
        for _ in range(5):
            weights = [item.detach().clone() for item in model.parameters()]
            random = None
            step(model, optimizer)
    failure = caught.value.report.failure
    assert failure is not None
    assert seen.failure == failure
    assert (failure.step, failure.phase, failure.module, failure.op) == (2, phase, "0", op)
    assert failure.reproduced is True
    assert failure.source is not None and "test_watch.py" in failure.source
    assert failure.cause == "domain error"
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert int(model[0].calls) == 3  # type: ignore[arg-type]  # the replay's call is taken back
    assert random is None
    assert len(str(caught.value).splitlines()) < 30


def test_the_replay_takes_neither_gradients_nor_random_numbers() -> None:
    model = net(lambda hidden: (hidden * 0).sqrt())
    optimizer = sgd(model)
    with watch(model, optimizer, stop=False) as seen:
        model(X).sum().backward()
        before = [item.grad for item in model.parameters()]
        random = torch.get_rng_state()
        optimizer.step()
    assert seen.failure is not None
    assert all(a is item.grad for a, item in zip(before, model.parameters(), strict=True))
    assert torch.equal(random, torch.get_rng_state())


def test_a_loss_that_breaks_outside_the_model_is_said() -> None:
    model = net()
    optimizer = sgd(model)
    with pytest.raises(TrainingFailure, match="what the loop computes from them is to blame"), watch(model, optimizer):
        (model(X).sum() * math.nan).backward()
        optimizer.step()
    with pytest.raises(TrainingFailure, match="its derivative is to blame"), watch(model, optimizer):
        optimizer.zero_grad()
        (model(X) * 0).sqrt().sum().backward()
        optimizer.step()


def test_a_batch_that_is_nan_is_blamed_first() -> None:
    model = net()
    optimizer = sgd(model)
    with pytest.raises(TrainingFailure) as caught, watch(model, optimizer):
        backward(F.cross_entropy(model(X / 0), Y))
        optimizer.step()
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.phase, failure.cause) == ("data", "the batch")
    assert failure.evidence[0].startswith("inputs of the batch: ")


def test_an_update_that_overflows_is_the_optimizers() -> None:
    for steps in (1, 2):  # seen at the end of the loop, and before the next step
        model = nn.Linear(6, 3)
        optimizer = sgd(model, lr=1e38)
        with pytest.raises(TrainingFailure) as caught, watch(model, optimizer):
            for _ in range(steps):
                optimizer.zero_grad()
                backward(F.cross_entropy(model(X * 1e3), Y))
                optimizer.step()
        failure = caught.value.report.failure
        assert failure is not None
        assert (failure.step, failure.phase, failure.tensor) == (0, "optimizer", "weight")


def test_accumulated_batches_are_summed_and_each_can_be_the_culprit() -> None:
    model = net(lambda hidden: (hidden * 0).log(), at=4)  # the second batch of the second step
    optimizer = sgd(model)
    losses = []
    with pytest.raises(TrainingFailure) as caught, watch(model, optimizer) as seen:
        for _ in range(2):
            for part in range(3):
                loss = F.cross_entropy(model(X + part), Y) / 3
                losses.append(loss.item())
                backward(loss)
            optimizer.step()
            optimizer.zero_grad()
    assert seen.loss[0] == pytest.approx(sum(losses[:3]))
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.op, failure.reproduced) == (1, "aten.log", True)


def test_validation_between_steps_is_not_taken_for_a_step() -> None:
    model = net(lambda hidden: (hidden * 0).sqrt(), at=3)
    optimizer = sgd(model)
    with pytest.raises(TrainingFailure) as caught, watch(model, optimizer):
        for _ in range(5):
            loss = F.cross_entropy(model(X), Y)
            with torch.no_grad():
                model(X)
            optimizer.zero_grad()
            backward(loss)
            optimizer.step()
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.phase) == (2, "backward")


def test_several_optimizers_are_each_looked_at_with_their_own_gradients() -> None:
    """Alternating, as a GAN's."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maker, self.judge = nn.Linear(6, 6), nn.Linear(6, 1)

    torch.manual_seed(0)
    pair = Pair()
    first, second = sgd(pair.maker), torch.optim.Adam(pair.judge.parameters())
    with watch(pair, [first, second], max_overhead=None) as seen:
        for _ in range(3):
            for optimizer in (second, first):
                first.zero_grad(), second.zero_grad()
                made = pair.maker(X)
                pair.judge(made if optimizer is first else made.detach()).mean().backward()
                optimizer.step()
    assert seen.steps == 6
    report = seen.report()
    assert report.optimizer == "Adam, SGD"
    names = dict(zip(report.health.parameters, zip(*report.health.gradient, strict=True), strict=True))
    assert [math.isnan(norm) for norm in names["maker.weight"]] == [True, False] * 3
    assert [math.isnan(norm) for norm in names["judge.weight"]] == [False, True] * 3


def test_an_optimizer_that_is_not_named_is_not_watched_and_none_means_all() -> None:
    model, other = net(), nn.Linear(6, 3)
    mine, foreign = sgd(model), sgd(other)
    with watch(model) as seen:
        step(model, mine)
        backward(F.cross_entropy(other(X / 0), Y))
        foreign.step()
    assert seen.steps == 1


def test_lbfgs_is_looked_at_after_each_evaluation() -> None:
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    evaluations = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        backward(loss)
        evaluations.append(loss.item())
        return loss

    with watch(model, optimizer) as seen:
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        optimizer.step(closure=closure)  # type: ignore[no-untyped-call]
    assert len(evaluations) > 2
    assert seen.loss == evaluations

    def broken() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(X) * 0).sqrt().sum()
        backward(loss)
        return loss  # type: ignore[no-any-return]

    with pytest.raises(TrainingFailure, match="in backward"), watch(model, optimizer):
        optimizer.step(broken)  # type: ignore[no-untyped-call]


def scaled(model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, factor: float) -> None:
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = F.cross_entropy(model(X), Y) * factor
    backward(scaler.scale(loss))
    scaler.step(optimizer)
    scaler.update()


def test_a_grad_scaler_is_asked_for_its_scale_and_for_skipped_steps() -> None:
    model = net()
    optimizer, scaler = sgd(model, 1e-4), torch.amp.GradScaler("cpu")
    with watch(model, optimizer, scaler=scaler) as seen:
        for _ in range(6):
            scaled(model, optimizer, scaler, 300.0)
    assert seen.skipped > 0
    assert seen.steps == 6
    assert seen.loss[0] == pytest.approx(300 * F.cross_entropy(net().eval()(X), Y).item(), rel=0.3)
    assert [math.isnan(norm) for norm in seen.gradient_norm] == [True] * seen.skipped + [False] * (6 - seen.skipped)
    assert f"the GradScaler skipped {seen.skipped} steps" in str(seen)


def test_a_grad_scaler_that_never_finds_its_scale_is_a_failure() -> None:
    model = net()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu")
    with pytest.raises(TrainingFailure) as caught, watch(model, optimizer, scaler=scaler):
        for _ in range(30):
            scaled(model, optimizer, scaler, 1e30)
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.phase) == (7, "backward")


def test_a_loss_that_is_not_seen_is_said_to_be_unknown() -> None:
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer) as seen:
        torch.autograd.backward(model(X).sum())
        optimizer.step()
    assert math.isnan(seen.loss[0])
    assert seen.failure is None
    assert seen.gradient_norm[0] > 0


def test_without_stop_the_loop_goes_on_and_the_first_failure_is_kept() -> None:
    model = net(lambda hidden: hidden * math.nan, at=1)
    optimizer = sgd(model)
    with watch(model, optimizer, stop=False) as seen:
        for _ in range(4):
            step(model, optimizer)
    assert seen.failure is not None
    assert seen.failure.step == 1
    assert len(seen.loss) == 2


def test_late_numbers_stop_the_loop_one_step_later() -> None:
    from tests.training.test_late_reading import late

    model = net(lambda hidden: hidden * math.nan, at=2)
    optimizer = sgd(model)
    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.training.hooks import Hooks
    from pytest_gradcheck.training.observer import Observer

    observer = Observer(model, None, Limits(), 0.02, late(), stop=True)
    with pytest.raises(TrainingFailure, match="seen 1 step late") as caught, Hooks(observer, model, None, None):
        for _ in range(5):
            step(model, optimizer)
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.phase) == (2, "forward")


def test_compiled_models_are_watched_by_their_gradients() -> None:
    model = net()
    compiled: Any = torch.compile(model, backend="eager")
    optimizer = sgd(model)
    with watch(compiled, optimizer, max_overhead=None) as seen:
        for _ in range(3):
            step(compiled, optimizer)
    assert seen.steps == 3
    assert seen.health.samples[0].layers == ()
    assert len(seen.health.samples[0].histograms) == 4


def test_wrong_questions_are_one_clear_error() -> None:
    with pytest.raises(UsageProblem, match=r"ReLU is no nn.Module with trainable parameters"), watch(nn.ReLU()):
        pass
    with pytest.raises(UsageProblem, match="the optimizer SGD holds none of the model's"), watch(net(), sgd(net())):
        pass


def test_ctrl_c_passes_through_and_what_was_seen_stays() -> None:
    model = net()
    optimizer = sgd(model)
    with pytest.raises(KeyboardInterrupt), watch(model, optimizer) as seen:
        step(model, optimizer)
        raise KeyboardInterrupt
    assert len(seen.loss) == 1
    assert not model._forward_pre_hooks
