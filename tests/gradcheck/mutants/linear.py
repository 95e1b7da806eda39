"""Products of several tensors: transposes, subsets of needs_input_grad, degenerate data, borders of convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv1d_input, conv1d_weight

from tests.gradcheck.mutants.spec import (
    BORDER,
    COTANGENT,
    DEGENERATE,
    FORMULA,
    LAYOUT,
    REDUCTION,
    SECOND,
    SUBSET,
    Fault,
    Spec,
    randn,
    restored,
)


def _t(matrix: Tensor) -> Tensor:
    return matrix.transpose(-1, -2)


def _needed(ctx: Any, g: Tensor) -> Any:
    a, b = restored(ctx)
    first, second = ctx.needs_input_grad
    return g @ _t(b) if first else None, _t(a) @ g if second else None


def _only_together(ctx: Any, g: Tensor) -> Any:
    a, b = restored(ctx)
    both = all(ctx.needs_input_grad)
    return g @ _t(b) if both else None, _t(a) @ g if ctx.needs_input_grad[1] else None


def _swapped_flags(ctx: Any, g: Tensor) -> Any:
    a, b = restored(ctx)
    first, second = ctx.needs_input_grad
    return g @ _t(b) if second else None, _t(a) @ g if first else None


def _unset_local(ctx: Any, g: Tensor) -> Any:
    a, b = restored(ctx)
    if ctx.needs_input_grad[1]:
        flipped = _t(a)
    return g @ _t(b), flipped @ g


def _wrong_for_one(ctx: Any, g: Tensor) -> Any:
    a, b = restored(ctx)
    scale = 1.0 if ctx.needs_input_grad[0] else 2.0
    return g @ _t(b), scale * (_t(a) @ g)


def _linear(g: Tensor, x: Tensor, w: Tensor, b: Tensor) -> Any:
    return g @ w, g.t() @ x, g.sum(0)


def _bias_only_if_weight(ctx: Any, g: Tensor) -> Any:
    x, w, _ = restored(ctx)
    _, weight, bias = ctx.needs_input_grad
    return g @ w, g.t() @ x if weight else None, g.sum(0) if weight and bias else None


def _input_only_if_first(ctx: Any, g: Tensor) -> Any:
    x, w, _ = restored(ctx)
    return g @ w if not ctx.needs_input_grad[2] or ctx.needs_input_grad[1] else None, g.t() @ x, g.sum(0)


def _conv(g: Tensor, x: Tensor, w: Tensor) -> Any:
    return (
        conv1d_input(x.shape, w, g, padding=1),  # type: ignore[no-untyped-call]
        conv1d_weight(x, w.shape, g, padding=1),  # type: ignore[no-untyped-call]
    )


def _no_border(g: Tensor, x: Tensor, w: Tensor) -> Any:
    inner = torch.cat([g[..., :1] * 0, g[..., 1:-1], g[..., -1:] * 0], -1)
    return _conv(inner, x, w)[0], _conv(g, x, w)[1]


SPECS = (
    Spec(
        "MatMul",
        lambda: (randn(3, 4), randn(4, 2)),
        lambda a, b: a @ b,
        lambda g, a, b: (g @ _t(b), _t(a) @ g),
        {
            "only together": Fault("needs-input-grad", SUBSET, {"backward": _only_together}),
            "swapped flags": Fault("needs-input-grad", SUBSET, {"backward": _swapped_flags}),
            "unset local": Fault("needs-input-grad", SUBSET, {"backward": _unset_local}),
            "wrong for one": Fault("needs-input-grad", SUBSET, {"backward": _wrong_for_one}),
            "none for the second": Fault("vjp", SUBSET, lambda g, a, b: (g @ _t(b), None)),
            "zeros for the first": Fault("vjp", SUBSET, lambda g, a, b: (torch.zeros_like(a), _t(a) @ g)),
            "row by row in memory order": Fault(
                "cotangent",
                LAYOUT,
                lambda g, a, b: (
                    torch.as_strided(g, (3, 2), (2, 1)) @ _t(b) if 0 not in g.stride() else g @ _t(b),
                    _t(a) @ g,
                ),
            ),
        },
    ),
    Spec("MatMulThatAsks", lambda: (randn(3, 4), randn(4, 2)), lambda a, b: a @ b, None, methods={"backward": _needed}),
    Spec(
        "SquareMatMul",
        lambda: (randn(3, 3), randn(3, 3)),
        lambda a, b: a @ b,
        lambda g, a, b: (g @ _t(b), _t(a) @ g),
        {
            "transposed": Fault("vjp", FORMULA, lambda g, a, b: (g @ b, _t(a) @ g)),
            "result transposed": Fault("vjp", FORMULA, lambda g, a, b: (g @ _t(b), _t(_t(a) @ g))),
            "swapped": Fault("vjp", FORMULA, lambda g, a, b: (_t(a) @ g, g @ _t(b))),
            "right for symmetric weights": Fault(
                "vjp", DEGENERATE, lambda g, a, b: (g @ _t((b + _t(b)) / 2), _t(a) @ g)
            ),
            "order": Fault("vjp", FORMULA, lambda g, a, b: (_t(b) @ g, _t(a) @ g)),
            "constant second factor": Fault("second-order", SECOND, lambda g, a, b: (g @ _t(b.detach()), _t(a) @ g)),
        },
    ),
    Spec(
        "Linear",
        lambda: (randn(5, 3), randn(2, 3), randn(2)),
        lambda x, w, b: x @ w.t() + b,
        _linear,
        {
            "bias meant": Fault("vjp", REDUCTION, lambda g, x, w, b: (g @ w, g.t() @ x, g.mean(0))),
            "bias of the first row": Fault("vjp", REDUCTION, lambda g, x, w, b: (g @ w, g.t() @ x, g[0])),
            "bias not summed": Fault("contract", REDUCTION, lambda g, x, w, b: (g @ w, g.t() @ x, g)),
            "weight by the batch": Fault("vjp", REDUCTION, lambda g, x, w, b: (g @ w, g.t() @ x / 5, g.sum(0))),
            "bias only with weight": Fault("needs-input-grad", SUBSET, {"backward": _bias_only_if_weight}),
            "input lost with bias alone": Fault("needs-input-grad", SUBSET, {"backward": _input_only_if_first}),
            "cotangent clamped for the bias": Fault(
                "cotangent", COTANGENT, lambda g, x, w, b: (g @ w, g.t() @ x, g.clamp(-1.6, 1.6).sum(0))
            ),
            "bias None": Fault("vjp", SUBSET, lambda g, x, w, b: (g @ w, g.t() @ x, None)),
        },
    ),
    Spec(
        "Conv1d",
        lambda: (randn(2, 2, 6), randn(3, 2, 3)),
        lambda x, w: F.conv1d(x, w, padding=1),
        _conv,
        {
            "border": Fault("vjp", BORDER, _no_border),
            "kernel not flipped": Fault(
                "vjp", FORMULA, lambda g, x, w: (_conv(g, x, w.flip(-1))[0], _conv(g, x, w)[1])
            ),
            "weight of the first image": Fault(
                "vjp", REDUCTION, lambda g, x, w: (_conv(g, x, w)[0], _conv(g[:1], x[:1], w)[1])
            ),
            "padding forgotten": Fault(
                "vjp",
                BORDER,
                lambda g, x, w: (_conv(g, x, w)[0], _conv(g, x * (torch.arange(6) > 0), w)[1]),
            ),
        },
    ),
    Spec(
        "Bilinear",
        lambda: (randn(4, 3), randn(4, 3)),
        lambda x, y: (x * y).sum(-1),
        lambda g, x, y: (g.unsqueeze(-1) * y, g.unsqueeze(-1) * x),
        {
            "swapped": Fault("vjp", FORMULA, lambda g, x, y: (g.unsqueeze(-1) * x, g.unsqueeze(-1) * y)),
            "one alias for both": Fault("vjp", FORMULA, lambda g, x, y: (g.unsqueeze(-1) * y,) * 2),
            "cotangent summed": Fault("vjp", COTANGENT, lambda g, x, y: (g.sum() * y, g.sum() * x)),
        },
    ),
    Spec(
        "Outer",
        lambda: (randn(3), randn(4)),
        lambda a, b: torch.outer(a, b),
        lambda g, a, b: (g @ b, a @ g),
        {
            "detached": Fault("second-order", SECOND, lambda g, a, b: (g @ b.detach(), a.detach() @ g)),
            "row sums": Fault("vjp", REDUCTION, lambda g, a, b: (g.sum(1), a @ g)),
            "raw memory": Fault(
                "cotangent",
                LAYOUT,
                lambda g, a, b: ((g if g.is_contiguous() or 0 in g.stride() else g.flip(0)) @ b, a @ g),
            ),
        },
    ),
    Spec(
        "Scan",
        lambda: (0.5 * randn(5), randn(5)),
        lambda a, x: _scan(a, x),
        lambda g, a, x: _scan_backward(g, a, x),
        {
            "decay forgotten": Fault("vjp", DEGENERATE, lambda g, a, x: (_scan_backward(g, a, x)[0], g)),
            "last state": Fault("vjp", BORDER, lambda g, a, x: _scan_backward(g * (torch.arange(5) < 4), a, x)),
            "decay off by one": Fault(
                "vjp", DEGENERATE, lambda g, a, x: _scan_backward(g, torch.cat([a[1:], a[:1]]), x)
            ),
        },
    ),
    Spec(
        "Inverse",
        lambda: (torch.eye(3, dtype=torch.float64) * 3 + randn(3, 3),),
        torch.linalg.inv,
        lambda g, a: -_t(torch.linalg.inv(a)) @ g @ _t(torch.linalg.inv(a)),
        {
            "sign": Fault("vjp", FORMULA, lambda g, a: _t(torch.linalg.inv(a)) @ g @ _t(torch.linalg.inv(a))),
            "right for symmetric": Fault(
                "vjp", DEGENERATE, lambda g, a: -torch.linalg.inv(a) @ g @ torch.linalg.inv(a)
            ),
        },
    ),
)


def _scan(a: Tensor, x: Tensor) -> Tensor:
    """`h[t] = a[t] h[t - 1] + x[t]`."""
    states = [x[0]]
    for t in range(1, len(x)):
        states.append(a[t] * states[-1] + x[t])
    return torch.stack(states)


def _scan_backward(g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    states, carried = _scan(a, x), [g[-1]]
    for t in range(len(x) - 2, -1, -1):
        carried.insert(0, g[t] + a[t + 1] * carried[0])
    whole = torch.stack(carried)
    return torch.cat([torch.zeros_like(a[:1]), whole[1:] * states[:-1]]), whole
