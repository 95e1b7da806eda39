"""A healthy run is the bare loop, bit for bit; a sick one names the step and what was seen first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.training import train_smoke
from pytest_gradcheck.training.bad_batch import bad_batch
from pytest_gradcheck.training.feed import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Batches = list[tuple[torch.Tensor, torch.Tensor]]


def net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


@pytest.fixture
def batches() -> Batches:
    generator = torch.Generator().manual_seed(5)
    return [(torch.randn(8, 6, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(4)]


@pytest.mark.parametrize(
    "name,make",
    [
        ("sgd", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_healthy_run_is_the_bare_loop_bit_for_bit(batches: Batches, name: str, make: Any, clip: float | None) -> None:
    torch.manual_seed(11)
    bare = net().train()
    optimizer = make(bare.parameters(), lr=0.05)
    losses = []
    for step in range(6):  # more steps than batches: the list starts again
        inputs, labels = batches[step % 4]
        optimizer.zero_grad()
        loss = F.cross_entropy(bare(inputs), labels)
        torch.autograd.backward(loss)
        if clip is not None:
            nn.utils.clip_grad_norm_(bare.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    made: list[nn.Module] = []

    def factory() -> nn.Module:
        made.append(net())
        return made[0]

    run = train_smoke(factory, batches, optimizer=name, lr=0.05, steps=6, clip=clip, seed=11, keep=True)
    assert run.passed
    assert run.loss == losses
    for (key, wanted), (_, got) in zip(bare.state_dict().items(), made[0].state_dict().items(), strict=True):
        assert torch.equal(wanted, got), key


def test_the_same_seed_gives_the_same_run_and_another_seed_another(batches: Batches) -> None:
    first, again, other = (train_smoke(net, batches, seed=seed).loss for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_gradient_norms_are_those_before_clipping(batches: Batches) -> None:
    model = nn.Linear(6, 3)
    grads = torch.autograd.grad(F.cross_entropy(model(batches[0][0]), batches[0][1]), list(model.parameters()))
    wanted = math.hypot(*(grad.norm().item() for grad in grads))
    run = train_smoke(model, batches, steps=1, clip=1e-3)
    assert run.gradient_norm == [pytest.approx(wanted, rel=1e-6)]


class Sick(nn.Module):
    """Learns, until at one step something breaks."""

    def __init__(self, at: int, how: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)
        self.at, self.how, self.calls = at, how, 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.inner(inputs)
        self.calls += 1
        return self.how(out) if self.calls == self.at + 1 else out


class BadBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * math.inf


@pytest.mark.parametrize("at", [0, 3])
def test_a_nan_loss_is_a_failure_of_the_forward(batches: Batches, at: int) -> None:
    run = train_smoke(Sick(at, lambda out: out * math.nan), batches, steps=6)
    assert run.failure is not None
    assert (run.failure.step, run.failure.phase, run.failure.value) == (at, "forward", "nan")
    assert len(run.loss) == at + 1
    assert math.isnan(run.loss[-1])
    assert not run.passed


def test_an_infinite_loss_is_told_from_nan(batches: Batches) -> None:
    run = train_smoke(Sick(1, lambda out: out.sum() * math.inf), batches, loss=lambda out, _: out.sum().abs())
    assert run.failure is not None
    assert run.failure.value == "inf"


def test_a_bad_gradient_under_a_finite_loss_is_a_failure_of_the_backward(batches: Batches) -> None:
    run = train_smoke(Sick(2, BadBackward.apply), batches)
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.phase, failure.quantity) == (2, "backward", "gradient")
    assert (failure.module, failure.op) == ("", "BadBackwardBackward")
    assert failure.tensor == "inner.bias"  # the parameter that backward reaches first
    assert math.isfinite(run.loss[2])


def test_a_batch_with_nan_is_blamed_before_all_else(batches: Batches) -> None:
    batches[1][0][3, 2] = math.nan
    run = train_smoke(net, batches)
    assert run.failure is not None
    assert (run.failure.step, run.failure.phase, run.failure.quantity) == (1, "data", "input")
    assert (run.failure.tensor, run.failure.value) == ("inputs", "nan")
    assert run.failure.evidence[0] == f"inputs[3] of the batch (sample 3 of {len(batches[1][0])}): 1 nan of 6"
    assert f"\n  {run.failure.evidence[0]}\n" in str(run)


def test_each_tensor_of_a_bad_batch_is_named_with_its_samples() -> None:
    image, mask = torch.zeros(8, 2, 3), torch.zeros(8, 4)
    image[2, 1] = math.nan
    mask[1:7, 0] = math.inf
    mask[6, 1] = math.nan
    whole = Batch({"image": image, "mask": mask, "index": torch.arange(8)}, torch.zeros(8))
    assert bad_batch(whole) == (
        "inputs",
        "nan",
        (
            'inputs["image"][2] of the batch (sample 2 of 8): 3 nan of 6',
            'inputs["mask"] of the batch: 1 nan and 6 inf of 32, in 6 of 8 samples (1, 2, 3, 4, 5, ...)',
        ),
    )
    scalar = Batch(torch.zeros(8), torch.tensor(math.inf))
    assert bad_batch(scalar) == ("targets", "inf", ("targets of the batch: 1 inf",))
    assert bad_batch(Batch(torch.zeros(0, 3), torch.zeros(2, 0))) is None


def test_a_weight_that_is_nan_already_is_blamed_before_the_forward(batches: Batches) -> None:
    last = nn.Linear(6, 3)
    model = nn.Sequential(nn.Linear(6, 6), last)
    with torch.no_grad():
        last.weight[0, 0] = math.nan
    run = train_smoke(model, batches)
    assert run.failure is not None
    assert (run.failure.step, run.failure.phase, run.failure.quantity) == (0, "forward", "parameter")
    assert (run.failure.module, run.failure.tensor, run.failure.value) == ("1", "1.weight", "nan")
    assert run.failure.evidence[0] == "1.weight was not finite when the run began"


def test_a_buffer_that_is_nan_already_is_blamed_but_not_a_mask_of_minus_infinity(batches: Batches) -> None:
    class Masked(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)
            self.register_buffer("mask", torch.full((6,), -math.inf))
            self.register_buffer("scale", torch.tensor(value))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.inner(inputs) * self.scale
            return out

    run = train_smoke(Masked(math.nan), batches)
    assert run.failure is not None
    assert (run.failure.quantity, run.failure.tensor) == ("parameter", "scale")


def test_an_update_that_overflows_is_the_optimizers(batches: Batches) -> None:
    large = [(inputs * 1e3, labels) for inputs, labels in batches]
    for steps in (1, 2):  # seen at the end of the run, and one step later
        run = train_smoke(nn.Linear(6, 3), large, lr=1e38, steps=steps)
        assert run.failure is not None
        assert (run.failure.step, run.failure.phase, run.failure.quantity) == (0, "optimizer", "parameter")
        assert (run.failure.module, run.failure.tensor) == ("", "weight")
        assert len(run.loss) == steps


def test_collapse_is_a_failure_and_slow_learning_is_not() -> None:
    """A ReLU layer pushed far below zero passes nothing on: no gradient but the last bias's."""
    labels = torch.arange(10).repeat(10)
    batches = [(torch.rand(100, 20), labels)]

    def dead() -> nn.Module:
        first, last = nn.Linear(20, 50), nn.Linear(50, 10)
        nn.init.constant_(first.bias, -100)
        nn.init.zeros_(last.bias)
        return nn.Sequential(first, nn.ReLU(), last)

    run = train_smoke(dead, batches)
    assert run.failure is not None
    assert (run.failure.value, run.failure.quantity) == ("collapse", "gradient")
    assert "guessing among 10 classes gives 2.3026" in run.failure.evidence[0]
    slow = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 10))
    assert train_smoke(slow, batches, lr=1e-6).passed


def test_unused_rows_of_an_embedding_are_no_collapse() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10_000, 8)
            self.out = nn.Linear(8, 4)

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.out(self.table(words).mean(1))
            return scores

    labels = torch.randint(4, (16,), generator=torch.Generator().manual_seed(0))
    assert train_smoke(Words, [(torch.randint(10_000, (16, 5)), labels)], lr=1e-4).passed


def test_overfit_memorises_one_batch_or_fails(batches: Batches) -> None:
    learns = train_smoke(lambda: nn.Linear(6, 3), batches[:1], optimizer="adam", lr=0.5, steps=150, overfit=True)
    assert learns.passed
    assert learns.loss[-1] < 0.05 * learns.loss[0]
    run = train_smoke(lambda: nn.Linear(6, 3), batches, lr=1e-4, steps=3, overfit=True)
    assert run.failure is not None
    assert run.failure.value == "underfit"


def test_overfit_uses_the_first_batch_only(batches: Batches) -> None:
    def endless() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield batches[0]
        raise AssertionError("asked for a second batch")

    train_smoke(net, endless(), steps=3, overfit=True)


def test_several_seeds_report_the_first_failing_one_and_all_in_order(batches: Batches) -> None:
    def factory() -> nn.Module:
        broken = torch.initial_seed() == 7
        return Sick(2 if broken else 99, lambda out: out * math.nan)

    run = train_smoke(factory, batches, steps=4, seeds=(3, 7, 9))
    assert run.seed == 7
    assert [each.seed for each in run.seeds] == [3, 7, 9]
    assert [each.passed for each in run.seeds] == [True, False, True]
    assert not run.passed
    fine = train_smoke(factory, batches, steps=4, seeds=(3, 9))
    assert fine.passed
    assert fine.seed == 3


def test_several_seeds_need_a_factory(batches: Batches) -> None:
    with pytest.raises(UsageProblem, match="several seeds need a model factory"):
        train_smoke(net(), batches, seeds=(0, 1))
    with pytest.raises(UsageProblem, match="seeds is empty"):
        train_smoke(net, batches, seeds=())


def test_the_rate_may_be_a_function_of_the_step(batches: Batches) -> None:
    run = train_smoke(net, batches, lr=lambda step: 0.1 / (1 + step), steps=3)
    assert run.learning_rate == [0.1, 0.05, pytest.approx(0.1 / 3)]


def test_bfloat16_runs_and_float16_searches_its_scale(batches: Batches) -> None:
    assert train_smoke(net, batches, amp="bfloat16", steps=4).amp == "bfloat16"
    # A loss of this size overflows float16's gradients at the first scale, 65536, and fits after some halvings.
    run = train_smoke(net, batches, amp="float16", lr=1e-4, steps=12, loss=lambda out, y: F.cross_entropy(out, y) * 300)
    assert run.passed, str(run)


def test_float16_that_never_finds_a_scale_fails(batches: Batches) -> None:
    run = train_smoke(
        Sick(0, lambda out: out), batches, amp="float16", steps=20, loss=lambda out, _: out.float().sum() * 1e30
    )
    assert run.failure is not None
    assert run.failure.phase == "backward"
    assert run.failure.step == 7


def test_lazy_modules_are_materialised_before_the_optimizer_is_made(batches: Batches) -> None:
    assert train_smoke(nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(3)), batches).passed


def test_inputs_may_be_arguments_or_keywords() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.inner(left - right)
            return out

    left, right, labels = torch.randn(5, 4), torch.randn(5, 4), torch.randint(3, (5,))
    positional = train_smoke(Sum, [((left, right), labels)], steps=2)
    named = train_smoke(Sum, [({"right": right, "left": left}, labels)], steps=2)
    assert positional.loss == named.loss
