"""Plain stacks: the weight layers of a chain between which nothing normalises, skips or is unknown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import constant, integer
from gradlint.semantics.layer_values import argument
from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.layer_chain import Chain

_BREAKING = (LinkKind.OPAQUE, LinkKind.NORM, LinkKind.RESIDUAL, LinkKind.RNN)
_OWN_NORM = re.compile(r"Transformer|Attention")  # torch layers with normalisation and skip connections inside
_DIMENSIONS = re.compile(r"(\d)d$")

# Activations that pass one half of the signal and stop the other, so that a layer before them halves the variance.
RELU_LIKE = frozenset({"relu", "relu6", "leaky_relu"})


@dataclass(frozen=True, eq=False)
class Hidden:
    """One layer of a stack: a weight layer and the activation between it and the next weight layer."""

    weight: Link
    activation: Link

    @property
    def word(self) -> str:
        """The activation's word, such as `relu`."""
        return self.activation.activation or ""


def plain_runs(chain: Chain) -> Iterator[tuple[Link, ...]]:
    """The stretches of a chain without normalisation, skip connection or anything unknown."""
    return chain.runs(_breaks)


def _breaks(link: Link) -> bool:
    own = link.kind is LinkKind.OTHER and _OWN_NORM.search(link.name or "") is not None
    return link.bypassed or link.kind in _BREAKING or own


def hidden_layers(run: tuple[Link, ...]) -> list[Hidden]:
    """The weight layers with exactly one activation after them, which more weight layers follow in the run."""
    found: list[Hidden] = []
    weight: Link | None = None
    activations: list[Link] = []
    for link in run:
        if link.has_weight:
            if weight is not None and len(activations) == 1:
                found.append(Hidden(weight, activations[0]))
            weight, activations = link, []
        elif link.kind is LinkKind.ACTIVATION:
            activations.append(link)
    return found


def fan_in(link: Link, names: Names) -> int | None:
    """How many numbers each output of a weight layer is a sum of, where that is literal."""
    if link.in_features is None or link.kind is LinkKind.LINEAR:
        return link.in_features
    if not isinstance(link.node, cst.Call) or "Transpose" in (link.name or ""):
        return None
    window = constant(argument(link.node, 2, "kernel_size"), names)
    dimensions = _DIMENSIONS.search(link.name or "")
    if isinstance(window, int) and dimensions is not None:
        window = (window,) * int(dimensions[1])
    given = argument(link.node, 6, "groups")
    groups = 1 if given is None else integer(given, names)
    sizes = [size for size in window if isinstance(size, int)] if isinstance(window, tuple) else []
    if not sizes or not groups or len(sizes) != len(window):  # type: ignore[arg-type]
        return None
    return link.in_features * prod(sizes) // groups
