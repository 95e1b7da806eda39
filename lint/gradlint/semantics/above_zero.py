"""Values that are zero with no weights that training reaches: exponentials, and sums that have fresh noise in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import number
from gradlint.semantics.elementwise import applied
from gradlint.semantics.reaching import reaching_value
from gradlint.semantics.untrained import Untrained
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.walk import Tree

_NOISE: Final = words("normal rand rand_like randn randn_like")  # of torch, or a class's own with a generator
_DEEPEST: Final = 12


class AboveZero:
    """Answers for one file; false where it cannot be known."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names = tree, names
        self._untrained = Untrained(tree, names, classes)

    def holds(self, value: cst.CSTNode | None, depth: int = 0) -> bool:
        """Whether a value is an exponential, or a product, quotient or sum of positive ones.

        What is not trained may scale or mask it: `exp(w) * mask + w * (1 - mask)`. A difference may be zero.
        """
        if isinstance(value, cst.Name):
            known = reaching_value(value, self._tree, self._names) if depth < _DEEPEST else None
            return self.holds(known, depth + 1)
        if not isinstance(value, cst.BinaryOperation):
            return value is not None and applied(value, "exp", self._names) is not None
        sides = ((value.left, value.right), (value.right, value.left))
        if isinstance(value.operator, cst.Divide):
            return self.holds(value.left, depth)
        if isinstance(value.operator, cst.Multiply):
            return any(self.holds(one, depth) and self._keeps(other, depth) for one, other in sides)
        is_sum = isinstance(value.operator, cst.Add)
        return is_sum and any(self.holds(one, depth) and self._adds(other, depth) for one, other in sides)

    def _keeps(self, factor: cst.BaseExpression, depth: int) -> bool:
        return self._untrained.holds(factor) or self.holds(factor, depth)

    def _adds(self, value: cst.BaseExpression, depth: int) -> bool:
        """Whether a value takes nothing from a positive one: positive too, or masked to where that is not."""
        if (number(value, self._names) or -1) > 0 or self.holds(value, depth):
            return True
        if not isinstance(value, cst.BinaryOperation) or not isinstance(value.operator, cst.Multiply):
            return False
        return any(map(self._untrained.holds, (value.left, value.right)))

    def is_noisy(self, value: cst.BaseExpression) -> bool:
        """Whether fresh noise is a term of a value, or of the variable that it is."""
        known = reaching_value(value, self._tree, self._names) if isinstance(value, cst.Name) else value
        if isinstance(known, cst.BinaryOperation):
            sides = ((known.left, known.right), (known.right, known.left))
            if isinstance(known.operator, (cst.Add, cst.Subtract)):
                return any(map(self.is_noisy, sides[0]))
            return any(self.is_noisy(one) and self._untrained.holds(other) for one, other in sides)
        while isinstance(known, cst.Call):
            method = known.func if isinstance(known.func, cst.Attribute) else None
            if (self._names.full_name(known.func) or "").rpartition(".")[2] in _NOISE:
                return True
            if method is not None and method.attr.value in _NOISE:
                return True
            known = method.value if method is not None else None
        return False
