"""Whether code changes or replaces a tensor below a place: `w += x`, `w[i] = 1`, `w.data.mul_(x)`, `fc.weight = x`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.walk import Tree

_SWITCHING: Final = words("requires_grad_ detach_ share_memory_ retain_grad")


def is_changed_below(tensor: cst.BaseExpression, place: cst.CSTNode, tree: Tree) -> bool:
    """Whether a later statement of the same block changes or replaces a tensor, by the text that names it.

    What stands below a condition may concern another layer: it does not count.
    """
    wanted = _without_data(tensor)
    statement = tree.statement(place)
    block = tree.parent(statement) if statement is not None else None
    if not isinstance(block, (cst.IndentedBlock, cst.Module)):
        return False
    body = list(block.body)
    later = [each for each in body[body.index(statement) + 1 :] if not isinstance(each, cst.If)]  # type: ignore[arg-type]
    changed = (one for each in later for one in (*_assigned(each, tree), *_filled(each, tree)))
    return any(_without_data(one).deep_equals(wanted) for one in changed)


def _assigned(around: cst.CSTNode, tree: Tree) -> list[cst.BaseExpression]:
    targets = [target.target for target in tree.below(around, cst.AssignTarget)]
    targets += [augmented.target for augmented in tree.below(around, cst.AugAssign)]
    return [target.value if isinstance(target, cst.Subscript) else target for target in targets]


def _filled(around: cst.CSTNode, tree: Tree) -> list[cst.BaseExpression]:
    """The receivers of methods that work in place, of which those of `init` are none: the tensor is their argument."""
    calls = (call.func for call in tree.below(around, cst.Call))
    methods = [method for method in calls if isinstance(method, cst.Attribute)]
    return [each.value for each in methods if each.attr.value.endswith("_") and each.attr.value not in _SWITCHING]


def _without_data(tensor: cst.BaseExpression) -> cst.BaseExpression:
    return tensor.value if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data" else tensor
