"""How gradients flow through a net, as plain data: no tensors, no printing, nothing but the standard library."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from pytest_gradcheck.model.jsonable import decode_number, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

FLOW_VERSION = 1


@dataclass(frozen=True)
class LayerFlow:
    """One layer in running order.

    Attributes:
        module: Qualified name.
        kind: Class name.
        gradient: Euclidean norm of its weight's gradient; None without weights, or where none arrived.
        weight: Euclidean norm of its weight, or None.
        activation: Root mean square of what it puts out.
        dead: Share of dead units, for a ReLU that was seen in enough samples to tell, else None.
        saturated: Share of saturated values, for tanh and sigmoid, else None.
    """

    module: str
    kind: str
    gradient: float | None
    weight: float | None
    activation: float
    dead: float | None = None
    saturated: float | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerFlow:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        numbers = ("gradient", "weight", "activation", "dead", "saturated")
        decoded: dict[str, Any] = {key: decode_number(data[key]) for key in numbers if data[key] is not None}
        return cls(**{**data, **decoded})


@dataclass(frozen=True)
class Symptom:
    """A health rule that was broken.

    Attributes:
        rule: "vanishing", "exploding", "exploding activations", "dead ReLU", "saturation", "detached", "initial loss",
            "input" or, in a run, "learning rate", "divergence" and "left out".
        module: Qualified name of the layer, or None where it is the whole net.
        message: What was measured, and the limit.
        step: Step of a run in which it was first broken; 0 outside of runs.
        level: "warning" or "error".
    """

    rule: str
    module: str | None
    message: str
    step: int = 0
    level: str = "error"


@dataclass(frozen=True)
class GradientFlow:
    """One forward and one backward pass through a net.

    Attributes:
        model: Class name of the net.
        loss: The loss.
        layers: Every layer with weights, and every ReLU, tanh and sigmoid module, in running order.
        gradient_slope: Decades by which gradient norms grow from one layer to the next, towards the output; None for
            less than three layers, or where a norm is zero or not finite.
        activation_slope: The same of the activations of layers with weights.
        symptoms: The rules that were broken.
    """

    model: str
    loss: float
    layers: tuple[LayerFlow, ...]
    gradient_slope: float | None
    activation_slope: float | None
    symptoms: tuple[Symptom, ...] = ()

    @property
    def vanishing(self) -> bool:
        """Whether gradients die out on their way to the first layers."""
        return any(symptom.rule == "vanishing" for symptom in self.symptoms)

    @property
    def exploding(self) -> bool:
        """Whether gradients or activations grow by depth, or are not finite."""
        return any(symptom.rule.startswith("exploding") for symptom in self.symptoms)

    @property
    def healthy(self) -> bool:
        """Whether no rule was broken."""
        return not self.symptoms

    def to_dict(self) -> dict[str, Any]:
        """In JSON's own types, with a version; non-finite numbers are the strings "nan", "inf", "-inf"."""
        data: dict[str, Any] = encode(asdict(self))
        return {"version": FLOW_VERSION, **data, "vanishing": self.vanishing, "exploding": self.exploding}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GradientFlow:
        """The inverse of `to_dict`.

        Raises:
            ValueError: The data is of another version.
        """
        if data.get("version") != FLOW_VERSION:
            raise ValueError(f"this flow has version {data.get('version')!r}; version {FLOW_VERSION} is understood")
        own = {field.name: data[field.name] for field in fields(cls)}
        return cls(
            **{
                **own,
                "loss": decode_number(own["loss"]),
                "layers": tuple(map(LayerFlow.from_dict, own["layers"])),
                "symptoms": tuple(Symptom(**symptom) for symptom in own["symptoms"]),
            }
        )

    def __str__(self) -> str:
        # An upward import, as in the reports: the words live with the other renderers.
        from pytest_gradcheck.render.flow_text import render_flow

        return render_flow(self)


def slope(values: list[float]) -> float | None:
    """Least-squares slope of log10 over equally spaced positive values.

    None for less than three, or where one is zero or not finite.
    """
    count = len(values)
    if count < 3 or not all(0 < value < math.inf for value in values):
        return None
    logs = [math.log10(value) for value in values]
    middle, mean = (count - 1) / 2, sum(logs) / count
    spread = sum((place - middle) ** 2 for place in range(count))
    return sum((place - middle) * (value - mean) for place, value in enumerate(logs)) / spread
