"""Does a custom Function under `torch.vmap` give what a loop gives, gradients too?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from pytest_gradcheck.checks.agree import attempt, pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects.application import Application, applied, flat

#: Points in the batch: a rule that mixes up the batch with an axis of the input should meet another size.
BATCH = 3
#: Arguments that are batched alone, the others not.
MOST = 4
#: How far apart the points are, relative to their values: near enough to stay in any domain.
SPREAD = 0.01


class VmapRule:
    """Batches all inputs along their first axis, then along their last, then each input alone (`in_dims` None else).

    Cost: three forwards and backwards a way of batching (up to six ways), and one each vmapped.
    """

    name = "vmap"

    def run(self, context: Context) -> Outcome:
        """Findings where vmap raises or differs, on Functions with `generate_vmap_rule` or a `vmap` of their own."""
        function = context.subject.function
        claims = function is not None and (
            getattr(function, "generate_vmap_rule", False) or function.vmap is not torch.autograd.Function.vmap
        )
        application = applied(context.subject, context.baseline) if claims else None
        if application is None or not application.positions() or not context.finite:
            return Outcome()
        outcome = Outcome()
        for said, dims in _ways(application):
            if context.deadline.passed or outcome.findings:
                break
            outcome.findings += _compared(context, application, said, dims)
        return outcome


def _ways(application: Application) -> Iterator[tuple[str, dict[int, int]]]:
    """How to batch: in words, and the batch axis by position of the argument."""
    positions = list(application.positions())
    yield "all inputs batched along axis 0", dict.fromkeys(positions, 0)
    yield "all inputs batched along their last axis", dict.fromkeys(positions, -1)
    if len(positions) > 1:
        for position in positions[:MOST]:
            yield f"only input {position} batched", {position: 0}


def _compared(context: Context, application: Application, said: str, dims: dict[int, int]) -> list[Finding]:
    fresh, leaves = application.requiring()
    by_position = dict(zip(application.positions(), leaves, strict=True))
    batches = {p: _batch(by_position[p].detach(), axis).requires_grad_(True) for p, axis in dims.items()}
    expected = _loop(context, application, fresh, batches, dims)
    if expected is None:
        return []
    vmapped, raised = attempt(
        "vmap", f"vmap raises with {said}", lambda: _vmapped(context, application, fresh, batches, dims)
    )
    if vmapped is None:
        return raised
    pairs = list(zip(expected, vmapped, strict=True))
    names = [f"output {k}" for k in range(len(context.baseline))] + [f"the gradient of input {p}" for p in dims]
    for name, (right, wrong) in zip(names, pairs, strict=True):
        difference = float((right - wrong).norm())
        bound = context.settings.bands[0] * float(right.norm() + wrong.norm())
        if right.shape != wrong.shape or (not difference <= bound and bool(right.isfinite().all())):
            how = f"shape {list(wrong.shape)} for {list(right.shape)}" if right.shape != wrong.shape else "other values"
            return [Finding("vmap", "error", f"under vmap with {said}, {name} differs from that of a loop: {how}")]
    return []


def _batch(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    # Whatever the axis is called, each point lies in memory as it would alone: layouts are another check's question.
    return torch.stack([tensor * (1 + SPREAD * k) for k in range(BATCH)]).movedim(0, axis)


Batches = dict[int, torch.Tensor]


def _loop(
    context: Context, application: Application, fresh: list[Any], batches: Batches, dims: dict[int, int]
) -> list[torch.Tensor] | None:
    """Outputs, stacked along axis 0, and gradients, from one call a point; None where a point has none."""
    try:
        rows = []
        for k in range(BATCH):
            inputs = list(fresh)
            for position, batch in batches.items():
                inputs[position] = batch.select(dims[position], k)
            rows.append(application(inputs))
        return _with_gradients(context, [torch.stack(column) for column in zip(*rows, strict=True)], batches)
    except Exception:  # noqa: BLE001  a neighbouring point may lie outside of the domain, or have other shapes
        return None


def _vmapped(
    context: Context, application: Application, fresh: list[Any], batches: Batches, dims: dict[int, int]
) -> list[torch.Tensor]:
    positions = list(batches)

    def call(*batched: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs = list(fresh)
        for position, tensor in zip(positions, batched, strict=True):
            inputs[position] = tensor
        return tuple(flat(application.function.apply(*inputs)))  # type: ignore[no-untyped-call]

    application.restart()
    over = tuple(dims[position] for position in positions)
    vmapped: Callable[..., Any] = torch.vmap(call, in_dims=over, randomness="same")
    with torch.enable_grad():
        outputs: Sequence[torch.Tensor] = vmapped(*batches.values())
    return _with_gradients(context, list(outputs), batches)


def _with_gradients(context: Context, outputs: list[torch.Tensor], batches: Batches) -> list[torch.Tensor]:
    weights = torch.arange(1, BATCH + 1)  # another cotangent for every point, so that mixed up points show
    cotangents = [
        torch.stack([weight * cotangent for weight in weights.to(cotangent.device)]) for cotangent in context.cotangents
    ]
    gradients = pull(list(batches.values()), outputs, cotangents)
    return [*(output.detach() for output in outputs), *gradients]
