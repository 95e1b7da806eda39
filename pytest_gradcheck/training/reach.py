"""Whether the loss depends on a layer that no gradient reaches: it was detached, and not merely left unused."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from pytest_gradcheck.training.layers import interesting, is_compiled, is_seen, weight_of
from pytest_gradcheck.training.numbers import total, values_of
from pytest_gradcheck.training.state import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from pytest_gradcheck.training.budget import Budget

#: Forwards that one search may take at most: the first of a thousand layers is found in half of them.
_MOST = 24
#: What the budget knows such a forward as.
_KIND = "reach"


@dataclass(frozen=True)
class Reach:
    """What was found out about layers that no gradient reached.

    Attributes:
        cut_off: Those whose output changes the loss, although it was computed with a gradient.
        fixed: Those that ran under no_grad, where all that is trained sees the batch only through them.
    """

    cut_off: list[str]
    fixed: list[str]


def unreached(model: nn.Module, reached: Container[int], wanted: Container[int] | None = None) -> list[str]:
    """Layers whose trainable weight got no gradient.

    Args:
        model: The model; where it was compiled, nothing is said, because its modules cannot be changed.
        reached: Identities of the parameters that got one.
        wanted: Identities of those that should have; None are all.
    """
    if any(map(is_compiled, model.modules())):
        return []
    weights = ((name, weight_of(module)) for name, module in interesting(model))
    return [
        name
        for name, weight in weights
        if weight is not None
        and weight.requires_grad
        and id(weight) not in reached
        and (wanted is None or id(weight) in wanted)
    ]


def reach(
    model: nn.Module, names: Sequence[str], loss: Callable[[], torch.Tensor], budget: Budget | None = None
) -> Reach:
    """Which of these layers are cut off, and which were run under no_grad by what looks like an accident.

    All are changed at once, so that a net that merely leaves layers unused costs two forwards; where the loss changes,
    halves are tried until the first layer is named, and further ones as long as the budget allows. Nothing is said of
    a loss that is not finite, that is another one without any change, or of a forward that bears no change. The model
    and the generators are left as they were.

    A head that the loss does not read changes nothing; a target network that runs under no_grad beside the net that is
    trained is meant to be fixed.

    Args:
        model: The model.
        names: Qualified names of layers that no gradient reached.
        loss: Computes the step's loss again.
        budget: What the forwards are charged to; None allows them all.
    """
    if not names:
        return Reach([], [])
    state = StepState(model, whole=True)
    state.take()
    try:
        return _Search(model, names, loss, budget, state).result()
    finally:
        state.restore()


class _Search:
    """Runs the loss again and again, with the outputs of some layers changed."""

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        loss: Callable[[], torch.Tensor],
        budget: Budget | None,
        state: StepState,
    ) -> None:
        self._model, self._names, self._loss, self._budget, self._state = model, names, loss, budget, state
        self._runs, self._named = 0, False
        self._plain = math.nan

    def result(self) -> Reach:
        with _inputs_given(self._model, self._names) as (before, fixed), contextlib.suppress(Exception):
            self._plain = self._value()
        if not math.isfinite(self._plain):
            return Reach([], [])
        found = list(self._among(self._names))
        alone = self._sees_only(fixed, before) if fixed else False
        if (found or alone) and not self._repeats(before):
            return Reach([], [])
        return Reach(found, fixed if alone else [])

    def _among(self, names: Sequence[str], known: bool = False) -> Iterator[str]:
        """Those of some layers that change the loss; `known` if it is known that together they do."""
        if not known and not self._differs(names):
            return
        if len(names) == 1:
            self._named = True
            yield names[0]
            return
        first, second = names[: len(names) // 2], names[len(names) // 2 :]
        found = list(self._among(first))
        yield from found
        yield from self._among(second, known=not found and len(second) > 1)

    def _differs(self, names: Sequence[str]) -> bool:
        spent = self._named and self._budget is not None and not self._budget.allows(_KIND)
        if spent or self._runs >= _MOST:
            return False
        with contextlib.ExitStack() as stack:
            seen = [stack.enter_context(_changed(self._model.get_submodule(name))) for name in names]
            differs = len(names) > 1  # a forward that does not bear so much of a change may bear a part of it
            with contextlib.suppress(Exception):
                differs = self._value() != self._plain
        return differs and any(seen)

    def _sees_only(self, fixed: Sequence[str], before: dict[str, list[float]]) -> bool:
        """Whether all that is trained is given something else once these layers put out something else."""
        with contextlib.ExitStack() as stack, contextlib.suppress(Exception):
            for name in fixed:
                stack.enter_context(_changed(self._model.get_submodule(name), with_grad=False))
            after, _ = stack.enter_context(_inputs_given(self._model, self._names))
            self._value()
            pairs = [pair for name in before for pair in zip(before[name], after.get(name, ()), strict=True)]
            return bool(pairs) and all(one != other and math.isfinite(one) for one, other in pairs)
        return False

    def _repeats(self, before: dict[str, list[float]]) -> bool:
        """Whether without any change everything is as it was: forwards that draw their own numbers are not."""
        with _inputs_given(self._model, self._names) as (again, _), contextlib.suppress(Exception):
            return self._value() == self._plain and again == before
        return False

    def _value(self) -> float:
        self._runs += 1
        with contextlib.nullcontext() if self._budget is None else self._budget.charge(_KIND):
            self._state.restore()
            return float(self._loss().detach())


@contextlib.contextmanager
def _inputs_given(model: nn.Module, unreached: Sequence[str]) -> Iterator[tuple[dict[str, list[float]], list[str]]]:
    """What modules with trained parameters are given that has no gradient; unreached layers that run under no_grad.

    What is given is told by its sum, one a call.
    """
    given: dict[str, list[float]] = {}
    fixed: dict[str, None] = {}
    lost = set(unreached)

    def look(name: str, inputs: Any) -> None:
        if not torch.is_grad_enabled():
            fixed.update({name: None} if name in lost else {})
        elif name not in lost:
            data = [leaf.detach() for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
            if not any(leaf.requires_grad for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)):
                given.setdefault(name, []).append(sum(map(_told, data)))

    handles = [
        module.register_forward_pre_hook(
            lambda _, args, kwargs, name=name: look(name, (args, kwargs)), with_kwargs=True
        )
        for name, module in model.named_modules()
        if any(item is not None and item.requires_grad for item in module._parameters.values())
    ]
    names: list[str] = []
    try:
        yield given, names
    finally:
        for handle in handles:
            handle.remove()
        names += fixed


@contextlib.contextmanager
def _changed(module: nn.Module, with_grad: bool = True) -> Iterator[list[bool]]:
    """Change what a module puts out, where a gradient could come back (or where not); empty if it never did."""
    seen: list[bool] = []

    def change(_: nn.Module, __: Any, output: Any) -> Any:
        if not is_seen(output) or output.requires_grad != with_grad:
            return None
        seen.append(True)
        ramp = torch.linspace(1, 2, output.numel(), device=output.device).to(output.dtype)
        return ramp.view_as(output) - 2 * output  # in another order too: what argmax reads has changed

    handle = module.register_forward_hook(change)
    try:
        yield seen
    finally:
        handle.remove()


def _told(tensor: torch.Tensor) -> float:
    return total(tensor) if tensor.is_floating_point() or tensor.is_complex() else float(values_of(tensor).sum())
