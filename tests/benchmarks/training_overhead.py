"""What the sentinel costs beside a bare loop, and what others cost: interleaved steps of the same net in one process.

    python -m tests.benchmarks.training_overhead             # AlexNet 224, batch 32, and a small MLP
    python -m tests.benchmarks.training_overhead --quick     # the MLP only
    python -m tests.benchmarks.training_overhead --threads 2
    python -m tests.benchmarks.training_overhead --write     # the tables into docs/training-overhead.md

Each way of watching trains its own copy of the net, one bare step and one watched step in turn, so that a busy machine
slows both alike; what is measured are seconds of CPU. "ratio" is the median of the watched step over that of the bare
one; "direct" is the wall time measured inside the watching itself, as a share of the bare steps', with the close looks
at layers apart.
Another package that is not installed is said to be absent; CONTRIBUTING.md says which pip installs.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.models.small import deep_mlp
from pytest_gradcheck.training.feed import Feed
from pytest_gradcheck.training.loop import Loop
from pytest_gradcheck.training.plan import Plan
from pytest_gradcheck.training.sentinel import Look
from tests.benchmarks import page

PAGE: Final = Path(__file__).parents[2] / "docs" / "training-overhead.md"
HEAD: Final = ("way", "ratio", "direct", "close looks", "steps read")
RATE = 1e-4
Pairs = Iterator[tuple[float, float]]


@dataclass(frozen=True)
class Case:
    name: str
    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    steps: int


CASES = (
    Case("AlexNet with BatchNorm, 224 pixels, batch 32", lambda: alexnet(norm="batch"), (32, 1, 224, 224), 8),
    Case("MLP 784-256-256-10, batch 128", lambda: deep_mlp(3, 256), (128, 784), 600),
)


class Bare:
    """A plain training step."""

    def __init__(self, model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        self.model, self.inputs, self.labels = model.train(), inputs, labels
        self.model(inputs)  # AlexNet fits itself to these inputs
        self.optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def backward(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(F.cross_entropy(self.model(self.inputs), self.labels))

    def step(self) -> None:
        self.backward()
        self.optimizer.step()


def clock(work: Callable[[], object]) -> float:
    """Seconds of CPU that some work takes: with one thread the wall time of an idle machine."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(bare: Bare, watched: Callable[[], object], steps: int) -> Pairs:
    for _ in range(steps):
        yield clock(bare.step), clock(watched)


def ours(bare: Bare, other: Bare, steps: int, share: float | None = 0.02) -> tuple[Pairs, Loop]:
    batch = [(other.inputs, other.labels)]
    plan = Plan(
        other.model, batch, None, "sgd", RATE, steps, None, None, None, False, False, share, Limits(), grace=0.0,
    )  # fmt: skip
    loop = Loop(plan, other.model, other.optimizer, Feed(batch, None, other.inputs.device))
    counter = iter(range(steps))
    return in_turn(bare, lambda: loop._step(next(counter)), steps), loop


def anomaly(bare: Bare, other: Bare, steps: int) -> Pairs:
    def watched() -> None:
        with torch.autograd.detect_anomaly():
            other.step()

    return in_turn(bare, watched, steps)


def nan_hooks(bare: Bare, other: Bare, steps: int) -> Pairs:
    def look(_: nn.Module, __: Any, output: Any) -> None:
        for item in output if isinstance(output, tuple) else (output,):
            assert bool(torch.isfinite(item).all())

    for module in other.model.modules():
        module.register_forward_hook(look)
        module.register_full_backward_hook(look)
    return in_turn(bare, other.step, steps)


def norm_by_norm(bare: Bare, other: Bare, steps: int) -> Pairs:
    def watched() -> None:
        other.backward()
        for item in other.model.parameters():
            assert item.grad is not None and item.grad.norm().item() < float("inf")
        other.optimizer.step()

    return in_turn(bare, watched, steps)


def module_monitor(bare: Bare, other: Bare, steps: int) -> Pairs:
    monitor = importlib.import_module("torch_module_monitor").ModuleMonitor(monitor_step_fn=lambda _: True)
    monitor.set_module(other.model)
    monitor.add_activation_metric("rms", lambda values: values.square().mean().sqrt())
    monitor.add_gradient_metric("norm", lambda values: values.norm())
    counter = iter(range(steps))

    def watched() -> None:
        monitor.begin_step(next(counter))
        other.backward()
        monitor.monitor_gradients()
        other.optimizer.step()
        monitor.end_step()
        monitor.get_step_metrics()

    return in_turn(bare, watched, steps)


def pytest_torch(bare: Bare, other: Bare, steps: int) -> Pairs:
    run = importlib.import_module("pytest_torch.training_loop").run_training
    pairs, started = [], [0.0]

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        now = time.process_time()
        if step:
            pairs.append((plain[0], now - started[0]))
        plain[0] = clock(bare.step)
        started[0] = time.process_time()
        return other.inputs, other.labels

    plain = [0.0]
    run(
        lambda: (other.model, other.optimizer), batch, steps=steps + 1,
        loss_fn=lambda model, pair: F.cross_entropy(model(pair[0]), pair[1]),
    )  # fmt: skip
    return iter(pairs)


OTHERS: tuple[tuple[str, Callable[[Bare, Bare, int], Pairs]], ...] = (
    ("norm().item() of each gradient", norm_by_norm),
    ("isfinite().all() hook on each module", nan_hooks),
    ("torch.autograd.detect_anomaly", anomaly),
    ("torch-module-monitor (rms, gradient norms)", module_monitor),
    ("pytest-torch's run_training", pytest_torch),
)


def measure(case: Case) -> Iterator[tuple[str, ...]]:
    """Rows of the table; the first is the bare step."""
    torch.manual_seed(0)
    inputs, labels = torch.rand(case.shape), torch.arange(case.shape[0]) % 10
    made = case.model()
    bare = Bare(copy.deepcopy(made), inputs, labels)

    def fresh() -> Bare:
        return Bare(copy.deepcopy(made), inputs, labels)

    for share in (0.02, None):
        pairs, loop = ours(bare, fresh(), case.steps, share)
        start = time.perf_counter()
        ratio, step = summary(pairs)
        wall = time.perf_counter() - start
        if share:
            yield f"bare step, {step * 1e3:.2f} ms", "1.00", "", "", str(case.steps)
        yield f"train_smoke, max_overhead={share}", f"{ratio:.2f}", *spent(loop, wall)
    for name, way in OTHERS:
        try:
            ratio, _ = summary(way(bare, fresh(), case.steps))
        except ModuleNotFoundError as error:
            yield name, f"absent: {error.name} is not installed", "", "", ""
            continue
        yield name, f"{ratio:.2f}", "", "", str(case.steps)


def spent(loop: Loop, wall: float) -> tuple[str, str, str]:
    """What watching measured of itself, as shares of the bare steps' time, and how it read the steps."""
    watching, looks = loop._watching, loop._watching.sentinel.looks
    direct, closely = watching.budget.spent, watching._closely.spent
    bare = (wall - direct - closely) / 2
    seen = f"all gradients {looks[Look.FULL]}, biases {looks[Look.THIN]}, loss alone {looks[Look.LOSS]}"
    return f"{direct / bare:.2%}", f"{closely / bare:.2%}", seen


def summary(pairs: Pairs) -> tuple[float, float]:
    """The ratio of the medians, and the median bare step in seconds; the first two pairs warm up."""
    plain, watched = zip(*list(pairs)[2:], strict=True)
    return statistics.median(watched) / statistics.median(plain), statistics.median(plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small MLP only")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--write", action="store_true", help=f"the tables into docs/{PAGE.name}")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    threads = f"on {chosen.threads} thread{'s' if chosen.threads != 1 else ''}"
    lines = [page.machine(f"torch {torch.__version__}", threads)]
    for case in CASES[1:] if chosen.quick else CASES:
        print(case.name)
        rows = []
        for row in measure(case):
            rows.append(row)
            print(f"  {row[0]:<44} {row[1]:>5}  {row[2]:>6}  {row[3]:>6}  {row[4]}", flush=True)
        lines += ["", f"## {case.name}", "", *page.table(HEAD, rows)]
    if chosen.write:
        page.put(PAGE, "measured", lines)


if __name__ == "__main__":
    main()
