"""What a receiver is, whatever it is called where: `self.opt` in two methods, `opt` in a helper that was given it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.names import Names
    from gradlint.scopes import Scope
    from gradlint.semantics.local_calls import LocalCalls


@dataclass(frozen=True)
class ReceiverPlace:
    """A variable or an attribute: the scope or class that holds it, and the way from there."""

    owner: Scope | cst.ClassDef
    path: str

    @property
    def last(self) -> str:
        """The last name of the way: `opt` of `self.trainer.opt`."""
        return self.path.rpartition(".")[2]

    def under(self, other: ReceiverPlace) -> bool:
        """Whether it is the other, or a part of it: `self.net.encoder` of `self.net`."""
        same = self.path == other.path or self.path.startswith((f"{other.path}.", f"{other.path}["))
        return self.owner is other.owner and (same or not other.path)


Known = dict[tuple["Scope", str], ReceiverPlace]


def place_of(
    value: cst.CSTNode | None, names: Names, known: Mapping[tuple[Scope, str], ReceiverPlace]
) -> ReceiverPlace | None:
    """The place of an expression; None for a call's value. `known` says what the parameters of a helper were given."""
    if isinstance(value, cst.Name):
        scope = names.reference(value).scope or names.scopes.module
        if (scope, value.value) in known:
            return known[scope, value.value]
        own = names.self_class(value)
        return ReceiverPlace(own, "") if own is not None else ReceiverPlace(scope, value.value)
    if isinstance(value, cst.Attribute):
        base = place_of(value.value, names, known)
        return base and ReceiverPlace(base.owner, f"{base.path}.{value.attr.value}".lstrip("."))
    if isinstance(value, cst.Subscript) and len(value.slice) == 1:
        base = place_of(value.value, names, known)
        index = value.slice[0].slice
        key = constant(index.value, names) if isinstance(index, cst.Index) else None
        return ReceiverPlace(base.owner, f"{base.path}[{key!r}]") if base and isinstance(key, (int, str)) else None
    return None


def inside(call: cst.Call, function: cst.FunctionDef, names: Names, calls: LocalCalls, known: Known) -> Known:
    """The places of a helper's parameters, and of its `self`, when a call runs it."""
    scope = names.scopes.inside(function)
    found: Known = {}
    for name, value in calls.arguments(call, function).items():
        place = place_of(value, names, known)
        if place is not None:
            found[scope, name] = place
    first = next(iter((*function.params.posonly_params, *function.params.params)), None)
    if first is not None and isinstance(call.func, cst.Attribute) and names.self_class(first.name) is None:
        receiver = place_of(call.func.value, names, known)
        if receiver is not None and (scope, first.name.value) not in found:
            found[scope, first.name.value] = receiver
    return found
