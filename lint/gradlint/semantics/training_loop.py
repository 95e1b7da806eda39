"""Training loops: what happens to gradients in each round, in which order, with helpers written in their place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.training_events import Event, EventKind, TrainingEvents
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.optimizers import Optimizers
    from gradlint.semantics.project import ProjectIndex
    from gradlint.semantics.receiver_places import ReceiverPlace
    from gradlint.walk import Tree

# Packages that zero, scale or clip for the user, or wrap the optimizer in something that does.
_FRAMEWORKS: Final = words(
    "pytorch_lightning lightning lightning_fabric accelerate deepspeed colossalai composer fastai catalyst ignite"
    " torchbearer poutyne skorch fairscale apex mmcv mmengine torch_xla habana_frameworks opacus"
)


@dataclass(frozen=True, eq=False)
class Round:
    """What runs once a round: the body of a loop, or of a function that a loop may call. Events are in order.

    After the last event of a round comes the first of the next one.
    """

    node: cst.For | cst.While | cst.FunctionDef
    events: tuple[Event, ...]

    @property
    def own(self) -> tuple[Event, ...]:
        """The events that stand in the round itself: in no helper and no inner loop."""
        return tuple(event for event in self.events if event.via is None and not _in_loop(event))

    def after(self, event: Event) -> Iterator[tuple[Event, bool]]:
        """The events that may follow one, nearest first, each with whether it is one of the next round."""
        index = self.events.index(event)
        yield from ((each, False) for each in self.events[index + 1 :] if not each.excludes(event))
        yield from ((each, True) for each in self.events[:index])

    def before(self, event: Event) -> Iterator[tuple[Event, bool]]:
        """The events that may precede one, nearest first, each with whether it is one of the round before."""
        index = self.events.index(event)
        yield from ((each, False) for each in reversed(self.events[:index]) if not each.excludes(event))
        yield from ((each, True) for each in reversed(self.events[index + 1 :]))

    def only_step(self) -> Event | None:
        """The step of the round, where all steps are of one optimizer."""
        steps = [event for event in self.events if event.kind is EventKind.STEP]
        return steps[0] if len({event.place for event in steps}) == 1 else None


def _in_loop(event: Event) -> bool:
    return any(isinstance(node, (cst.For, cst.While)) for node, _ in event.arms)


class TrainingLoops:
    """Answers for one file."""

    def __init__(
        self, tree: Tree, names: Names, calls: LocalCalls, optimizers: Optimizers, project: ProjectIndex
    ) -> None:
        self._tree, self._names = tree, names
        self.optimizers = optimizers
        self._events = TrainingEvents(names, calls, optimizers, project)

    @cached_property
    def has_framework(self) -> bool:
        """Whether the file imports a package that zeroes, scales or clips for the user."""
        imported = (
            binding.target
            for scope in {self._names.scopes.of(node) for node in self._imports()}
            for several in scope.bindings.values()
            for binding in several
            if binding.kind is BindingKind.IMPORT
        )
        return any((target or "").partition(".")[0] in _FRAMEWORKS for target in imported)

    def _imports(self) -> Iterator[cst.CSTNode]:
        yield from self._tree.nodes(cst.Import)
        yield from self._tree.nodes(cst.ImportFrom)

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """The loops and functions with an event, in text order of their kinds."""
        nodes: list[cst.For | cst.While | cst.FunctionDef] = [
            *self._tree.nodes(cst.For),
            *self._tree.nodes(cst.While),
            *self._tree.nodes(cst.FunctionDef),
        ]
        found = (Round(node, self._events.of(node.body)) for node in nodes)
        return tuple(each for each in found if each.events)

    @cached_property
    def loops(self) -> tuple[Round, ...]:
        """Only the loops."""
        return tuple(each for each in self.rounds if not isinstance(each.node, cst.FunctionDef))

    def events(self, kind: EventKind) -> Iterator[tuple[Event, Round]]:
        """Every event of a kind with the round it belongs to; none where a framework runs the loop."""
        for each in () if self.has_framework else self.rounds:
            for event in each.own:
                if event.kind is kind:
                    yield event, each

    def around(self, loop: Round) -> list[Round]:
        """The loops around a loop within its function, nearest first."""
        found: list[Round] = []
        for above in self._tree.ancestors(loop.node):
            if isinstance(above, (cst.FunctionDef, cst.ClassDef)):
                break
            found += [each for each in self.loops if each.node is above]
        return found


def concerns(event: Event, step: Event) -> bool | None:
    """Whether an event is about the parameters that a step updates; None where that cannot be known."""
    if event.place is not None and event.place == step.place:
        return True
    if event.modules is None or step.modules is None:
        return None
    return any(_overlap(one, other) for one in event.modules for other in step.modules)


def _overlap(one: ReceiverPlace, other: ReceiverPlace) -> bool:
    return one.under(other) or other.under(one)
