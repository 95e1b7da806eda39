"""Thousands of checks in one process: what they leave behind in memory.

`python -m tests.hardening.soak` prints the resident memory and the number of live tensors and graph nodes at ten marks.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from pytest_gradcheck import UsageProblem, check_gradients
from tests.hardening.graphs import BINARY, FAULTS, UNARY, Graph, Step

_MARKS = 10


class RaisingBackward(torch.autograd.Function):
    """Raises in its backward: a check that cannot go on must let go of everything too."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: object, *cotangents: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("planted")


def raising(x: torch.Tensor) -> torch.Tensor:
    """Raises in its forward, with tensors in its frame."""
    doubled = x * 2
    raise ArithmeticError(f"planted beside {doubled.shape}")


def checks(count: int, seed: int = 0) -> Iterator[str]:
    """Run `count` checks of many kinds (right and wrong graphs, layers, subjects that raise): their verdicts."""
    rng = random.Random(seed)
    for number in range(count):
        x = torch.randn(3, 4, generator=torch.Generator().manual_seed(number), dtype=torch.float64)
        if number % 10 == 0:
            subject: object = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh())
        elif number % 10 == 1:
            subject = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.ReLU())
        elif number % 10 == 2:
            subject = RaisingBackward
        elif number % 10 == 3:
            subject = raising
        else:
            names = [*UNARY, *BINARY]
            steps = tuple(Step(rng.choice(names), rng.randrange(4), rng.randrange(6)) for _ in range(rng.randint(1, 4)))
            subject = Graph(steps, rng.choice([None, *FAULTS]), rng.randrange(4))
        try:
            yield check_gradients(subject, x, seed=number).verdict.name
        except UsageProblem:
            yield "RAISED"


def alive() -> int:
    """Live tensors and autograd nodes that Python's collector knows, after a collection."""
    gc.collect()
    kinds = (torch.Tensor, torch.autograd.graph.Node)
    return sum(issubclass(type(thing), kinds) for thing in gc.get_objects())


def resident() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> int:
    """The command: prints a line at each of ten marks, and the growth from the second to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=10_000)
    count = parser.parse_args().checks
    torch.set_num_threads(1)
    verdicts: Counter[str] = Counter()
    sizes = []
    print(f"{'checks':>8} {'resident MB':>12} {'tensors and nodes':>18}")
    for number, verdict in enumerate(checks(count), 1):
        verdicts[verdict] += 1
        if number % max(1, count // _MARKS) == 0:
            left = alive()
            sizes.append(resident())
            print(f"{number:8} {sizes[-1]:12.1f} {left:18}", flush=True)
    print(", ".join(f"{many} {verdict}" for verdict, many in sorted(verdicts.items())))
    print(f"resident memory at the end / at the second mark: {sizes[-1] / sizes[min(1, len(sizes) - 1)]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
