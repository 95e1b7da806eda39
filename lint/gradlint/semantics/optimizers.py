"""Optimizers and gradient scalers: which values are one, how sure that is, and whose parameters one steps."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.layer_values import argument
from gradlint.semantics.receiver_places import place_of
from gradlint.walk import walk
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.origins import Origins
    from gradlint.semantics.receiver_places import Known, ReceiverPlace

_NAMED: Final = re.compile(r"(?:^|_)(?:optim(?:izer)?s?|opt)(?:_|\d|[A-Z]|$)|[a-z](?:Optimizer|Optim|Opt)(?:_|\d|$)")
_SCHEDULING: Final = re.compile(r"sched|lr_|warmup|(?:^|_)ema(?:_|$)|swa", re.IGNORECASE)
_SCALERS: Final = words(
    "torch.GradScaler torch.amp.GradScaler torch.cuda.amp.GradScaler torch.amp.grad_scaler.GradScaler"
    " torch.cuda.amp.grad_scaler.GradScaler"
)


class Sure(IntEnum):
    """How sure it is that a value is one of torch's optimizers."""

    NO = 0
    NAMED = 1  # called so; it may be a class of someone's own
    GIVEN = 2  # a parameter called so, which no call of the file contradicts
    KNOWN = 3  # made by `torch.optim`, or annotated so


class Optimizers:
    """Answers for one file."""

    def __init__(self, names: Names, origins: Origins) -> None:
        self._names, self._origins = names, origins

    def sure(self, value: cst.BaseExpression | None) -> Sure:
        """How sure it is that a value is an optimizer."""
        if value is None:
            return Sure.NO
        made = self._origins.of(value)
        if made:
            names = [self._names.full_name(each.func) if isinstance(each, cst.Call) else None for each in made]
            if all(map(_is_torch, names)):
                return Sure.KNOWN
            if any(name is not None and name.startswith("torch.optim.lr_scheduler") for name in names):
                return Sure.NO
        if self._is_annotated(value):
            return Sure.KNOWN
        last = _last(value)
        if not _NAMED.search(last) or _SCHEDULING.search(last):
            return Sure.NO
        return Sure.GIVEN if not made and self._is_parameter(value) else Sure.NAMED

    def is_scaler(self, value: cst.BaseExpression | None) -> bool:
        """Whether a value is a gradient scaler: made by torch, or called so where its making is not seen."""
        made = self._origins.of(value)
        if made:
            return all(isinstance(each, cst.Call) and self._names.full_name(each.func) in _SCALERS for each in made)
        return value is not None and "scaler" in _last(value).lower()

    def scaler_call(self, value: cst.BaseExpression | None) -> cst.Call | None:
        """The call that makes a scaler, where there is one."""
        made = self._origins.of(value)
        return made[0] if len(made) == 1 and isinstance(made[0], cst.Call) else None

    def is_scheduler(self, value: cst.BaseExpression) -> bool:
        """Whether a value steps a learning rate and no parameters."""
        made = self._origins.made_by(value) or ""
        return made.startswith("torch.optim.lr_scheduler.") or _SCHEDULING.search(_last(value)) is not None

    def construction(self, value: cst.BaseExpression) -> cst.Call | None:
        """The one call of `torch.optim` that makes an optimizer."""
        made = self._origins.of(value)
        one = made[0] if len(made) == 1 else None
        return one if isinstance(one, cst.Call) and _is_torch(self._names.full_name(one.func)) else None

    def owned(self, value: cst.BaseExpression, known: Known) -> frozenset[ReceiverPlace] | None:
        """The modules whose parameters an optimizer steps; None where that cannot be known."""
        made = self.construction(value)
        given = argument(made, 0, "params") if made is not None else None
        return self.modules_of(given, known)

    def modules_of(self, parameters: cst.BaseExpression | None, known: Known) -> frozenset[ReceiverPlace] | None:
        """The modules behind `a.parameters()`, `[*a.parameters(), *b.parameters()]`, `chain(...)` and the like."""
        if parameters is None:
            return None
        if isinstance(parameters, cst.Name):
            several = self._origins.of(parameters)
            if len(several) == 1 and several[0] is not parameters:
                return self.modules_of(several[0], {})
        calls = [node for node in walk(parameters) if isinstance(node, cst.Call)]
        asked = [
            node.func.value
            for node in calls
            if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("parameters", "named_parameters")
        ]
        places = [place_of(each, self._names, known) for each in asked]
        found = frozenset(place for place in places if place is not None)
        return found if found and None not in places else None

    def _is_parameter(self, value: cst.BaseExpression) -> bool:
        bindings = self._names.reference(value).bindings if isinstance(value, cst.Name) else ()
        return bool(bindings) and all(each.kind is BindingKind.PARAMETER for each in bindings)

    def _is_annotated(self, value: cst.BaseExpression) -> bool:
        binding = self._names.reference(value).binding if isinstance(value, cst.Name) else None
        told = binding.node.annotation if binding is not None and isinstance(binding.node, cst.Param) else None
        return told is not None and _is_torch(self._names.full_name(told.annotation))


def _is_torch(name: str | None) -> bool:
    module, _, short = (name or "").rpartition(".")
    return module == "torch.optim" and short[:1].isupper()


def _last(value: cst.BaseExpression) -> str:
    while isinstance(value, cst.Subscript):
        value = value.value
    if isinstance(value, cst.Attribute):
        return value.attr.value
    return value.value if isinstance(value, cst.Name) else ""
