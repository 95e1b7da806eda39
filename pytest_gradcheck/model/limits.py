"""Where the health rules draw the line: every threshold by name, with what it is and where its value comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from pytest_gradcheck.errors import UsageProblem

_TABLE = "the table of healthy and sick nets in docs/health-rules.md"
_RUNS = "the AlexNet runs in docs/acceptance.md"


def _limit(default: float, meaning: str, source: str) -> Any:
    return field(default=default, metadata={"meaning": meaning, "source": source})


@dataclass(frozen=True)
class Limits:
    """Thresholds of the health rules; each can be set, as in `Limits(dead=0.8)`.

    `docs/health-rules.md` lists every one with its meaning and its source, which are the metadata of these fields.

    Raises:
        UsageProblem: A value is no positive number.
    """

    slope: float = _limit(
        0.2,
        "decades a layer by which gradient norms or activations may change with depth",
        f"{_TABLE}: sick nets have 0.36 and more, healthy ones of more than three layers at most 0.06; a ReLU net "
        "under PyTorch's default initialisation has log10(sqrt(6)) = 0.39 (He et al., ICCV 2015, section 2.2, for a "
        "weight variance of 1/(3n))",
    )
    span: float = _limit(
        1.0, "decades over the whole net from which such a slope counts", f"{_TABLE}: other widths differ by less"
    )
    fires: float = _limit(
        0.01, "share of samples in which a ReLU unit must be positive, or it counts as dead",
        f"{_TABLE}; the usual share of zeros flags healthy nets, half of whose ReLU outputs are zero",
    )  # fmt: skip
    dead: float = _limit(0.5, "share of a layer's units that may be dead", _TABLE)
    tanh: float = _limit(
        0.97, "magnitude above which a tanh is saturated", "its derivative there is 1 - 0.97**2 = 0.06 of the largest"
    )
    sigmoid: float = _limit(
        0.03, "distance from 0 or 1 within which a sigmoid is saturated",
        "its derivative there is 0.03 * 0.97 = 0.029, an eighth of the largest",
    )  # fmt: skip
    saturated: float = _limit(
        0.5,
        "share of a tanh or sigmoid layer's values that may be saturated",
        "Glorot and Bengio, AISTATS 2010, fig. 2",
    )
    loss: float = _limit(3.0, "factor of ln(classes) up to which the initial loss is plausible", _TABLE)
    input: float = _limit(
        20.0, "largest magnitude of a batch that counts as scaled", "0..255 pixels exceed it, standardised data do not"
    )
    update_warn: float = _limit(
        0.1, "update of a weight, relative to its norm, from which the learning rate gets a warning",
        f"a hundred times the rule of thumb of 1e-3; {_RUNS}",
    )  # fmt: skip
    update: float = _limit(
        1.0, "the same ratio that foretells a nan, in two steps running", f"{_RUNS}: 2 to 4 steps of warning"
    )
    rise: float = _limit(
        10.0, "factor of the first loss from which the last losses of a run have diverged",
        f"{_TABLE}; rates that only start badly come back under it",
    )  # fmt: skip
    below_guessing: float = _limit(
        0.01, "share of ln(classes) by which a collapsed net's loss may lie below it", f"{_RUNS}: 2.31 to 2.38 of 2.303"
    )
    above_guessing: float = _limit(
        0.05, "share of ln(classes) by which it may lie above it",
        f"{_RUNS}: the rate that broke the net keeps pushing its last biases around",
    )  # fmt: skip
    zeros: float = _limit(
        0.7, "share of exactly zero gradients above which such a net has collapsed",
        f"{_RUNS}: 71 to 87 %; nets that only learn slowly have about half",
    )  # fmt: skip
    memorised: float = _limit(
        0.05, "share of its initial loss below which one batch counts as memorised", "the definition of `overfit=True`"
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise UsageProblem(f"limits: {item.name} is {value!r}, but it must be a positive number")
