"""Why a step failed, by measured evidence: each rule is one function, and the first that holds names the cause."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gradcheck.model.training import Failure
    from pytest_gradcheck.training.replay import Replay
    from pytest_gradcheck.training.updates import Update

#: Inputs of a magnitude that no usual scaling leaves: 0..255 pixels have it, 0..1 and standardised ones do not.
UNSCALED = 20.0
#: An update as large as the weights it moves; two of them in a row preceded every nan by 2 to 4 steps.
RATIO = 1.0
#: Decades that activations grow a layer: N(0, 1) weights give +0.94, healthy nets at most 0.04.
GROWTH = 0.2
#: Above this magnitude a broken log or division is the victim, not the culprit.
_SANE = 1e15
_EDGES = {
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "rsqrt",
    "div",
    "reciprocal",
    "pow",
    "acos",
    "asin",
    "acosh",
    "atanh",
    "tan",
    "lgamma",
    "digamma",
    "logit",
    "_softmax",
    "_log_softmax",
    "linalg_vector_norm",
    "norm",
    "std",
    "var",
    "xlogy",
    "atan2",
    "remainder",
    "fmod",
}  # fmt: skip: In the order in which they are believed.
RULES: tuple[tuple[str, Callable[[Scene], Iterator[str]]], ...] = (
    ("the batch", _data),
    ("the given weights", _given_state),
    ("reduced precision", _precision),
    ("domain error", _domain),
    ("unscaled input", _unscaled),
    ("initialisation", _initialisation),
    ("learning rate", _learning_rate),
)
