"""Reports of every kind, made up without torch: right and wrong gradients, healthy and failing runs."""

from __future__ import annotations

import math
import random

from pytest_gradcheck.model import (
    Failure,
    Finding,
    GradientFlow,
    Health,
    HealthSample,
    Histogram,
    LayerFlow,
    Remedy,
    Report,
    Symptom,
    TensorCheck,
    TrainingReport,
    Update,
    Verdict,
    Worst,
)
from pytest_gradcheck.model.evidence import Elements, Sweep
from pytest_gradcheck.model.session import Entry, SessionReport
from pytest_gradcheck.settings import Settings

ENVIRONMENT = {
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "pytest-gradcheck": "0.1.0",
    "torch": "2.13.0",
    "threads": "1",
}


def sweep(factor: float = 1.0, seed: int = 0, where: str = "weight[1, 2]") -> Sweep:
    """Central quotients of sin at 0.3 with rounding noise; autograd is off by a factor."""
    source = random.Random(seed)
    steps = tuple(1.6 / 2**k for k in range(34))
    slope, noise = math.cos(0.3), 1e-16
    quotients = tuple(slope * math.sin(h) / h + source.gauss(0, noise) / h for h in steps)
    return Sweep(where, factor * slope, slope + 1e-13, 4e-13, 1e-3, noise, steps, quotients)


def elements(count: int, factor: float = 1.0, wrong: range | None = None, seed: int = 0) -> Elements:
    """Elements of which those in `wrong` are off by a factor."""
    source = random.Random(seed)
    numeric = [source.gauss(0, 1) for _ in range(count)]
    off = range(count) if wrong is None else wrong
    claims = [value * (factor if i in off else 1.0) + source.gauss(0, 1e-12) for i, value in enumerate(numeric)]
    return Elements.of(range(count), claims, numeric, [1e-11] * count)


def tensor(
    name: str = "weight", verdict: Verdict = Verdict.GOOD, shape: tuple[int, ...] = (4, 8), seed: int = 0
) -> TensorCheck:
    count = math.prod(shape)
    if verdict is Verdict.GOOD:
        return TensorCheck(name, shape, 3.1e-13, 4.2e-12, verdict, elements=elements(count, seed=seed))
    if verdict is Verdict.INCONCLUSIVE:
        return TensorCheck(name, shape, 2e-4, 3e-3, verdict, reason="noise", elements=elements(count, seed=seed))
    factor = 1.0005 if verdict is Verdict.SUSPICIOUS else 2.0
    return TensorCheck(
        name, shape, (factor - 1) / (factor + 1), 4.2e-12, verdict, Worst((1, 2)[: len(shape)], factor * 0.955, 0.955),
        diagnosis=f"every element is off by one factor: autograd = {factor:g} x numeric (a forgotten or doubled 2?)",
        proven=True, elements=elements(count, factor, seed=seed), sweep=sweep(factor, where=f"{name}[1, 2]"),
    )  # fmt: skip


def gradient(verdict: Verdict = Verdict.GOOD, subject: str = "GatedLinear", seed: int = 0) -> Report:
    checks = (tensor("input0", seed=seed), tensor("weight", verdict, seed=seed), tensor("bias", shape=(4,), seed=seed))
    findings = (
        ()
        if verdict is Verdict.GOOD
        else (Finding("kink", "info", "input0[3] is a kink: autograd's value is a subgradient there"),)
    )
    return Report(
        subject, checks, findings, 0.031, 112, 1234567, Settings(seed=1234567), source="layers.py:47",
        rerun="pytest 'tests/test_layers.py::test_gated_linear' --gradcheck --gradcheck-seed=1234567",
        sweep=sweep(seed=seed, where="a random direction through all tensors"),
    )  # fmt: skip


def layer(place: int, count: int, decades: float) -> LayerFlow:
    return LayerFlow(f"features.{2 * place}", "Linear", 10 ** (decades * (place - count)), 8.1, 0.4 + 0.02 * place)


def health(layers: int = 8, steps: int = 20, decades: float = 0.4) -> Health:
    names = tuple(f"features.{2 * k}.{part}" for k in range(layers) for part in ("weight", "bias"))
    source = random.Random(1)
    norms = tuple(
        tuple(10 ** (decades * (k // 2 - layers) + source.gauss(0, 0.1)) for k in range(len(names)))
        for _ in range(steps)
    )
    relu = tuple(
        LayerFlow(f"features.{2 * k + 1}", "ReLU", None, None, 0.3, dead=min(0.11 * k, 1.0)) for k in range(layers)
    )
    flows = tuple(item for k in range(layers) for item in (layer(k, layers, decades), relu[k]))
    spread = tuple(
        Histogram(name, 0.1, -8.0 + 0.3 * k, tuple(int(400 * math.exp(-((b - 6) ** 2) / 8)) for b in range(13)))
        for k, name in enumerate(names)
    )
    samples = tuple(HealthSample(step, flows, spread, decades, 0.02) for step in (0, steps - 1))
    moved = tuple(Update(step, names[-2], 0.02 * 1.25**step, 0.01) for step in range(steps))
    found = (
        Symptom("vanishing", None, "gradients shrink by 0.40 decades a layer towards the input; the limit is 0.2"),
    )
    return Health(names, tuple(range(steps)), norms, moved, samples, found, 0.011)


def training(failing: bool = True) -> TrainingReport:
    losses = [2.31 - 0.02 * k for k in range(16)] + ([5.2, 40.0, 3e3, math.nan] if failing else [2.0, 1.98, 1.95, 1.93])
    norms = [0.9 + 0.01 * k for k in range(16)] + ([9.0, 300.0, 1e7, math.nan] if failing else [1.0] * 4)
    remedies = (
        Remedy("learning rate / 10", True, True, True, 20, "2.31 -> 1.62"),
        Remedy("He initialisation", False, False, False, 3, "nan at step 2"),
    )
    failure = Failure(
        19, "forward", "activation", "nan", "features.4", op="aten.convolution", source="model.py:41",
        cause="learning rate", evidence=("the update of features.4.weight was 3.1 times its weight at step 18",),
        remedies=remedies,
    )  # fmt: skip
    return TrainingReport(
        "AlexNet", 46_764_746, "Fashion-MNIST train, batch 32", "cpu", "SGD", 0, 20, losses, norms, [0.01] * 20,
        seconds=13.1, failure=failure if failing else None, notes=("the batch was drawn once",), health=health(),
        rerun='pytest "tests/test_alexnet.py::test_trains"',
    )  # fmt: skip


def flow() -> GradientFlow:
    layers = tuple(layer(k, 6, 0.5) for k in range(6))
    units = LayerFlow("features.11", "Tanh", None, None, 0.9, saturated=0.62)
    symptoms = (
        Symptom("vanishing", None, "gradients shrink by 0.50 decades a layer"),
        Symptom("saturation", "features.11", "62%"),
    )
    return GradientFlow("DeepNet", 2.31, (*layers, units), 0.5, 0.02, symptoms)


def session(good: int = 6) -> SessionReport:
    """One of everything, and some more good ones."""
    bad = [
        Entry("tests/test_layers.py::test_gated_linear", "gradient", "failed", gradient(Verdict.WRONG)),
        Entry("tests/test_layers.py::test_norm", "gradient", "failed", gradient(Verdict.SUSPICIOUS, "BatchNorm")),
        Entry("tests/test_layers.py::test_noisy", "gradient", "passed", gradient(Verdict.INCONCLUSIVE, "Noisy")),
        Entry("tests/test_layers.py::test_sign", "gradient", "xfailed", gradient(Verdict.WRONG, "Sign")),
        Entry("tests/test_alexnet.py::test_trains", "training", "failed", training()),
        Entry("tests/test_alexnet.py::test_small", "training", "passed", training(failing=False), worker="gw1"),
        Entry("tests/test_flow.py::test_depth", "flow", "passed", flow()),
        Entry(
            "tests/test_layers.py::test_shape", "none", "failed", message="the forward raised RuntimeError: 3 is not 4"
        ),
        Entry("tests/test_layers.py::test_gpu[cuda]", "none", "skipped", message="no cuda device here"),
    ]
    right = [
        Entry(f"tests/test_layers.py::test_good[{k}]", "gradient", "passed", gradient(subject=f"Layer{k}", seed=k))
        for k in range(good)
    ]
    command = "pytest --gradcheck tests --gradcheck-report=report.html"
    return SessionReport("2026-11-21T13:00:00+00:00", 42.5, command, False, ENVIRONMENT, (*right, *bad))
