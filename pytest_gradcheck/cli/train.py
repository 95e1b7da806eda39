"""`train package.module:Model --steps 20 --lr 0.01 --input 32,1,28,28`: a smoke run without a test file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pytest_gradcheck.cli import subject
from pytest_gradcheck.cli.parser import command
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.lazy import load

LOSSES = ("cross_entropy", "mse_loss", "l1_loss")
#: Samples in a batch whose size is left to us.
BATCH = 16
#: Batches drawn at random, which the run goes through again and again: few enough to be learnt by heart.
BATCHES = 4


class Drawn:
    """Random batches with random targets; what a smoke run needs is that they stay the same.

    Attributes:
        description: One line for the report.
    """

    def __init__(self, batches: Sequence[Any], description: str) -> None:
        self._batches = batches
        self.description = description

    def __iter__(self) -> Any:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def __repr__(self) -> str:
        return f"<{self.description}>"


def add(commands: Any) -> None:
    """Registers the command."""
    own = command(commands, "train", "smoke-train a model for a few steps")
    subject.add_options(own)
    own.add_argument("--steps", type=int, default=20, help="steps to train (default 20)")
    own.add_argument("--lr", type=float, default=0.01, help="learning rate (default 0.01)")
    own.add_argument("--optimizer", default="sgd", help="sgd, adam, ... (default sgd)")
    own.add_argument("--loss", choices=LOSSES, help="default: cross_entropy for outputs of shape (batch, classes)")
    own.add_argument("--clip", type=float, help="gradient norm to clip to")
    own.add_argument("--overfit", action="store_true", help="train on one batch, which must be learnt by heart")
    own.add_argument(
        "--fashion-mnist", type=int, metavar="SIZE", help="train on Fashion-MNIST at this size instead of random data"
    )
    own.add_argument("--batch-size", type=int, default=32, help="images in a batch of --fashion-mnist (default 32)")
    own.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> bool:
    """Trains, prints the report, and says whether the run passed.

    Raises:
        UsageProblem: The question was wrong; the message says what to do.
    """
    started = time.monotonic()
    paths = subject.outputs(chosen)
    marker = subject.marker_of(chosen)
    target, build = subject.factory(chosen, marker, makers=True)
    train = load("pytest_gradcheck.training", "train_smoke", "a smoke run")
    seeded = load("pytest_gradcheck.training.state", "seeded", "a smoke run")
    with seeded(chosen.seed):
        built = build()
    if chosen.fashion_mnist is not None:
        if chosen.input:
            raise UsageProblem("give either --input or --fashion-mnist, not both")
        fashion_mnist = load("pytest_gradcheck.data.loader", "fashion_mnist", "a smoke run")
        batches, loss, said = fashion_mnist(batch_size=chosen.batch_size, size=chosen.fashion_mnist), chosen.loss, None
    else:
        specs, said = subject.inputs(chosen, target, built, marker, BATCH)
        inputs = [subject.draw(specs, chosen.seed + k) for k in range(BATCHES)]
        batches, loss = _with_targets(built, inputs, chosen)
    if said:
        print(said)  # noqa: T201  a command line prints
    report = train(
        built if built is target else build,
        batches,
        loss=_loss(loss),
        optimizer=chosen.optimizer,
        lr=chosen.lr,
        steps=chosen.steps,
        device=chosen.device,
        clip=chosen.clip,
        seed=chosen.seed,
        overfit=chosen.overfit,
    )
    subject.publish(chosen, replace(report, rerun=chosen.rerun), "training", started, paths)
    return bool(report.passed)


def _with_targets(model: Any, inputs: list[tuple[Any, ...]], chosen: argparse.Namespace) -> tuple[Drawn, str]:
    """Batches with targets that suit the model's output: classes for (batch, classes), else numbers of its shape.

    Raises:
        UsageProblem: The model cannot run on the inputs, or puts out something that no loss here fits.
    """
    import torch

    shapes = ", ".join(str(tuple(value.shape)) for value in inputs[0])
    try:
        with torch.no_grad():
            output = model(*inputs[0])
    except Exception as error:
        raise UsageProblem(
            f"{type(model).__name__} raised {type(error).__name__} in its forward on {shapes}: {error}; "
            f"give the shapes with --input, batch first"
        ) from error
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or output.dim() < 1:
        raise UsageProblem(f"{type(model).__name__} does not put out one floating tensor with a batch: use train_smoke")
    loss = chosen.loss or ("cross_entropy" if output.dim() == 2 and output.shape[1] > 1 else "mse_loss")
    source = torch.Generator().manual_seed(chosen.seed)
    pairs = []
    for drawn in inputs:
        if loss == "cross_entropy":
            goal = torch.randint(0, output.shape[1], (output.shape[0], *output.shape[2:]), generator=source)
        else:
            goal = torch.randn(output.shape, generator=source)
        pairs.append((drawn if len(drawn) > 1 else drawn[0], goal))
    goals = f"{output.shape[1]} classes" if loss == "cross_entropy" else "targets"
    return Drawn(pairs, f"{BATCHES} random batches of {shapes} with random {goals}, {loss}"), loss


def _loss(name: str | None) -> Callable[..., Any] | None:
    if name is None or name == "cross_entropy":
        return None
    import torch.nn.functional as F

    found: Callable[..., Any] = getattr(F, name)
    return found
