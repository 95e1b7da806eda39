"""What a Function does to memory and state: mutation, globals, random numbers, references."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import LEAK, MUTATION, STATE, Fault, Spec, randn, restored


class _Global:
    """State that several faults share, as a module's global variable would be."""

    kept: Any = None


def _in_place(ctx: Any, g: Tensor) -> Any:
    (x,) = restored(ctx)
    return g.mul_(2 * x)


def _past_the_counter(ctx: Any, g: Tensor) -> Any:
    (x,) = restored(ctx)
    found = g * 2 * x
    g.data.zero_()
    return found


def _through_numpy(ctx: Any, g: Tensor) -> Any:
    (x,) = restored(ctx)
    found = g * 2 * x
    g.detach().numpy()[...] = 0
    return found


def _saved_scaled(ctx: Any, g: Tensor) -> Any:
    return ctx.twice.data.mul_(g)


def _input_zeroed(ctx: Any, g: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    found = 2 * x * g
    x.data.zero_()
    return found


def _forward_writes(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x.clone())
    ctx.others = (None,)
    found = x * x
    x.data.fill_(1.0)
    return found


def _forward_scales(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x.clone())
    ctx.others = (None,)
    found = x * x
    with torch.no_grad():
        x.mul_(2)
    return found


def _keeps_twice(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x)
    ctx.twice = 2 * x
    return x * x


def _global(ctx: Any, x: Tensor) -> Any:
    _Global.kept = x.detach().clone()
    return x * x


def _stacked(ctx: Any, x: Tensor) -> Any:
    _Global.kept = [*(_Global.kept if isinstance(_Global.kept, list) else [])[-1:], x.detach().clone()]
    return x * x


def _freed(ctx: Any, g: Tensor) -> Any:
    (x,) = ctx.saved_tensors
    twice, ctx.twice = ctx.twice, torch.zeros_like(ctx.twice)
    return g * twice + 0 * x


def _counted(ctx: Any, g: Tensor) -> Any:
    (x,) = restored(ctx)
    ctx.calls = getattr(ctx, "calls", 0) + 1
    return ctx.calls * 2 * x * g


def _deleted(ctx: Any, g: Tensor) -> Any:
    twice = ctx.twice
    del ctx.twice
    return g * twice


def _cycle(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x)
    ctx.others = (None,)
    ctx.output = x * x
    return ctx.output


def _cycle_in_a_list(ctx: Any, x: Tensor) -> Any:
    found = _cycle(ctx, x)
    del ctx.output
    ctx.results = {"y": [found]}
    return found


def _cycle_in_a_closure(ctx: Any, x: Tensor) -> Any:
    found = _cycle(ctx, x)
    del ctx.output
    ctx.later = lambda: found
    return found


def _hoards_outputs(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x)
    ctx.others = (None,)
    _Global.kept = x * x
    return _Global.kept


def _hoards(ctx: Any, x: Tensor) -> Any:
    ctx.save_for_backward(x)
    ctx.others = (None,)
    _Global.kept = x
    return x * x


def _dropout(ctx: Any, x: Tensor) -> Any:
    ctx.mask = torch.rand_like(x) > 0.5
    return x * ctx.mask


def _dropout_from_state(ctx: Any, x: Tensor) -> Any:
    _Global.kept = torch.get_rng_state()
    return x * (torch.rand_like(x) > 0.5)


def _redrawn_from_state(ctx: Any, g: Tensor) -> Any:
    torch.set_rng_state(_Global.kept)
    return g * (torch.rand_like(g) > 0.5)


def _relu_forward(ctx: Any, x: Tensor) -> Any:
    _Global.kept = x > 0
    return x.relu()


def _doubled(ctx: Any, x: Tensor) -> Any:
    ctx.mark_dirty(x)
    return x.mul_(2)


SPECS = (
    Spec(
        "SquareInMemory",
        lambda: (randn(3, 4),),
        lambda x: x * x,
        lambda g, x: 2 * x * g,
        {
            "cotangent in place": Fault("mutation", MUTATION, {"backward": _in_place}),
            "cotangent past the counter": Fault("mutation", MUTATION, {"backward": _past_the_counter}),
            "cotangent through numpy": Fault("mutation", MUTATION, {"backward": _through_numpy}),
            "input in backward": Fault("mutation", MUTATION, {"backward": _input_zeroed}),
            "input in forward": Fault("mutation", MUTATION, {"forward": _forward_writes}),
            "input in forward, seen": Fault("mutation", MUTATION, {"forward": _forward_scales}),
            "kept tensor": Fault("reentrant", MUTATION, {"forward": _keeps_twice, "backward": _saved_scaled}),
            "global": Fault("reentrant", STATE, {"forward": _global, "backward": lambda ctx, g: 2 * _Global.kept * g}),
            "a stack, last in first out": Fault(
                "reentrant", STATE, {"forward": _stacked, "backward": lambda ctx, g: 2 * _Global.kept[-1] * g}
            ),
            "emptied context": Fault("reentrant", STATE, {"forward": _keeps_twice, "backward": _freed}),
            "deleted from the context": Fault("reentrant", STATE, {"forward": _keeps_twice, "backward": _deleted}),
            "counts its calls": Fault("reentrant", STATE, {"backward": _counted}),
            "output on ctx": Fault("leak", LEAK, {"forward": _cycle}),
            "output in a list on ctx": Fault("leak", LEAK, {"forward": _cycle_in_a_list}),
            "output in a closure on ctx": Fault("leak", LEAK, {"forward": _cycle_in_a_closure}),
            "output in a global": Fault("leak", LEAK, {"forward": _hoards_outputs}),
            "input in a global": Fault("leak", LEAK, {"forward": _hoards}),
        },
    ),
    Spec(
        "Dropout",
        lambda: (randn(24),),
        methods={"forward": _dropout, "backward": lambda ctx, g: g * ctx.mask},
        faults={
            "redrawn": Fault("vjp", STATE, {"backward": lambda ctx, g: g * (torch.rand_like(g) > 0.5)}),
            "redrawn from a global state": Fault(
                "reentrant", STATE, {"forward": _dropout_from_state, "backward": _redrawn_from_state}
            ),
            "mask ignored": Fault("vjp", STATE, {"backward": lambda ctx, g: g * 0.5}),
        },
    ),
    Spec(
        "Relu",
        lambda: (randn(9),),
        torch.relu,
        lambda g, x: g * (x > 0),
        {
            "mask in a global": Fault(
                "reentrant", STATE, {"forward": _relu_forward, "backward": lambda ctx, g: g * _Global.kept}
            ),
        },
    ),
    Spec(
        "DoubleInPlace",
        lambda: (randn(5),),
        methods={"forward": _doubled, "backward": lambda ctx, g: 2 * g},
        faults={
            "not marked": Fault("mutation", MUTATION, {"forward": lambda ctx, x: x.mul_(2).clone()}),
            "cotangent doubled in place": Fault("mutation", MUTATION, {"backward": lambda ctx, g: g.mul_(2)}),
        },
    ),
)
