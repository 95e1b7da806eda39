"""A healthy loop under `watch` is left alone: its graphs, buffers, containers and generators, and what they hold."""

from __future__ import annotations

import contextlib
import gc
import math
import random
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training import gradient_flow, train_smoke, watch
from pytest_gradcheck.training.calls import KEPT
from pytest_gradcheck.training.hooks import Hooks
from pytest_gradcheck.training.observer import Observer
from pytest_gradcheck.training.reader import LateReader
from pytest_gradcheck.training.state import StepState

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Net(nn.Module):
    """A body, a head, and a line of one's own."""

    seen: Any
    notes: Any
    spare_list: Any
    ring: Any

    def __init__(self, formula: Callable[..., torch.Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.formula, self.body, self.head = formula, nn.Linear(6, 6), nn.Linear(6, 3)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.formula(self, *inputs)


def plain(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores: torch.Tensor = net.head(net.body(x).relu())
    return scores


def sgd(model: nn.Module, lr: Any = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def backward(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def train(model: nn.Module, *optimizers: torch.optim.Optimizer, steps: int = 4) -> None:
    for _ in range(steps):
        for each in optimizers:
            each.zero_grad()
        backward(F.cross_entropy(model(X), Y))
        for each in optimizers:
            each.step()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is released is released by reference counts: a cycle through a graph is one that nobody collects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_two_optimizers_with_different_numbers_of_groups_have_each_its_own_rates() -> None:
    net = Net(plain)
    groups: list[dict[str, Any]] = [{"params": net.body.bias}, {"params": net.head.bias}, {"params": net.body.weight}]
    first = torch.optim.SGD(groups, lr=0.5)
    second = torch.optim.SGD([{"params": net.head.weight, "lr": 0.125}, {"params": [], "lr": 0.3}], lr=0.3)
    first.param_groups[2]["lr"] = 0.25
    with watch(net, [first, second], max_overhead=None) as seen:
        train(net, first, second)
    updates = {(each.tensor, each.rate) for each in seen.health.updates}
    assert updates == {("body.weight", 0.25), ("head.weight", 0.125)}


def test_a_group_that_is_taken_away_takes_no_loop_down() -> None:
    net = Net(plain)
    groups: list[dict[str, Any]] = [{"params": [item]} for item in (net.body.bias, net.head.bias, net.body.weight)]
    optimizer = torch.optim.SGD(groups)
    with watch(net, optimizer, max_overhead=None) as seen:
        train(net, optimizer, steps=1)
        del optimizer.param_groups[2]
        train(net, optimizer, steps=1)
    assert seen.failure is None


def test_an_expanded_buffer_is_left_alone_by_loops_and_runs() -> None:
    net = Net(plain)
    net.register_buffer("mask", torch.ones(1, 4).expand(8, 4))
    with watch(net, optimizer := sgd(net), max_overhead=None) as seen:
        train(net, optimizer)
    assert seen.failure is None
    assert train_smoke(net, [(X, Y)], steps=3, lr=0.1).failure is None
    assert gradient_flow(net, (X, Y)).loss > 0


def test_an_expanded_buffer_that_changed_is_put_back() -> None:
    net = Net(plain)
    base = torch.ones(1, 4)
    net.register_buffer("mask", base.expand(8, 4))
    state = StepState(net)
    state.take()
    base.fill_(3)
    state.restore()
    assert base.tolist() == [[1.0] * 4]
    assert net.get_buffer("mask").stride() == (0, 1)


def test_a_graph_through_buffers_may_be_sent_backward_after_the_watch() -> None:
    def unused(net: Net, x: torch.Tensor) -> torch.Tensor:
        return plain(net, net.get_submodule("norm")(x))

    for more in ({}, {"spare": nn.Linear(6, 6)}):
        net = Net(unused, norm=nn.BatchNorm1d(6).eval(), **more)
        versions = [buffer._version for buffer in net.buffers()]
        with watch(net, optimizer := sgd(net), max_overhead=None):
            train(net, optimizer)
            loss = F.cross_entropy(net(X), Y)
        backward(loss)
        assert [buffer._version for buffer in net.buffers()] == versions


class Kept(torch.autograd.Function):
    """Notes the contexts that live."""

    alive: ClassVar[list[weakref.ref[Any]]] = []

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        Kept.alive.append(weakref.ref(ctx))
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


def through(x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = Kept.apply(x)  # type: ignore[no-untyped-call]
    return out


def held() -> int:
    return sum(reference() is not None for reference in Kept.alive)


@pytest.mark.usefixtures("uncollected")
def test_no_graph_is_kept_alive_by_noting_calls() -> None:
    Kept.alive = []
    net = Net(lambda net, x: through(plain(net, x)))
    with watch(net, optimizer := sgd(net), max_overhead=None):
        for _ in range(8):
            net(X)
            assert held() == 0
        train(net, optimizer)
        net(X)
        assert held() <= 1  # of the step before, whose loss the loop may still hold
    assert held() == 0


@pytest.mark.usefixtures("uncollected")
def test_what_a_child_was_given_keeps_no_graph_alive() -> None:
    Kept.alive = []
    net = Net(plain)
    with watch(net, sgd(net), max_overhead=None):
        for _ in range(4):
            net.head(through(net.body(X)))
            net.head([through(net.body(X))][0])
        assert held() == 0


@pytest.mark.usefixtures("uncollected")
def test_a_retained_graph_of_a_gradient_is_released() -> None:
    Kept.alive = []
    net = Net(lambda net, x: through(plain(net, x)).square())
    with watch(net, optimizer := sgd(net), max_overhead=None):
        for _ in range(3):
            optimizer.zero_grad()
            (given,) = torch.autograd.grad(net(x := X.clone().requires_grad_()).sum(), x, create_graph=True)
            backward(given.square().sum())
            del given, x
            optimizer.step()
    for item in net.parameters():
        item.grad = None
    assert held() == 0


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stop", [True, False])
def test_no_graph_is_held_after_a_failure_nor_after_the_watch(stop: bool) -> None:
    Kept.alive = []
    net = Net(lambda net, x: through(plain(net, x)))
    raised = pytest.raises(TrainingFailure) if stop else contextlib.nullcontext()
    with raised as caught, watch(net, optimizer := sgd(net), max_overhead=None, stop=stop) as seen:
        for step in range(6):
            optimizer.zero_grad()
            backward(F.cross_entropy(net(X), Y) * (math.nan if step == 1 else 1))
            optimizer.step()
        assert held() == 0
    assert seen.failure is not None
    del caught, raised
    assert held() == 0


def test_the_roots_of_losses_without_a_step_are_bounded() -> None:
    net, other = Net(plain), Net(plain)
    with watch(net, sgd(net), max_overhead=None) as seen:
        for _ in range(3 * KEPT):
            backward(F.cross_entropy(other(X), Y))
        assert len(seen._roots) == KEPT


def cut(net: Net, x: torch.Tensor) -> torch.Tensor:
    """A layer whose output is detached, and everything outside of tensors that a forward may move."""
    net.seen.append(1)
    net.notes["steps"].append((net.spare_list, random.random(), np.random.random()))
    net.spare_list.append(len(net.notes))
    hidden = net.body(x).relu()
    scores: torch.Tensor = net.head(hidden + net.get_submodule("lost")(hidden).relu().detach())
    return scores


def made() -> Net:
    net = Net(cut, lost=nn.Linear(6, 6))
    net.seen, net.notes, net.spare_list = deque([0], maxlen=9), {"steps": []}, []
    return net


def test_looking_for_detached_layers_moves_neither_containers_nor_generators() -> None:
    net = made()
    random.seed(0), np.random.seed(0)
    train(net, sgd(net))
    wanted = len(net.seen), len(net.notes["steps"]), len(net.spare_list), random.random(), np.random.random()
    net = made()
    random.seed(0), np.random.seed(0)
    with watch(net, optimizer := sgd(net), max_overhead=None) as seen:
        train(net, optimizer)
    got = len(net.seen), len(net.notes["steps"]), len(net.spare_list), random.random(), np.random.random()
    assert got == wanted
    assert [(each.rule, each.module) for each in seen.health.findings] == [("detached", "lost")]


def test_a_run_puts_back_the_elements_of_containers_in_containers() -> None:
    net = made()
    kept: Any = net.notes["steps"]
    train_smoke(net, [(X, Y)], steps=3, lr=0.1)
    gradient_flow(net, (X, Y))
    assert net.notes == {"steps": []}
    assert net.notes["steps"] is kept
    assert (list(net.seen), net.spare_list) == ([0], [])


def test_containers_that_hold_each_other_are_put_back() -> None:
    net = Net(plain)
    ring: list[Any] = [({"a": {1, 2}},)]
    ring.append(ring)
    net.ring = ring
    state = StepState(net, whole=True)
    state.take()
    ring[0][0]["a"].add(3)
    ring.clear()
    state.restore()
    assert ring[1] is ring
    assert ring[0] == ({"a": {1, 2}},)


def test_a_buffer_is_put_back_bit_for_bit() -> None:
    net = Net(plain)
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.int16, torch.bool, torch.float8_e5m2]
    for kind in kinds:
        net.register_buffer(f"kept_{str(kind)[6:]}", torch.zeros(3).to(kind))
    state = StepState(net)
    state.take()
    for buffer in net.buffers():
        buffer.copy_(torch.tensor([-0.0, 1.0, 1.0]))
    state.restore()
    for buffer in net.buffers():
        assert list(buffer.untyped_storage()) == [0] * buffer.nbytes


def test_a_failing_assertion_at_the_end_runs_nothing_again() -> None:
    calls: list[int] = []
    net = Net(lambda net, x: calls.append(1) or plain(net, x))  # type: ignore[func-returns-value]
    with pytest.raises(AssertionError, match="nan"), watch(net, optimizer := sgd(net)):
        train(net, optimizer, steps=1)
        raise AssertionError("accuracy 0.3, not nan")
    assert calls == [1]


class Slow:
    """A transfer that has arrived by the next step."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values.clone()

    def ready(self) -> bool:
        return True

    def wait(self) -> torch.Tensor:
        return self._values


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_a_rate_in_a_tensor_comes_with_the_late_reading(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it at once would wait for the device in every step."""
    net = Net(plain)
    body = [net.body.weight, net.body.bias]
    optimizer = kind(
        [{"params": body}, {"params": net.head.parameters(), "lr": torch.tensor(0.5)}], lr=torch.tensor(0.25)
    )
    spied, rates = torch.Tensor.__float__, [group["lr"] for group in optimizer.param_groups]
    asked: list[torch.Tensor] = []

    def spy(self: torch.Tensor) -> float:
        asked.extend([self] if any(self is rate for rate in rates) else [])
        return spied(self)

    seen = Observer(net, None, Limits(), None, LateReader(Slow), True)
    with Hooks(seen, net, [optimizer], None):
        monkeypatch.setattr(torch.Tensor, "__float__", spy)
        for step in range(4):
            optimizer.zero_grad()
            backward(F.cross_entropy(net(X), Y))
            optimizer.step()
            if step == 1:
                optimizer.param_groups[0]["lr"].fill_(0.125)
        assert asked == []
        monkeypatch.undo()
        seen.finish()
    assert seen.learning_rate == [0.25, 0.25, 0.125, 0.125]
    updates = seen.health.updates
    own = 0.5 if kind is torch.optim.SGD else None  # what Adam did is measured, and its first group's rate said
    wanted = [own if own and each.tensor == "head.weight" else seen.learning_rate[each.step] for each in updates]
    assert len(updates) > 2
    assert [each.rate for each in updates] == wanted


def test_no_rank_runs_a_parallel_forward_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for nothing, or it would wait for them."""
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    calls: list[int] = []
    for more, wanted in (({}, 3), ({"sync": nn.SyncBatchNorm(6)}, 1)):
        calls.clear()
        net = Net(lambda net, x: calls.append(1) or plain(net, x), **more)  # type: ignore[func-returns-value]
        net.register_buffer("best", torch.tensor(math.inf))
        with watch(net, optimizer := sgd(net), stop=False) as seen:
            backward(net(X).sum() * math.nan)
            optimizer.step()
        assert seen.failure is not None
        assert (len(calls) > 1) is (wanted > 1)
