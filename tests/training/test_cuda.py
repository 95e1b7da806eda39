"""The same on a GPU, where there is one: same verdicts, and no healthy step makes the host wait for the device."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.training import gradient_flow, train_smoke, watch
from pytest_gradcheck.training.reader import LateReader, PinnedTransfer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))


class Breaks(nn.Module):
    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.formula = nn.Linear(6, 3), formula
        self.count = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.count += 1
        out: torch.Tensor = self.inner(inputs)
        return self.formula(out) if self.count == 4 else out


class Strict(nn.Module):
    """Raises from its second step on wherever the host waits for the device."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 3:  # the first steps warm up: labels are checked, kernels are chosen
            torch.cuda.set_sync_debug_mode("error")
        out: torch.Tensor = self.inner(inputs)
        return out


@pytest.fixture
def strict() -> Iterator[type[Strict]]:
    yield Strict
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("amp", [None, "bfloat16"])
def test_no_healthy_step_waits_for_the_device(strict: type[Strict], amp: str | None) -> None:
    class Stops:
        """Allows waiting again when the last batch was given."""

        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for _ in range(9):
                yield pair
            torch.cuda.set_sync_debug_mode("default")
            yield pair

    pair = (X.cuda(), Y.cuda())
    run = train_smoke(lambda: strict(net()).cuda(), Stops(), steps=10, amp=amp, max_overhead=None, remedies=None)
    assert run.passed, str(run)
    assert len(run.loss) == 10
    assert run.health.samples


def test_this_test_can_fail(strict: type[Strict]) -> None:
    class Waits(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            inputs.sum().item()
            return super().forward(inputs)

    model = strict(Waits(6, 3)).cuda()
    for _ in range(2):
        model(X.cuda())
    inputs = X.cuda()
    with pytest.raises(RuntimeError, match="synchronizing"):
        model(inputs)


def test_batches_from_the_cpu_are_moved_without_waiting() -> None:
    torch.cuda.set_sync_debug_mode("error")
    try:
        from pytest_gradcheck.training.feed import Feed

        device = torch.device("cuda", 0)
        batch = Feed([(X, Y)], device, device).next()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(batch.inputs.cpu(), X)


def test_a_pinned_transfer_is_ready_in_the_end_and_right() -> None:
    values = torch.arange(5.0, device="cuda")
    transfer = PinnedTransfer(values)
    assert transfer.wait().tolist() == [0, 1, 2, 3, 4]
    assert transfer.ready()
    reader = LateReader()
    assert reader.exchange(values, "note") == []
    assert reader.rest()[0][1] == "note"


def test_a_healthy_run_is_the_bare_loop() -> None:
    torch.manual_seed(0)
    bare = net().cuda().train()
    optimizer = torch.optim.SGD(bare.parameters(), lr=0.05)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(bare(X.cuda()), Y.cuda())
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    made: list[nn.Module] = []

    def factory() -> nn.Module:
        made.append(net())
        return made[0]

    run = train_smoke(factory, [(X, Y)], device="cuda", lr=0.05, steps=6, keep=True)
    assert run.loss == losses
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters(), made[0].parameters(), strict=True))


FORMULAS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, str]] = {
    "log in forward": (lambda out: (out * 0).log() * 0, "forward", "aten.log"),
    "sqrt in backward": (lambda out: (out * 0).sqrt(), "backward", "SqrtBackward0"),
}


@pytest.mark.parametrize("formula,phase,op", FORMULAS.values(), ids=FORMULAS)
def test_the_culprit_is_named_as_on_the_cpu(formula: Any, phase: str, op: str) -> None:
    run = train_smoke(lambda: Breaks(formula), [(X, Y)], device="cuda", remedies=None)
    assert run.failure is not None
    assert (run.failure.step, run.failure.phase, run.failure.op, run.failure.reproduced) == (3, phase, op, True)
    assert any("repeated from its seed" in note for note in run.notes)


def test_the_model_and_the_generators_are_left_as_found() -> None:
    model = net()
    before, random = copy.deepcopy(model.state_dict()), torch.cuda.get_rng_state()
    train_smoke(model, [(X, Y)], device="cuda", steps=3)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert all(item.device.type == "cpu" for item in model.parameters())
    assert torch.equal(random, torch.cuda.get_rng_state())


@pytest.mark.parametrize("amp", ["float16", "bfloat16"])
def test_autocast_and_grad_scaler(amp: str) -> None:
    assert train_smoke(net, [(X, Y)], device="cuda", amp=amp, steps=6).passed
    run = train_smoke(lambda: nn.Linear(6, 3), [(X * 1e6, Y)], device="cuda", amp="float16", remedies=None)
    assert run.failure is not None
    assert run.failure.cause == "reduced precision"


def test_the_courses_case_fails_and_batch_norm_cures_it() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = [(torch.rand(16, 1, 224, 224, generator=generator) * 255, torch.arange(16) % 10)]
    run = train_smoke(lambda: alexnet(init="xavier"), pictures, device="cuda", lr=0.1, remedies=None)
    assert run.failure is not None
    assert math.isnan(run.loss[-1]) or math.isinf(run.loss[-1])
    assert run.failure.op is not None
    normed = train_smoke(lambda: alexnet(init="xavier", norm="batch"), pictures, device="cuda", lr=0.01, remedies=None)
    assert normed.passed


def test_memory_is_released() -> None:
    before = torch.cuda.memory_allocated()
    train_smoke(lambda: Breaks(lambda out: out * math.nan), [(X, Y)], device="cuda", remedies=None)
    assert torch.cuda.memory_allocated() == before


def test_a_flow_is_that_of_the_cpu() -> None:
    model = net().eval()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    here, there = gradient_flow(model, (X, Y)), gradient_flow(model, (X, Y), device="cuda")
    for a, b in zip(here.layers, there.layers, strict=True):
        assert a.activation == pytest.approx(b.activation, rel=1e-4)


def test_a_watched_loop_stops_a_step_later_or_at_once() -> None:
    for late, step in ((None, "late"), (False, "aten")):
        model = Breaks(lambda out: (out * 0).log() * 0).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(TrainingFailure, match=step), watch(model, optimizer, late=late):
            for _ in range(8):
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(model(X.cuda()), Y.cuda()))
                optimizer.step()


def test_a_lazy_net_stays_where_it_was() -> None:
    net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    kept = net[2].running_mean
    gradient_flow(net, (torch.randn(8, 6), torch.arange(8) % 3), device="cuda")
    assert {item.device.type for item in (*net.parameters(), *net.buffers())} == {"cpu"}
    assert net[2].running_mean is kept


def test_a_rate_on_the_device_is_read_without_waiting() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).cuda()
    inputs, labels = torch.randn(8, 6, device="cuda"), (torch.arange(8) % 3).cuda()
    given: list[tuple[Any, dict[str, Any]]] = [
        (torch.optim.SGD, {"fused": True}),
        (torch.optim.Adam, {"capturable": True}),
    ]
    for kind, more in given:
        optimizer = kind(net.parameters(), lr=torch.tensor(0.125, device="cuda"), **more)
        with watch(net, optimizer, max_overhead=None) as seen:
            for step in range(12):
                torch.cuda.set_sync_debug_mode("error" if step > 2 else "default")
                try:
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(net(inputs), labels).backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                finally:
                    torch.cuda.set_sync_debug_mode("default")
        assert seen.learning_rate == [0.125] * 12
