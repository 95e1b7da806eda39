"""The acceptance table of smoke training: d2l's AlexNet on real Fashion-MNIST, each row against its band.

    FASHION_MNIST_ROOT=... python tests/training/acceptance.py           the quick rows
    FASHION_MNIST_ROOT=... python tests/training/acceptance.py --all     the long ones too (about half an hour)

Exits with 1 where a row is out of its band. A nan step may differ by 2 where all seeds agree and by 10 midway; "learns"
is 10 % below the initial loss; rows where only the seed decides are printed, not judged.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_gradcheck.data.loader import fashion_mnist
from pytest_gradcheck.model.training import TrainingReport
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.training import train_smoke

Judge = Callable[[TrainingReport], bool]


@dataclass(frozen=True)
class Row:
    name: str
    expected: str
    good: Judge | None
    model: dict[str, Any]
    data: dict[str, Any]
    options: dict[str, Any]
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: bool = False


def nan_at(step: int, band: int = 2) -> Judge:
    return lambda run: run.failure is not None and run.loss[-1] != run.loss[-1] and abs(run.failure.step - step) <= band


def finite(run: TrainingReport) -> bool:
    return all(abs(loss) < float("inf") for loss in run.loss)


def learns(run: TrainingReport) -> bool:
    return run.passed and min(run.loss[-5:]) <= 0.9 * run.loss[0]


def does_not_learn(run: TrainingReport) -> bool:
    return run.passed and min(run.loss) > 0.9 * run.loss[0]


def collapses(run: TrainingReport) -> bool:
    return run.failure is not None and run.failure.value == "collapse"


XAVIER, NORMED = {"init": "xavier"}, {"init": "xavier", "norm": "batch"}
RAW, LARGE, SMALL = {"size": 224, "scale": False}, {"size": 224}, {"size": 96}


def midway(step: int) -> float:
    return 0.1 if step < 20 else 5.0


ROWS = (
    Row("0..255, 224, Xavier, lr 0.01", "nan at 4", nan_at(4), XAVIER, RAW, {"lr": 0.01}, quick=True),
    Row("0..255, 224, Xavier, lr 0.1", "nan at 2", nan_at(2), XAVIER, RAW, {"lr": 0.1}),
    Row("0..255, 224, Xavier, lr 0.006", "the seed decides", None, XAVIER, RAW, {"lr": 0.006, "steps": 60}),
    Row("0..255, 224, BatchNorm, lr 0.01", "learns", learns, NORMED, RAW, {"lr": 0.01, "steps": 40}, (0, 1)),
    Row("0..255, 224, Xavier, clip 1", "learns", learns, XAVIER, RAW, {"lr": 0.01, "steps": 30, "clip": 1.0}, (0,)),
    Row("0..255, 224, Xavier, lr 0.001", "finite", finite, XAVIER, RAW, {"lr": 0.001, "steps": 30}, (0,)),
    Row("0..255, 224, He, lr 0.01", "nan at 2", nan_at(2), {"init": "he"}, RAW, {"lr": 0.01}, (0,)),
    Row("0..1, 224, Xavier, lr 5", "nan at 3", nan_at(3), XAVIER, LARGE, {"lr": 5.0}),
    Row("0..1, 224, Xavier, lr 0.01", "finite, does not learn", does_not_learn, XAVIER, LARGE, {"steps": 30}, (0,)),
    Row("96, Xavier, lr 5", "nan at 4", nan_at(4), XAVIER, SMALL, {"lr": 5.0}, quick=True),
    Row("96, Xavier, lr 0.1, from 20 on 5", "nan at 24", nan_at(24, 10), XAVIER, SMALL, {"lr": midway, "steps": 30}),
    Row("96, default, lr 2", "the seed decides", None, {}, SMALL, {"lr": 2.0, "steps": 60}, (0, 1, 2, 3, 4)),
    Row("96, Xavier, lr 0.2", "finite", finite, XAVIER, SMALL, {"lr": 0.2, "steps": 60}, (0,)),
    Row("96, BatchNorm, lr 0.1", "learns", learns, NORMED, SMALL, {"lr": 0.1, "steps": 60}, (0,), quick=True),
    Row("96, default, lr 3", "collapses", collapses, {}, SMALL, {"lr": 3.0, "steps": 60}),
    Row("96, default, lr 5", "collapses", collapses, {}, SMALL, {"lr": 5.0, "steps": 60}, (0, 1)),
)  # fmt: skip


def outcome(run: TrainingReport) -> str:
    ends = f"loss {run.loss[0]:.3f} -> {run.loss[-1]:.4g}"
    return f"{run.failure.value} at {run.failure.step}, {ends}" if run.failure else ends


def main(arguments: list[str]) -> int:
    wrong = 0
    for row in ROWS:
        if not row.quick and "--all" not in arguments:
            continue
        for seed in row.seeds:
            start = time.perf_counter()
            data = fashion_mnist(batch_size=32, **row.data)
            run = train_smoke(lambda row=row: alexnet(**row.model), data, seed=seed, remedies=None, **row.options)
            held = "" if row.good is None else "yes" if row.good(run) else "NO"
            wrong += held == "NO"
            seconds = time.perf_counter() - start
            print(
                f"{row.name:<40} seed {seed}  {row.expected:<22} {held:<3} {outcome(run):<45} {seconds:5.1f} s",
                flush=True,
            )
    print(f"data: {data.description}; {wrong} out of their band")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
