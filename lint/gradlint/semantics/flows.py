"""Flows: the links that a value has passed, in order; an empty flow is the input itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable

Links = tuple[Link, ...]
LONGEST = 1000  # links of one chain that are still followed; what is longer is opaque from there


def opaque(node: cst.CSTNode) -> Links:
    """One link of which nothing is known."""
    return (Link(LinkKind.OPAQUE, node),)


def through(flow: Links, *links: Link) -> Links:
    """The flow after further links."""
    longer = (*flow, *links)
    return longer if len(longer) <= LONGEST else (*longer[:LONGEST], *opaque(longer[-1].node))


def shared(one: Links, other: Links) -> int:
    """How many links two flows have in common from the start."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left is not right:
            break
        count += 1
    return count


def has_opaque(links: Iterable[Link]) -> bool:
    """Whether anything in it is unknown."""
    return any(link.kind is LinkKind.OPAQUE for link in links)


def summed(one: Links, other: Links, node: cst.CSTNode) -> Links | None:
    """The flow of a sum of two values of one origin; None where they have none in common.

    When one term is an earlier value of the other, it is a skip connection around the links since then.
    """
    fork = shared(one, other)
    unknown_origin = fork == 0 and (has_opaque(one[:1]) or has_opaque(other[:1]))
    if unknown_origin or has_opaque((*one[fork:], *other[fork:])):
        return None
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    skips = len(shorter) == fork
    around = tuple(link.again(bypassed=True) for link in longer[fork:]) if skips else longer[fork:]
    return through((*longer[:fork], *around), Link(LinkKind.RESIDUAL, node))


def maximal(flows: Iterable[Links]) -> tuple[Links, ...]:
    """The flows that hold anything known and are no beginning of another, longest first."""
    found: list[Links] = []
    for flow in sorted(flows, key=len, reverse=True):
        known = any(link.kind is not LinkKind.OPAQUE for link in flow)
        if known and not any(shared(flow, longer) == len(flow) for longer in found):
            found.append(flow)
    return tuple(found)


def operands(value: cst.CSTNode) -> list[cst.CSTNode]:
    """The expressions whose values go into an expression that is not followed itself."""
    if isinstance(value, cst.BinaryOperation):
        return [value.left, value.right]
    if isinstance(value, cst.UnaryOperation):
        return [value.expression]
    if isinstance(value, (cst.Tuple, cst.List)):
        return [element.value for element in value.elements]
    return [value.body, value.orelse] if isinstance(value, cst.IfExp) else []
