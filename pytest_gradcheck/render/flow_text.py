"""A gradient flow as terminal text: the symptoms, then the profile by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gradcheck.model.health import GradientFlow, LayerFlow

#: Layers shown at each end of a deep net.
_ENDS = 8


def render_flow(flow: GradientFlow) -> str:
    """The text of `str(flow)`."""
    rules = ", ".join(dict.fromkeys(symptom.rule for symptom in flow.symptoms)) or "healthy"
    lines = [f"gradient flow of {flow.model}: {rules}"]
    lines += [f"  {symptom.module + ': ' if symptom.module else ''}{symptom.message}" for symptom in flow.symptoms]
    rows = [("layer", "kind", "gradient", "weight", "activation", ""), *map(_row, flow.layers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    hidden = len(flow.layers) - 2 * _ENDS
    if hidden > 1:
        table = [*table[: _ENDS + 1], f"  ... {hidden} layers ...", *table[-_ENDS:]]
    return "\n".join([*lines, "", *table, "", f"loss {flow.loss:.4g}; {_slopes(flow)}"])


def _row(layer: LayerFlow) -> tuple[str, ...]:
    share = f"{layer.dead:.0%} dead" if layer.dead is not None else ""
    share = f"{layer.saturated:.0%} saturated" if layer.saturated is not None else share
    gradient, weight = (f"{value:.2g}" if value is not None else "-" for value in (layer.gradient, layer.weight))
    return layer.module or "(the model)", layer.kind, gradient, weight, f"{layer.activation:.2g}", share


def _slopes(flow: GradientFlow) -> str:
    pairs = (("gradients", flow.gradient_slope), ("activations", flow.activation_slope))
    said = [f"{name} change by {value:+.2f} decades a layer" for name, value in pairs if value is not None]
    return ", ".join(said) or "too few layers for a profile"
