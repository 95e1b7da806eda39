"""Whether code makes the elements of a tensor differ below a place: `w += x`, `w[i] = 1`, `w.mul_(x)`, `fc.weight = x`.

One number for all of them (`w.mul_(0.01)`, `w.zero_()`) leaves a constant constant, and a step down the gradient
(`w -= 0.1 * w.grad`) gives equal rows equal steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import number
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.walk import Tree

_SWITCHING: Final = words("requires_grad_ detach_ share_memory_ retain_grad")
# What numbers alone make differ from element to element.
_DIFFERING: Final = words(
    "bernoulli_ cauchy_ exponential_ fill_diagonal_ geometric_ log_normal_ normal_ random_ tril_ triu_ uniform_"
)


def is_changed_below(tensor: cst.BaseExpression, place: cst.CSTNode, tree: Tree, names: Names) -> bool:
    """Whether a later statement of the same block makes a tensor's elements differ, by the text that names it.

    What stands below a condition may concern another layer: it does not count.
    """
    wanted = _without_data(tensor)
    statement = tree.statement(place)
    block = tree.parent(statement) if statement is not None else None
    if not isinstance(block, (cst.IndentedBlock, cst.Module)):
        return False
    body = list(block.body)
    later = [each for each in body[body.index(statement) + 1 :] if not isinstance(each, cst.If)]  # type: ignore[arg-type]
    changed = (one for each in later for one in (*_assigned(each, tree, names), *_filled(each, tree, names)))
    return any(_without_data(one).deep_equals(wanted) for one in changed)


def _assigned(around: cst.CSTNode, tree: Tree, names: Names) -> Iterator[cst.BaseExpression]:
    for node in tree.below(around, cst.AssignTarget, cst.AugAssign):
        assert isinstance(node, (cst.AssignTarget, cst.AugAssign))
        in_part = isinstance(node.target, cst.Subscript)
        by_number = isinstance(node, cst.AugAssign) and number(node.value, names) is not None
        if (in_part or not by_number) and not _descends(node, tree):
            yield node.target.value if isinstance(node.target, cst.Subscript) else node.target


def _filled(around: cst.CSTNode, tree: Tree, names: Names) -> Iterator[cst.BaseExpression]:
    """The receivers of methods that work in place, of which those of `init` are none: the tensor is their argument."""
    for call in tree.below(around, cst.Call):
        method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
        if not method.endswith("_") or method in _SWITCHING or _descends(call, tree):
            continue
        alike = all(number(given.value, names) is not None for given in call.args)
        if isinstance(call.func, cst.Attribute) and (method in _DIFFERING or not alike):
            yield call.func.value


def _descends(node: cst.CSTNode, tree: Tree) -> bool:
    """Whether a statement reads a gradient."""
    above = tree.enclosing(node, cst.SimpleStatementLine)
    reads = tree.below(above, cst.Attribute) if above is not None else ()
    return any(read.attr.value == "grad" for read in reads)


def _without_data(tensor: cst.BaseExpression) -> cst.BaseExpression:
    return tensor.value if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data" else tensor
