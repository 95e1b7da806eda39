"""What the sentinel costs: its own time in each step, as a share of the step.

    python tests/training/overhead.py [threads]

Prints, for AlexNet at 224 pixels in batches of 32 and for a small multilayer perceptron: the median bare step, the
median time of each part of the watching (state for a replay, the fused read, the update ratios), and their ratio. The
parts are timed inside the same steps, so that a busy machine slows both alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.models.small import deep_mlp
from pytest_gradcheck.training.sentinel import Reading, read
from pytest_gradcheck.training.state import StepState
from pytest_gradcheck.training.updates import Updates

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: tuple[tuple[str, Callable[[], nn.Module], tuple[int, ...], int], ...] = (
    ("AlexNet, 224 pixels, batch 32", lambda: alexnet(norm="batch"), (32, 1, 224, 224), 8),
    ("MLP 784-256-256-10, batch 128", lambda: deep_mlp(3, 256), (128, 784), 400),
)


def measure(model: nn.Module, shape: tuple[int, ...], steps: int) -> dict[str, float]:
    """Median seconds of a bare step and of each part of the watching."""
    inputs, labels = torch.rand(shape), torch.arange(shape[0]) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    named = list(model.named_parameters())
    state, updates = StepState(model), Updates(named, optimizer)
    times: dict[str, list[float]] = {"step": [], "state": [], "read": [], "updates": []}

    def timed(part: str, work: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = work()
        times[part].append(time.perf_counter() - start)
        return result

    for step in range(steps):
        timed("state", state.take)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs), labels)
        torch.autograd.backward(loss)
        middle = time.perf_counter()
        grads = [(name, item.grad) for name, item in named if item.grad is not None]
        reading = timed("read", lambda: read(loss, grads))  # noqa: B023 - called at once
        assert isinstance(reading, Reading)
        timed("updates", lambda: updates.add(step, reading.norms, 1e-4, None, reading.total))  # noqa: B023
        resumed = time.perf_counter()
        optimizer.step()
        times["step"].append(time.perf_counter() - resumed + middle - start)
    return {part: statistics.median(values[2:]) for part, values in times.items()}


def main(arguments: list[str]) -> None:
    torch.set_num_threads(int(arguments[0]) if arguments else torch.get_num_threads())
    for name, make, shape, steps in CASES:
        torch.manual_seed(0)
        parts = measure(make(), shape, steps)
        step = parts.pop("step")
        said = ", ".join(f"{part} {seconds / step:.2%}" for part, seconds in parts.items())
        print(f"{name}: step {step * 1e3:.2f} ms, direct cost {sum(parts.values()) / step:.2%} ({said})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
