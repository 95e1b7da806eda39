"""Functions with several outputs: only one has a gradient, the others' is None or zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import COTANGENT, OUTPUTS, Fault, Spec, randn


def _two(ctx: Any, x: Tensor) -> Any:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x)
    return torch.sin(x), torch.cos(x)


def _both(ctx: Any, first: Tensor | None, second: Tensor | None) -> Tensor:
    (x,) = ctx.saved_tensors
    found = torch.zeros_like(x)
    found = found if first is None else found + first * torch.cos(x)
    return found if second is None else found - second * torch.sin(x)


def _not_prepared(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
    (x,) = ctx.saved_tensors
    return first * torch.cos(x) - second * torch.sin(x)


def _gives_up(ctx: Any, first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else _both(ctx, first, second)


def _mixed_up(ctx: Any, first: Tensor | None, second: Tensor | None) -> Tensor:
    return _both(ctx, second, first) if first is None else _both(ctx, first, second)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.sum(-1), (x * x).sum(-1)


def _moments_back(s: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return s.unsqueeze(-1) + 2 * x * q.unsqueeze(-1)


SPECS = (
    Spec(
        "SinAndCos",
        lambda: (randn(5),),
        methods={"forward": _two, "backward": _both},
        faults={
            "None not expected": Fault("outputs", OUTPUTS, {"backward": _not_prepared}),
            "None unless both": Fault("outputs", OUTPUTS, {"backward": _gives_up}),
            "mixed up when alone": Fault("outputs", OUTPUTS, {"backward": _mixed_up}),
            "second ignored": Fault("vjp", OUTPUTS, {"backward": lambda ctx, a, b: _both(ctx, a, None)}),
        },
    ),
    Spec(
        "Moments",
        lambda: (randn(3, 4),),
        _moments,
        _moments_back,
        {
            "product of cotangents": Fault(
                "vjp", OUTPUTS, lambda s, q, x: s.unsqueeze(-1) + 2 * x * (q * s).unsqueeze(-1)
            ),
            "swapped": Fault("vjp", OUTPUTS, lambda s, q, x: _moments_back(q, s, x)),
            "nothing unless the first": Fault(
                "outputs", OUTPUTS, lambda s, q, x: _moments_back(s, q, x) if bool(s.any()) else torch.zeros_like(x)
            ),
        },
    ),
    Spec(
        "Cube",
        lambda: (randn(6),),
        lambda x: x**3,
        lambda g, x: 3 * x * x * g,
        {
            "nan for a zero gradient": Fault(
                "outputs", COTANGENT, lambda g, x: 3 * x * x * g / g.abs().max() * g.abs().max()
            ),
            "small gradients dropped": Fault(
                "outputs", COTANGENT, lambda g, x: 3 * x * x * torch.where((g == 0).any(), 0.5 * g, g)
            ),
        },
    ),
)
