"""The health rules against nets known to be healthy and nets known to be sick, as a page.

    python -m tests.training.health_table        writes docs/health-rules.md

Every number is computed here, with one thread and fixed seeds. A test compares the page with what this module gives.
"""

# ruff: noqa: E501 - rows of Markdown tables

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_gradcheck.model.health import GradientFlow
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.models.small import deep_mlp, residual_net
from pytest_gradcheck.training import gradient_flow, train_smoke
from pytest_gradcheck.training.feed import Batch
from pytest_gradcheck.training.objective import Loss, forward, objective
from tests.training import test_real_models as real
from tests.training.test_gradient_flow import HEALTHY, SICK, batch

PAGE = Path(__file__).parents[2] / "docs" / "health-rules.md"
HEAD = """# Health rules

What `gradient_flow` and the findings of a smoke run (`run.health.findings`) judge, where they draw the line, and how
the rules fare on nets that are known to be healthy or sick. Written by `python -m tests.training.health_table`; a test
compares this page with what the command gives. Each threshold is a field of `Limits`, which `gradient_flow`,
`train_smoke` and `watch` take: `gradient_flow(model, batch, limits=Limits(dead=0.8))`.

## Rules

| rule | broken when | thresholds |
|---|---|---|
| vanishing | gradient norms of weights shrink with depth towards the input, by a least-squares slope of log10 over layers, and do so without the largest step too, if that is under 3 decades; or those of the first layers are exactly zero, and stay so once what starts at zero has moved | `slope`, `span` |
| exploding | the same slope the other way, or a gradient or activation that is not finite | `slope`, `span` |
| exploding activations | activations grow with depth towards the output, and do so without the largest step too, if that is under 3 decades | `slope`, `span` |
| dead ReLU | too many units of a layer fire in too few samples; with under 16 samples and places only a layer that never fires | `fires`, `dead` |
| saturation | too many values of a tanh or sigmoid layer lie where its derivative is nearly zero | `tanh`, `sigmoid`, `saturated` |
| detached | the loss changes with a layer's output, but no gradient comes back to its weights; or (in a watched loop) to none that an optimizer holds; or (a warning) layers ran under no_grad, and whatever is trained sees the batch only through them | |
| initial loss | the first cross entropy is far above that of guessing | `loss` |
| input | the batch is not scaled, and neither is what the first layers with weights get of it | `input` |
| learning rate | (in a run, plain SGD) rate times gradient norm over initial weight norm: a warning when large once, an error when large twice in a row; weights that start near zero are left out | `update_warn`, `update` |
| divergence | (in a run, of losses above zero) the last losses are far above the first one, though every number is finite | `rise` |
| left out | (in a run, a warning) parameters get gradients, but no optimizer holds them | |
| collapse | (ends a run) the loss stays where guessing puts it, and most gradients are exactly zero; or it lies above, and no weight has any gradient | `below_guessing`, `above_guessing`, `zeros` |
| underfit | (`overfit=True`) one batch could not be memorised | `memorised` |

Once a run's loss has come down to half of its first value (in `train_smoke` also to half of that of guessing), gradients
plainly arrive, and layers are asked only for gradients that are exactly zero and for dead units. A collapse is judged
without what is zero by design: rows of an embedding, features that no sample has, experts that no sample chose; and by
weights alone where there are under 16 labels.
"""


@dataclass(frozen=True)
class Run:
    """A short run with a known ending."""

    name: str
    make: Callable[[], nn.Module]
    rate: float
    ends: str
    batch: Callable[[], tuple[torch.Tensor, torch.Tensor]] = batch
    optimizer: str = "sgd"


def dead_mlp() -> nn.Module:
    net = deep_mlp(3, 64)
    nn.init.constant_(net[1].bias, -100.0)  # type: ignore[arg-type]
    return net


RUNS = (
    Run("MLP-8 He", lambda: deep_mlp(8, init="he"), 0.01, "healthy"),
    Run("MLP-8 tanh, Xavier", lambda: deep_mlp(8, activation="tanh", init="xavier"), 0.05, "healthy"),
    Run("residual net", residual_net, 0.05, "healthy"),
    Run("residual net without BatchNorm", lambda: residual_net(norm=None), 0.01, "healthy"),
    Run("MLP-4 He, rate 3", lambda: deep_mlp(4, init="he"), 3.0, "sick"),
    Run("MLP-4 He, rate 300", lambda: deep_mlp(4, init="he"), 300.0, "sick"),
    Run("MLP-8 He, rate 30", lambda: deep_mlp(8, init="he"), 30.0, "sick"),
    Run("MLP-3, first ReLU layer dead", dead_mlp, 0.01, "sick"),
    Run("MLP-4 He, pixels 0..255", lambda: deep_mlp(4, init="he"), 1.0, "sick", lambda: (batch()[0] * 255, batch()[1])),
    Run("MLP-4 He, Adam", lambda: deep_mlp(4, init="he"), 1e-3, "healthy", optimizer="adam"),
    Run("MLP-4 He, Adam, rate 10", lambda: deep_mlp(4, init="he"), 10.0, "sick", optimizer="adam"),
    Run("MLP-4 He, Adam, rate 1e5", lambda: deep_mlp(4, init="he"), 1e5, "sick", optimizer="adam"),
)


def flows() -> Iterator[tuple[str, str, GradientFlow, tuple[str, ...]]]:
    """Every net of the table with its flow, and what the usual rules say of it."""
    made = {**{name: ("healthy", make) for name, make in HEALTHY.items()}}
    made |= {name: ("sick", make) for name, (make, _, _) in SICK.items()}
    for name, (kind, make) in made.items():
        torch.manual_seed(0)
        net, pair = make(), batch(96, 8) if "AlexNet" in name else batch()
        flow = gradient_flow(net, pair)
        yield name, kind, flow, usual(net, pair, flow)


def usual(net: nn.Module, pair: tuple[Any, Any], flow: GradientFlow, loss: Loss | None = None) -> tuple[str, ...]:
    """Which of the popular rules would flag this net."""
    zeros, stds = [], []

    def look(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        if not output.numel():
            return
        stds.append(float(output.detach().std()))
        if isinstance(module, nn.ReLU):
            zeros.append(float((output == 0).double().mean()))

    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ReLU)):
            module.register_forward_hook(look)
    net.train()
    value = objective(loss, forward(net, Batch(*pair), 0), pair[1], 0)
    trained = [item for item in net.parameters() if item.requires_grad]
    grads = torch.autograd.grad(value, trained, allow_unused=True)
    means = [0.0 if grad is None else float(grad.to_dense().abs().mean()) for grad in grads]
    norms = [layer.gradient for layer in flow.layers if layer.gradient is not None]
    ratio = norms[0] / norms[-1] if norms[-1] else 0.0
    said = {
        "activation std outside 0.5..2": any(not 0.5 <= std <= 2 for std in stds),
        "over 50 % of ReLU outputs zero": any(share > 0.5 for share in zeros),
        "mean gradient under 1e-7": any(mean < 1e-7 for mean in means),
        "first over last gradient outside 0.01..100": not 0.01 <= ratio <= 100,
    }
    return tuple(name for name, flagged in said.items() if flagged)


def page() -> str:
    """The page's text."""
    return "\n".join([HEAD, *_thresholds(), *_nets(), *_runs(), *_others()]) + "\n"


def _thresholds() -> Iterator[str]:
    yield "## Thresholds\n"
    yield "| `Limits` field | default | meaning | source |\n|---|---|---|---|"
    for item in fields(Limits):
        yield f"| `{item.name}` | {item.default:g} | {item.metadata['meaning']} | {item.metadata['source']} |"


def _nets() -> Iterator[str]:
    yield "\n## Nets at initialisation\n"
    yield "Slopes in decades a layer towards the output; the last column says which popular rules would have flagged the net."
    yield "\n| net | known to be | gradient slope | activation slope | most dead | most saturated | loss / ln 10 | rules broken | the usual rules |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, kind, flow, others in flows():
        cells = [
            name, kind, _number(flow.gradient_slope), _number(flow.activation_slope),
            _number(max((layer.dead for layer in flow.layers if layer.dead is not None), default=None)),
            _number(max((layer.saturated for layer in flow.layers if layer.saturated is not None), default=None)),
            f"{flow.loss / math.log(10):.2g}",
            ", ".join(dict.fromkeys(symptom.rule for symptom in flow.symptoms)) or "none",
            "; ".join(others) or "none",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _runs() -> Iterator[str]:
    yield "\n## Runs\n"
    yield "Forty steps on one batch of 64, of plain SGD if the name says nothing else. A warning counts when it comes as an error, two steps running."
    yield "\n| run | known to be | ended | warned | rules broken |\n|---|---|---|---|---|"
    for run in RUNS:
        yield f"| {' | '.join(outcome(run))} |"


def outcome(run: Run) -> tuple[str, ...]:
    """The cells of one run."""
    report = train_smoke(
        run.make, [run.batch()], lr=run.rate, optimizer=run.optimizer, steps=40, remedies=None, max_overhead=None
    )
    failure, warning = report.failure, report.health.warning
    ended = f"loss {report.loss[0]:.2g} -> {report.loss[-1]:.2g}"
    warned = "no" if warning is None else f"step {warning.step}"
    if failure is not None:
        ended = f"{failure.value} at step {failure.step}" if failure.value != "collapse" else "collapse"
        if warning is not None and failure.step > warning.step and failure.value != "collapse":
            warned += f", {failure.step - warning.step} before"
    rules = dict.fromkeys(each.rule for each in report.health.findings if each.level == "error")
    return run.name, run.ends, ended, warned, ", ".join(rules) or "none"


def _others() -> Iterator[str]:
    yield "\n## Other nets\n"
    yield "Twenty steps of what is no plain classifier, or none with ordinary layers."
    yield "\n| net | known to be | ended | cause | rules broken at the start | rules broken in the run | the usual rules |\n|---|---|---|---|---|---|---|"
    for kind, nets in (("healthy", real.HEALTHY), ("sick", real.SICK)):
        for name, (make, batches, options) in nets.items():
            yield f"| {name} | {kind} | {' | '.join(_other(make, batches, options))} |"


def _other(make: Callable[[], nn.Module], batches: list[Any], options: dict[str, Any]) -> tuple[str, ...]:
    run = train_smoke(make, batches, **{"remedies": None, "max_overhead": None, **options})
    torch.manual_seed(0)
    net, loss, failure = make(), options.get("loss"), run.failure
    flow = gradient_flow(net, batches[0], loss=loss)
    ended = (
        f"loss {run.loss[0]:.2g} -> {run.loss[-1]:.2g}"
        if failure is None
        else f"{failure.value} at step {failure.step}"
    )
    return (
        ended,
        "-" if failure is None or failure.cause is None else failure.cause,
        ", ".join(dict.fromkeys(symptom.rule for symptom in flow.symptoms)) or "none",
        ", ".join(dict.fromkeys(each.rule for each in run.health.findings)) or "none",
        "; ".join(usual(net, batches[0], flow, loss)) or "none",
    )


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{round(value, 2) + 0.0:.2f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    PAGE.write_text(page(), encoding="utf-8")
