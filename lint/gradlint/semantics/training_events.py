"""What happens to gradients in a stretch of code, in order, with what the file's own helpers do in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.gradient_words import TOUCHING
from gradlint.semantics.receiver_places import inside, place_of
from gradlint.walk import children, walk
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradlint.names import Names
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.optimizers import Optimizers
    from gradlint.semantics.project import ProjectIndex
    from gradlint.semantics.receiver_places import Known, ReceiverPlace

_DEEPEST: Final = 4
_MOST: Final = 300  # events of one stretch that are still followed
_CLIPS: Final = words("torch.nn.utils.clip_grad_norm_ torch.nn.utils.clip_grad_value_ torch.nn.utils.clip_grad_norm")
# Receivers of a `backward(loss)` that do more than differentiate, and words of helpers that may touch gradients.
_ENGINES: Final = words("self accelerator fabric engine model_engine trainer amp manager strategy plugin booster")
_ACTING: Final = frozenset({cst.Call, cst.AssignTarget, cst.AugAssign, cst.AnnAssign})
_HARMLESS: Final = words(
    "train eval parameters named_parameters state_dict item detach cpu cuda to append format write add_scalar size"
    " requires_grad_ update set_postfix set_description log info print get_last_lr get_lr get_scale param_groups"
    " set_epoch named_modules modules load_state_dict"
)


Arms = tuple[tuple[cst.CSTNode, int], ...]
Through = tuple[cst.FunctionDef, ...]


class EventKind(str, Enum):
    """What a call does."""

    ZERO = "zero"
    BACKWARD = "backward"
    UNSCALE = "unscale"
    CLIP = "clip"
    STEP = "step"
    OPAQUE = "opaque"  # it may do any of these


@dataclass(frozen=True, eq=False)
class Event:
    """One call. `receiver` is the optimizer, or the module that is zeroed, and `place` where that is kept.

    `arms` are the branches and inner loops around it within the stretch; `via` is the call of the helper that it
    stands in, None when it stands in the stretch itself. `scaler` is the receiver of a scaled backward or step.
    """

    kind: EventKind
    call: cst.CSTNode
    receiver: cst.BaseExpression | None = None
    place: ReceiverPlace | None = None
    modules: frozenset[ReceiverPlace] | None = None
    scaler: cst.BaseExpression | None = None
    arms: Arms = ()
    via: cst.Call | None = None

    def excludes(self, other: Event) -> bool:
        """Whether the two stand in different branches of one statement."""
        mine = dict(self.arms)
        return any(node in mine and mine[node] != arm for node, arm in other.arms)

    def always_with(self, other: Event) -> bool:
        """Whether it happens whenever the other does."""
        return self.arms == other.arms[: len(self.arms)]


class TrainingEvents:
    """Reads the events of suites of one file."""

    def __init__(self, names: Names, calls: LocalCalls, optimizers: Optimizers, project: ProjectIndex) -> None:
        self._names, self._calls, self._optimizers, self._project = names, calls, optimizers, project
        self._quiet: dict[cst.FunctionDef, bool] = {}
        self._acting: dict[cst.CSTNode, list[cst.CSTNode]] = {}

    def of(self, suite: cst.BaseSuite) -> tuple[Event, ...]:
        """The events of a suite in the order they happen."""
        return tuple(islice(self._suite(suite.body, (), {}, ()), _MOST))

    def _is_quiet(self, function: cst.FunctionDef) -> bool:
        """Whether a helper does nothing to gradients; a generator's body does not run where it is called."""
        if function not in self._quiet:
            self._quiet[function] = True  # the answer while it asks for itself
            is_generator = any(isinstance(node, cst.Yield) for node in walk(function.body))
            first = next(self._suite(function.body.body, (), {}, (function,)), None)
            self._quiet[function] = is_generator or first is None
        return self._quiet[function]

    def _suite(self, statements: Iterable[cst.CSTNode], arms: Arms, known: Known, through: Through) -> Iterator[Event]:
        for statement in statements:
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
                continue
            if not isinstance(statement, cst.BaseCompoundStatement):
                yield from self._flat(statement, arms, known, through)
                continue
            for index, part in enumerate(_parts(statement)):
                if not isinstance(part, cst.BaseSuite):
                    yield from self._flat(part, arms, known, through)
                    continue
                sure = isinstance(statement, cst.With) or (
                    part is getattr(statement, "body", None) and _is_try(statement)
                )
                yield from self._suite(part.body, arms if sure else (*arms, (statement, index)), known, through)

    def _flat(self, node: cst.CSTNode, arms: Arms, known: Known, through: Through) -> Iterator[Event]:
        if node not in self._acting:
            self._acting[node] = _acting(node)
        for found in self._acting[node]:
            if _sets_grad(found):
                yield Event(EventKind.OPAQUE, found, arms=arms)
            elif isinstance(found, cst.Call):
                yield from self._call(found, arms, known, through)

    def _call(self, call: cst.Call, arms: Arms, known: Known, through: Through) -> Iterator[Event]:
        event = self._event(call, known)
        if event is not None:
            if event.kind is EventKind.STEP:
                yield from self._closure(call, arms, known, through)
            yield replace(event, arms=arms)
            return
        function = self._calls.target(call)
        elsewhere = self._elsewhere(call) if function is None else None
        if elsewhere is not None:
            yield from (replace(each, arms=arms) for each in self._told(elsewhere, call, known))
            return
        if function is None or function in through or len(through) >= _DEEPEST:
            if self._may_touch(call) or function is not None:
                yield Event(EventKind.OPAQUE, call, arms=arms)
            return
        if self._is_quiet(function):
            return
        given = inside(call, function, self._names, self._calls, known)
        for inner in self._suite(function.body.body, arms, given, (*through, function)):
            yield replace(inner, via=call)

    def _elsewhere(self, call: cst.Call) -> tuple[str, ...] | None:
        """What a function of another file says of gradients; None where the call is of anything else."""
        name = self._names.full_name(call.func)
        return self._project.gradient_words(name) if name is not None else None

    def _told(self, said: tuple[str, ...], call: cst.Call, known: Known) -> Iterator[Event]:
        """The events of a function of another file: none, the zeroing of the one optimizer it is given, or opaque."""
        given = [each.value for each in call.args if self._optimizers.sure(each.value)]
        if said == ("zero_grad",) and len(given) == 1:
            yield self._of_receiver(EventKind.ZERO, call, given[0], known)
        elif said:
            yield Event(EventKind.OPAQUE, call)

    def _closure(self, call: cst.Call, arms: Arms, known: Known, through: Through) -> Iterator[Event]:
        """What the function given to `step(closure)` does."""
        for given in call.args:
            binding = self._names.reference(given.value).binding if isinstance(given.value, cst.Name) else None
            function = binding.node if binding is not None else None
            if isinstance(function, cst.FunctionDef) and function not in through:
                for inner in self._suite(function.body.body, arms, known, (*through, function)):
                    yield replace(inner, via=call)
            elif not self._optimizers.sure(given.value):
                yield Event(EventKind.OPAQUE, call, arms=arms)

    def _event(self, call: cst.Call, known: Known) -> Event | None:
        name = self._names.full_name(call.func)
        if name in _CLIPS:
            clipped = call.args[0].value if call.args else None
            return Event(EventKind.CLIP, call, modules=self._optimizers.modules_of(clipped, known))
        if name == "torch.autograd.backward":
            return Event(EventKind.BACKWARD, call)
        if not isinstance(call.func, cst.Attribute):
            return None
        method, receiver = call.func.attr.value, call.func.value
        first = call.args[0].value if call.args else None
        if method == "zero_grad":
            return self._of_receiver(EventKind.ZERO, call, receiver, known)
        if method == "backward":
            return self._backward(call, receiver)
        if method == "unscale_" and first is not None:
            return self._of_receiver(EventKind.UNSCALE, call, first, known)
        return self._step(call, receiver, first, known) if method == "step" else None

    def _backward(self, call: cst.Call, receiver: cst.BaseExpression) -> Event:
        last = _last(receiver)
        given = [each for each in call.args if each.keyword is None or each.keyword.value == "inputs"]
        is_engine = last in _ENGINES or self._names.full_name(receiver) is not None
        if is_engine or any(each.keyword is not None for each in given) or self._optimizers.sure(receiver):
            return Event(EventKind.OPAQUE, call)
        made = self._names.value_at(receiver) if isinstance(receiver, cst.Name) else receiver
        scaled = isinstance(made, cst.Call) and isinstance(made.func, cst.Attribute) and made.func.attr.value == "scale"
        scaler = made.func.value if scaled else None  # type: ignore[union-attr]
        return Event(EventKind.BACKWARD, call, receiver, scaler=scaler)

    def _step(
        self, call: cst.Call, receiver: cst.BaseExpression, first: cst.BaseExpression | None, known: Known
    ) -> Event | None:
        if self._optimizers.is_scaler(receiver) and first is not None:
            event = self._of_receiver(EventKind.STEP, call, first, known)
            return event and replace(event, scaler=receiver)
        if self._optimizers.sure(receiver):
            return self._of_receiver(EventKind.STEP, call, receiver, known)
        return None if self._optimizers.is_scheduler(receiver) or call.args else Event(EventKind.OPAQUE, call)

    def _of_receiver(self, kind: EventKind, call: cst.Call, receiver: cst.BaseExpression, known: Known) -> Event:
        place = place_of(receiver, self._names, known)
        if place is None:
            return Event(EventKind.OPAQUE, call)
        owned = self._optimizers.owned(receiver, known) if self._optimizers.sure(receiver) else frozenset({place})
        return Event(kind, call, receiver, place, owned)

    def _may_touch(self, call: cst.Call) -> bool:
        """Whether an unknown function may touch gradients: by its name, or because it is given an optimizer or self."""
        name = _last(call.func)
        full = self._names.full_name(call.func) or ""
        if full.startswith(("torch.", "builtins.", "numpy.", "math.", "time.")) and "checkpoint" not in full:
            return False
        if name in _HARMLESS or (
            isinstance(call.func, cst.Attribute) and self._optimizers.is_scheduler(call.func.value)
        ):
            return False
        given = [each.value for each in call.args]
        if any(self._optimizers.sure(each) or self._names.self_class(each) is not None for each in given):
            return True
        return self._calls.is_unknown_method(call) or TOUCHING.search(name) is not None


def _parts(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The expressions and suites of a compound statement in order; the arms of an `elif` are arms of the first `if`."""
    waiting = children(statement)
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, cst.If):
            waiting = children(part)
        elif isinstance(part, (cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
            yield part.body
        else:
            yield part


def _is_try(statement: cst.CSTNode) -> bool:
    return isinstance(statement, (cst.Try, cst.TryStar))


def _acting(root: cst.CSTNode) -> list[cst.CSTNode]:
    """The calls and assignments below in the order they are evaluated, without the bodies of lambdas."""
    found: list[cst.CSTNode] = []
    lambdas: list[cst.Lambda] = []
    for node in walk(root, children_first=True):
        kind = type(node)  # exact: isinstance of libcst's abstract classes is the cost of this loop
        if kind in _ACTING:
            found.append(node)
        elif kind is cst.Lambda:
            lambdas.append(node)  # type: ignore[arg-type]
    later = {inner for each in lambdas for inner in walk(each.body)}
    return [node for node in found if node not in later]


def _sets_grad(node: cst.CSTNode) -> bool:
    """`p.grad = ...`, `p.grad *= 2`, `p.grad.zero_()`, `p.grad.data.mul_(2)`."""
    if isinstance(node, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)):
        return _is_grad(node.target)
    is_method = isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
    in_place = is_method and node.func.attr.value.endswith("_") and not node.func.attr.value.startswith("_")  # type: ignore[attr-defined]
    return in_place and _is_grad(node.func.value)  # type: ignore[attr-defined]


def _is_grad(value: cst.BaseExpression) -> bool:
    while isinstance(value, (cst.Attribute, cst.Subscript)):
        if isinstance(value, cst.Attribute) and value.attr.value == "grad":
            return True
        value = value.value
    return False


def _last(value: cst.BaseExpression) -> str:
    if isinstance(value, cst.Attribute):
        return value.attr.value
    return value.value if isinstance(value, cst.Name) else ""
