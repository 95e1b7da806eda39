"""Curves over the steps of a training run: the loss, gradient norms by layer, relative updates."""

from __future__ import annotations

import math

from pytest_gradcheck.model import Health, TrainingReport
from pytest_gradcheck.render.plots.chart import Chart, shade, steps

#: A loss that spans more than this factor is drawn on a log axis.
WIDE = 50.0
#: Curves beyond which a plot is a tangle: then every so many layers are drawn.
CURVES = 32
#: Relative updates from which training is in danger, and from which it breaks.
WARNED, BROKEN = 0.1, 1.0


def loss(run: TrainingReport) -> str | None:
    """The loss of every step, of every seed; None where there is none."""
    runs = run.seeds or (run,)
    values = [value for each in runs for value in each.loss]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    log = min(finite) > 0 and max(finite) > WIDE * min(finite)
    chart = Chart(values, steps(max(len(each.loss) for each in runs)), log)
    for each in runs:
        name = "curve" if each.seed == run.seed else "curve other"
        chart.line(range(len(each.loss)), each.loss, name, dots=len(each.loss) <= 30)
        if each.failure:
            chart.moment(each.failure.step, "failed" if each.seed == run.seed else "failed other")
    chart.ticks("step", "loss, log axis" if log else "loss")
    return chart.svg(f"Loss of {run.model} over {len(run.loss)} steps")


def gradient_norms(run: TrainingReport, health: Health | None) -> str | None:
    """Gradient norms over the steps on a log axis: of every layer's weight where known, and of all together."""
    total = [abs(value) for value in run.gradient_norm]
    rows = _by_layer(health) if health else []
    values = [*total, *(value for _, norms in rows for value in norms)]
    if not any(math.isfinite(value) and value > 0 for value in values):
        return None
    chart = Chart(values, steps(len(total)), log=True)
    for place, (_, norms) in enumerate(rows):
        chart.line(health.steps if health else (), norms, shade(place, len(rows)))
    chart.line(range(len(total)), total, "curve total", dots=len(total) <= 30)
    if run.failure:
        chart.moment(run.failure.step)
    chart.ticks("step", "gradient norm")
    return chart.svg(f"Gradient norms of {run.model} by layer and step, log axis")


def updates(health: Health) -> str | None:
    """The largest relative update of each step on a log axis, with the limits; None where none was measured."""
    ratios = [update.ratio for update in health.updates]
    if not any(math.isfinite(ratio) and ratio > 0 for ratio in ratios):
        return None
    at = [update.step for update in health.updates]
    chart = Chart([*ratios, WARNED / 2, BROKEN * 2], steps(max(at) + 1), log=True)
    chart.level(WARNED, "limit warn")
    chart.level(BROKEN, "limit")
    chart.line(at, ratios, "curve", dots=len(at) <= 30)
    chart.ticks("step", "largest update / weight")
    return chart.svg("Largest update relative to the weight it moved, by step, log axis")


def _by_layer(health: Health) -> list[tuple[str, list[float]]]:
    """Name and norms over the steps of every layer's weight, from the input to the output; thinned where many."""
    names = [(place, name) for place, name in enumerate(health.parameters) if name.endswith("weight")]
    names = names or list(enumerate(health.parameters))
    stride = math.ceil(len(names) / CURVES)
    return [(name, [norms[place] for norms in health.gradient]) for place, name in names[:: max(stride, 1)]]
