"""The acceptance table of smoke training: d2l's AlexNet on real Fashion-MNIST, each row against its band.

    FASHION_MNIST_ROOT=... python -m tests.training.acceptance                 the quick rows
    FASHION_MNIST_ROOT=... python -m tests.training.acceptance --all           the long ones too (half an hour and more)
    FASHION_MNIST_ROOT=... python -m tests.training.acceptance --only "clip"   rows whose name holds this
    ... --write                                                                puts the outcomes into docs/acceptance.md

Exits with 1 where a row is out of its band. A nan step may differ by 2 where all seeds agree and by 10 midway; "learns"
is 10 % below the initial loss; rows where only the seed decides are printed, not judged.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

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
    Row("96, Xavier, lr 0.2", "the seed decides", None, XAVIER, SMALL, {"lr": 0.2, "steps": 60}, (0, 1, 2, 3, 4)),
    Row("96, BatchNorm, lr 0.1", "learns", learns, NORMED, SMALL, {"lr": 0.1, "steps": 60}, (0,), quick=True),
    Row("96, default, lr 3", "collapses", collapses, {}, SMALL, {"lr": 3.0, "steps": 60}),
    Row("96, default, lr 5", "collapses", collapses, {}, SMALL, {"lr": 5.0, "steps": 60}, (0, 1)),
)  # fmt: skip


def outcome(run: TrainingReport) -> str:
    ends = f"loss {run.loss[0]:.3f} -> {run.loss[-1]:.4g}"
    if run.failure:
        return f"{run.failure.value} at step {run.failure.step}, {ends}"
    return f"finite, {ends} (least {min(run.loss):.3f}) in {len(run.loss)} steps"


PAGE = Path(__file__).parents[2] / "docs" / "acceptance.md"
START, END = "<!-- rows -->\n", "<!-- /rows -->"


def written(lines: dict[str, str]) -> None:
    """Put rows into the page's table, in the order of `ROWS`; rows that were not run now stay as they are."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    table, _, after = rest.partition(END)
    head, known = table.splitlines()[:2], {key_of(line): line for line in table.splitlines()[2:]}
    known |= lines
    order = [f"{row.name} | {seed}" for row in ROWS for seed in row.seeds]
    body = [known[key] for key in order if key in known]
    PAGE.write_text(before + START + "\n".join([*head, *body]) + "\n" + END + after, encoding="utf-8")


def run_of(row: Row, seed: int) -> TrainingReport:
    """One row's run with one seed."""
    data = fashion_mnist(batch_size=32, **row.data)
    return train_smoke(lambda: alexnet(**row.model), data, seed=seed, remedies=None, **row.options)


def key_of(line: str) -> str:
    """The case and the seed of a line of the table."""
    return " | ".join(cell.strip() for cell in line.split("|")[1:3])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the long rows too")
    parser.add_argument("--only", default="", help="rows whose name holds this, long or not")
    parser.add_argument("--write", action="store_true", help=f"put the outcomes into {PAGE.name}")
    chosen = parser.parse_args()
    today, wrong, threads = datetime.date.today().isoformat(), 0, torch.get_num_threads()  # noqa: DTZ011
    for row in ROWS:
        if not (row.quick or chosen.all or chosen.only) or chosen.only not in row.name:
            continue
        for seed in row.seeds:
            start = time.perf_counter()
            if not fashion_mnist().real:
                sys.exit("the table is about the real images: set FASHION_MNIST_ROOT")
            run = run_of(row, seed)
            held = "-" if row.good is None else "yes" if row.good(run) else "NO"
            wrong += held == "NO"
            seconds = time.perf_counter() - start
            print(f"{row.name:<36} seed {seed}  {row.expected:<22} {held:<3} {outcome(run):<52} {seconds:6.1f} s")
            sys.stdout.flush()
            if chosen.write:
                where = f"{today}, {threads} thread{'s' if threads != 1 else ''}"
                cells = (row.name, str(seed), row.expected, outcome(run), held, where)
                written({f"{row.name} | {seed}": f"| {' | '.join(cells)} |"})
    print(f"{wrong} out of their band")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
