"""Gradient checks beside `torch.autograd.gradcheck`: time, forward calls and peak memory, each in a process of its own.

    python -m tests.benchmarks.gradcheck_speed            # ours and torch's fast mode on the small subjects
    python -m tests.benchmarks.gradcheck_speed --slow     # torch's slow mode and our element-wise mode too: minutes
    python -m tests.benchmarks.gradcheck_speed --large    # AlexNet with 46 M and a transformer with 57 M parameters
    python -m tests.benchmarks.gradcheck_speed ... --only LSTM --write docs/benchmarks.md

torch's slow mode needs a quarter of an hour and 16 GB for TransformerEncoderLayer: `--slow` leaves that out unless
`--all` asks for it. Times are processor seconds on one thread, the best of four with the first to warm up (one, where
a check takes over 20 s). Same subjects, parameters and inputs for all; ratios are to torch's mode of the same kind.
Memory is the process's peak above that of building the subject. `--write` replaces the table of that name in a page.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_gradcheck import alexnet, check_gradients
from tests.benchmarks import page

Made = tuple[nn.Module, tuple[torch.Tensor, ...]]


def _transformer() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(768, 12, 3072, 0.0, batch_first=True), 8)


SMALL: dict[str, Callable[[], Made]] = {
    "Linear(64,64)": lambda: (nn.Linear(64, 64), (torch.randn(8, 64),)),
    "Conv2d(16,32,3)": lambda: (nn.Conv2d(16, 32, 3), (torch.randn(2, 16, 12, 12),)),
    "LSTM(32,32)": lambda: (nn.LSTM(32, 32), (torch.randn(10, 2, 32),)),
    "MultiheadAttention(64,4)": lambda: (nn.MultiheadAttention(64, 4), (torch.randn(8, 2, 64),) * 3),
    "TransformerEncoderLayer(64,4)": lambda: (nn.TransformerEncoderLayer(64, 4), (torch.randn(8, 2, 64),)),
    "BatchNorm2d(8)": lambda: (nn.BatchNorm2d(8), (torch.randn(4, 8, 6, 6),)),
}
LARGE: dict[str, Callable[[], Made]] = {
    "AlexNet, 46 M parameters": lambda: (alexnet(), (torch.rand(2, 1, 224, 224),)),
    "transformer, 57 M parameters": lambda: (_transformer(), (torch.randn(1, 16, 768),)),
}


def ours(mode: str) -> Callable[[Made], int]:
    """Our check in one mode; returns the forward calls it took."""

    def check(made: Made) -> int:
        report = check_gradients(made[0], *made[1], mode=mode, checks=["determinism", "vjp"])
        assert report.passed, str(report)
        return report.forward_calls

    return check


def torchs(fast: bool) -> Callable[[Made], int]:
    """torch's check of the same inputs and parameters."""

    def check(made: Made) -> int:
        module, inputs = made
        module.double()
        names = [name for name, _ in module.named_parameters()]
        calls = 0

        def function(*tensors: torch.Tensor) -> Any:
            nonlocal calls
            calls += 1
            torch.manual_seed(0)  # dropout would differ between calls otherwise, and torch's check call it wrong
            arguments, parameters = tensors[: len(inputs)], tensors[len(inputs) :]
            found = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), arguments)
            outputs = found if isinstance(found, tuple) else (found,)
            flat = [y for output in outputs for y in (output if isinstance(output, tuple) else (output,))]
            return tuple(y for y in flat if y is not None)

        leaves = [x.detach().double().requires_grad_() for x in (*inputs, *module.parameters())]
        assert torch.autograd.gradcheck(function, leaves, fast_mode=fast)
        return calls

    return check


def step(made: Made) -> int:
    """One forward and backward in float64: what the memory of a large check compares with."""
    module, inputs = made
    output = module.double()(*(x.double() for x in inputs))
    output.sum().backward()
    return 1


WAYS: dict[str, Callable[[Made], int]] = {
    "torch fast": torchs(True),
    "torch slow": torchs(False),
    "auto": ours("auto"),
    "projection": ours("projection"),
    "elementwise": ours("elementwise"),
    "training step": step,
}


def measured(subject: str, way: str) -> dict[str, float]:
    """Processor seconds, forward calls and MiB of one way on one subject; run in a process of its own."""
    torch.manual_seed(0)
    make = {**SMALL, **LARGE}[subject]
    made = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best, calls = float("inf"), 0
    for _ in range(4):
        started = time.process_time()
        calls = WAYS[way](made)
        elapsed = time.process_time() - started
        best = min(best, elapsed)
        if elapsed > 20:
            break
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": best, "calls": calls, "memory": (after - before) / 1024}


#: Torch's slow mode takes a quarter of an hour here.
ENDLESS = "TransformerEncoderLayer(64,4)"
SLOW = ("torch slow", "elementwise")
BESIDE = {"auto": "torch fast", "projection": "torch fast", "elementwise": "torch slow"}
HEAD = ("subject", "way", "seconds", "ratio", "forward calls", "MiB")


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """The table's cells, row after row, as they are measured."""
    ways = ["training step", "auto"] if arguments.large else ["torch fast", "auto", "projection"]
    beside = BESIDE | ({"auto": "training step"} if arguments.large else {})
    for subject in LARGE if arguments.large else SMALL:
        if arguments.only not in subject:
            continue
        slow = arguments.slow and (subject != ENDLESS or arguments.all)
        found: dict[str, dict[str, float]] = {}
        for way in (*ways, *(SLOW if slow else ())):
            command = [sys.executable, "-m", "tests.benchmarks.gradcheck_speed", "--one", subject, way]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = found[way] = json.loads(output.splitlines()[-1])
            other = found.get(beside.get(way, ""))
            ratio = f"{row['seconds'] / other['seconds']:.3g} x" if other else ""
            yield subject, way, f"{row['seconds']:.4f}", ratio, f"{row['calls']:.0f}", f"{row['memory']:.0f}"


def main() -> None:
    """Measures, prints the table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("SUBJECT", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--slow", action="store_true", help="torch's slow mode and our element-wise mode too")
    parser.add_argument("--large", action="store_true", help="the large subjects, beside a training step")
    parser.add_argument("--all", action="store_true", help="with --slow: also where it takes a quarter of an hour")
    parser.add_argument("--only", default="", metavar="TEXT", help="subjects whose name contains this")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one)))
        return
    print(f"{HEAD[0]:32}{HEAD[1]:16}{HEAD[2]:>10}{HEAD[3]:>10}{HEAD[4]:>15}{HEAD[5]:>8}")
    table = []
    for row in rows(arguments):
        table.append(row)
        print(f"{row[0]:32}{row[1]:16}{row[2]:>10}{row[3]:>10}{row[4]:>15}{row[5]:>8}", flush=True)
    if arguments.write:
        kind = "large" if arguments.large else "slow" if arguments.slow else "small"
        name = f"{kind} {arguments.only}".strip()
        said = page.machine(f"torch {torch.__version__}", "one thread")
        page.put(arguments.write, name, [said, "", *page.table(HEAD, table)])


if __name__ == "__main__":
    main()
