"""`check package.module:Layer --init 16,4 --input 8,16`: one gradient check without a test file."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pytest_gradcheck.cli import literals, subject
from pytest_gradcheck.cli.parser import command
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.lazy import load
from pytest_gradcheck.settings import validate

#: Options of a check that the command line sets by their name in `Settings`, with their help.
OPTIONS = {
    "eps": "central step, and first step of a sweep (default 1e-5)",
    "bands": "relative errors up to which a gradient is GOOD, SUSPICIOUS (default 1e-5,1e-3)",
    "mode": "auto, elementwise, projection or central (default auto)",
    "order": "2 to check double backward too, 1 not to",
    "dtype": "floating dtype of the check (default float64)",
    "budget": "seconds after which no new measurement starts",
    "checks": "comma-separated names of the checks to run (default: all)",
}


def add(commands: Any) -> None:
    """Registers the command."""
    own = command(commands, "check", "check the gradients of a layer, an autograd.Function or a function")
    subject.add_options(own)
    own.add_argument("--kwargs", metavar="ARGS", help="keyword arguments of the forward, such as 'scale=2.0'")
    for name, text in OPTIONS.items():
        own.add_argument(f"--{name}", metavar=name.upper(), help=text)
    own.add_argument("--strict", action="store_true", default=None, help="anything but GOOD fails")
    own.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> bool:
    """Checks, prints the report, and says whether it passed.

    Raises:
        UsageProblem: The question cannot be answered; the message says what to do.
    """
    started = time.monotonic()
    paths = subject.outputs(chosen)
    names = (*OPTIONS, "seed", "device", "strict")
    options = validate({name: getattr(chosen, name) for name in names}, lambda name: f"--{name}")
    unnamed, kwargs = literals.arguments(chosen.kwargs or "", "--kwargs")
    if unnamed:
        raise UsageProblem(f"--kwargs {chosen.kwargs!r}: write names and values, such as --kwargs 'scale=2.0'")
    marker = subject.marker_of(chosen)
    target, build = subject.factory(chosen, marker)
    engine = load("pytest_gradcheck.engine", "run", "a gradient check")
    question = load("pytest_gradcheck.engine", "Question", "a gradient check")
    seeded = load("pytest_gradcheck.subjects.randomness", "seeded", "a gradient check")
    with seeded(chosen.seed):
        built = build()
    specs, said = subject.inputs(chosen, target, built, marker)
    asked = question(built, subject.draw(specs, chosen.seed), kwargs, sweeps=bool(paths))
    try:
        report = engine(asked, options, rerun=chosen.rerun)
    except UsageProblem as problem:
        raise UsageProblem(f"{problem}; {said}: give them with --input or --dim") if said else problem from None
    if said:
        print(said)  # noqa: T201  a command line prints
    subject.publish(chosen, report, "gradient", started, paths)
    return bool(report.passed)
