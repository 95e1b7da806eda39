"""How the gradients of a whole run fared, as plain data: no tensors, no printing, nothing but the standard library."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_gradcheck.model.health import LayerFlow, Symptom
from pytest_gradcheck.model.jsonable import decode_number, encode

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Histogram:
    """How the magnitudes of one parameter's gradient are spread, by a sample of its elements.

    Attributes:
        WIDTH: Of a bin, in decades.
        parameter: Qualified name.
        zeros: Share of elements that are exactly zero.
        lowest: log10 of the lower edge of the first bin.
        counts: Elements in each bin; Empty where every element is zero.
    """

    WIDTH: ClassVar[float] = 0.5
    parameter: str
    zeros: float
    lowest: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class HealthSample:
    """One step that was looked at closely.

    Attributes:
        step: The step.
        layers: Every layer with weights, and every ReLU, tanh and sigmoid module, in running order; activations, dead
            and saturated shares come from a sample of the batch and of the places.
        histograms: One a parameter with a gradient.
        gradient_slope: Decades a layer by which gradient norms grow towards the output, or None.
        activation_slope: The same of activations.
    """

    step: int
    layers: tuple[LayerFlow, ...]
    histograms: tuple[Histogram, ...]
    gradient_slope: float | None = None
    activation_slope: float | None = None


@dataclass(frozen=True)
class Update:
    """The largest update of one step, relative to the weights it moved.

    Attributes:
        step: The step.
        tensor: Name of the parameter.
        ratio: `||update|| / ||weight||`, the weight as it was when watching began. For plain SGD the update is taken to
            be `rate * gradient`; that of other optimizers is measured.
        rate: The learning rate.
    """

    step: int
    tensor: str
    ratio: float
    rate: float


@dataclass(frozen=True)
class Health:
    """What was seen of a run's gradients. Watching keeps to a share of the run's time, so long runs are sampled.

    Attributes:
        parameters: Names of the parameters that are trained.
        steps: Steps of which every gradient norm was read.
        gradient: For each of these steps the Euclidean norm of each parameter's gradient, in the order of `parameters`;
            nan where one had none.
        updates: The largest relative update of each of these steps; for optimizers other than plain SGD of those that
            were looked at closely.
        samples: Steps that were looked at closely, the first and the last such step among them.
        findings: Health rules that were broken, each with the step in which it first was.
        overhead: Share of the run's time that was spent on watching, 0.01 for 1 %.
    """

    parameters: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    gradient: tuple[tuple[float, ...], ...] = ()
    updates: tuple[Update, ...] = ()
    samples: tuple[HealthSample, ...] = ()
    findings: tuple[Symptom, ...] = ()
    overhead: float = 0.0

    @property
    def warning(self) -> Symptom | None:
        """The first finding about the learning rate that foretells a nan, or None."""
        return next((each for each in self.findings if each.rule == "learning rate" and each.level == "error"), None)

    def to_dict(self) -> dict[str, Any]:
        """In JSON's own types; non-finite numbers are the strings "nan", "inf", "-inf"."""
        data: dict[str, Any] = encode(asdict(self))
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Health:
        """The inverse of `to_dict`."""
        own = {field.name: data[field.name] for field in fields(cls)}
        decoded = {
            "parameters": tuple(own["parameters"]),
            "steps": tuple(own["steps"]),
            "gradient": tuple(tuple(map(decode_number, norms)) for norms in own["gradient"]),
            "updates": tuple(Update(**{**item, "ratio": decode_number(item["ratio"])}) for item in own["updates"]),
            "samples": tuple(map(_sample, own["samples"])),
            "findings": tuple(Symptom(**item) for item in own["findings"]),
        }
        return cls(**{**own, **decoded})


def _sample(data: Mapping[str, Any]) -> HealthSample:
    layers = tuple(LayerFlow.from_dict(layer) for layer in data["layers"])
    histograms = tuple(Histogram(**{**item, "counts": tuple(item["counts"])}) for item in data["histograms"])
    return HealthSample(**{**data, "layers": layers, "histograms": histograms})
