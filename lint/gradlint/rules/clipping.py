"""What the rules about clipping share: whether a call clips at all, and how tightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import UNKNOWN, constant, number
from gradlint.semantics.layer_values import argument
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.rule import Context

_HUGE = 1e6


def bound_of(clip: cst.Call) -> cst.BaseExpression | None:
    """The largest norm or value that a clipping allows."""
    return argument(clip, 1, "max_norm") or argument(clip, 1, "clip_value")


def is_measuring(clip: cst.Call, ctx: Context) -> bool:
    """Whether the bound is so large, or infinite, that the call is made for the norm it returns."""
    bound = bound_of(clip)
    value = number(bound, ctx.names)
    if bound is None or value is not None:
        return bound is None or value is None or value >= _HUGE
    text = ctx.code(bound).lower()
    return "inf" in text and constant(bound, ctx.names) is UNKNOWN


def mentions_scale(clip: cst.Call) -> bool:
    """Whether the bound is computed with the scale of a gradient scaler."""
    bound = bound_of(clip)
    names = [node.value for node in walk(bound) if isinstance(node, cst.Name)] if bound is not None else []
    return any("scale" in name.lower() for name in names)
