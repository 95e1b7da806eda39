"""Gradient checks beside `torch.autograd.gradcheck`: time, forward calls and peak memory, each in a process of its own.

    python -m tests.benchmarks.gradcheck_speed            # ours and torch's fast mode on the small subjects
    python -m tests.benchmarks.gradcheck_speed --slow     # torch's slow mode and our element-wise mode too: long
    python -m tests.benchmarks.gradcheck_speed --large    # AlexNet with 46 M and a transformer with 60 M parameters

Times are the best of three after a warm-up (one, where a check takes over 20 s). Same subjects, parameters and inputs
for all; ratios are to torch's mode of the same kind. Memory is the process's peak above that of building the subject.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_gradcheck import alexnet, check_gradients

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
    """Seconds, forward calls and MiB of one way on one subject; run in a process of its own."""
    torch.manual_seed(0)
    make = {**SMALL, **LARGE}[subject]
    made = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best, calls = float("inf"), 0
    for _ in range(4):
        started = time.perf_counter()
        calls = WAYS[way](made)
        elapsed = time.perf_counter() - started
        best = min(best, elapsed)
        if elapsed > 20:
            break
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": best, "calls": calls, "memory": (after - before) / 1024}


def main() -> None:
    """Measures and prints the table."""
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        print(json.dumps(measured(sys.argv[2], sys.argv[3])))
        return
    large = "--large" in sys.argv
    ways = ["training step", "auto"] if large else ["torch fast", "auto", "projection"]
    pairs = {"auto": ways[0], "projection": "torch fast", "elementwise": "torch slow"}
    if "--slow" in sys.argv:
        ways += ["torch slow", "elementwise"]
    print(f"{'subject':32}{'way':16}{'seconds':>10}{'ratio':>9}{'calls':>9}{'MiB':>8}")
    for subject in LARGE if large else SMALL:
        found: dict[str, dict[str, float]] = {}
        for way in ways:
            command = [sys.executable, "-m", "tests.benchmarks.gradcheck_speed", "--one", subject, way]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[way] = json.loads(output.splitlines()[-1])
            row = found[way]
            beside = found.get(pairs.get(way, ""))
            ratio = f"{row['seconds'] / beside['seconds']:.3g} x" if beside else ""
            print(
                f"{subject:32}{way:16}{row['seconds']:>10.4f}{ratio:>9}{row['calls']:>9.0f}{row['memory']:>8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
