"""Functions that normalise or reduce: forgotten sums, wrong axes, N for N - 1, saved results, lower precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import (
    COTANGENT,
    DEGENERATE,
    FORMULA,
    PRECISION,
    REDUCTION,
    SECOND,
    Fault,
    Spec,
    randn,
)


def _softmax(g: Tensor, x: Tensor, axis: int = -1) -> Tensor:
    y = torch.softmax(x, -1)
    return y * (g - (g * y).sum(axis, keepdim=True))


def _layer_norm(g: Tensor, x: Tensor, terms: tuple[float, float] = (1, 1)) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    inverse = (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
    n = centred * inverse
    mean, along = g.mean(-1, keepdim=True), n * (g * n).mean(-1, keepdim=True)
    return inverse * (g - terms[0] * mean - terms[1] * along)


def _layer_norm_forward(x: Tensor) -> Tensor:
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


def _variance(g: Tensor, x: Tensor, less: int = 1) -> Tensor:
    return (g * 2).unsqueeze(-1) * (x - x.mean(-1, keepdim=True)) / (x.shape[-1] - less)


def _loss(g: Tensor, x: Tensor, target: Tensor, count: int | None = None) -> Any:
    return g * 2 * (x - target) / (count or x.numel()), -g * 2 * (x - target) / x.numel()


def _rms(g: Tensor, x: Tensor, w: Tensor) -> Any:
    inverse = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    n, scaled = x * inverse, g * w
    return inverse * (scaled - n * (scaled * n).mean(-1, keepdim=True)), (g * n).sum(0)


def _rms_forward(x: Tensor, w: Tensor) -> Tensor:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * w


def _halved(value: Tensor) -> Tensor:
    """What a kernel computes that works in half precision whenever it is not given float64."""
    return value if value.dtype == torch.float64 else value.half().to(value.dtype)


def _count(x: Tensor) -> Tensor:
    """The number of elements, counted in the input's own precision: bfloat16 stops at 256."""
    total = torch.zeros((), dtype=x.dtype)
    for _ in range(x.numel()):
        total = total + 1
    return total


def _kept_result(ctx: Any, x: Tensor) -> Any:
    ctx.y = torch.exp(x)
    return ctx.y.clone()


SPECS = (
    Spec(
        "Softmax",
        lambda: (randn(3, 4),),
        lambda x: torch.softmax(x, -1),
        _softmax,
        {
            "without its sum": Fault("vjp", REDUCTION, lambda g, x: torch.softmax(x, -1) * g),
            "sum over the wrong axis": Fault("vjp", REDUCTION, lambda g, x: _softmax(g, x, 0)),
            "mean for sum": Fault(
                "vjp",
                REDUCTION,
                lambda g, x: torch.softmax(x, -1) * (g - (g * torch.softmax(x, -1)).mean(-1, keepdim=True)),
            ),
            "softmax over the wrong axis": Fault(
                "vjp", REDUCTION, lambda g, x: torch.softmax(x, 0) * (g - (g * torch.softmax(x, 0)).sum(0))
            ),
            "second order through the result only": Fault(
                "second-order",
                SECOND,
                lambda g, x: (lambda y: y * (g - (g * y.detach()).sum(-1, keepdim=True)))(torch.softmax(x, -1)),
            ),
        },
    ),
    Spec(
        "LayerNorm",
        lambda: (randn(3, 5),),
        _layer_norm_forward,
        _layer_norm,
        {
            "mean forgotten": Fault("vjp", REDUCTION, lambda g, x: _layer_norm(g, x, (0, 1))),
            "variance forgotten": Fault("vjp", REDUCTION, lambda g, x: _layer_norm(g, x, (1, 0))),
            "right for centred data": Fault("vjp", DEGENERATE, lambda g, x: _layer_norm(g, x + x.mean() * x)),
            "statistics without a graph": Fault("second-order", SECOND, lambda g, x: _layer_norm(g, x.detach())),
            "half inside": Fault("low-precision", PRECISION, lambda g, x: _halved(_layer_norm(_halved(g), _halved(x)))),
        },
    ),
    Spec(
        "Variance",
        lambda: (randn(2, 5),),
        lambda x: x.var(-1),
        _variance,
        {
            "N for N - 1": Fault("vjp", REDUCTION, lambda g, x: _variance(g, x, 0)),
            "mean not subtracted": Fault("vjp", DEGENERATE, lambda g, x: (2 * g).unsqueeze(-1) * x / (x.shape[-1] - 1)),
            "mean over all": Fault(
                "vjp", REDUCTION, lambda g, x: (2 * g).unsqueeze(-1) * (x - x.mean()) / (x.shape[-1] - 1)
            ),
        },
    ),
    Spec(
        "MeanSquare",
        lambda: (randn(3, 4), randn(3, 4)),
        lambda x, t: (x - t).square().mean(),
        _loss,
        {
            "sum": Fault("vjp", REDUCTION, lambda g, x, t: _loss(g, x, t, 1)),
            "batch for elements": Fault("vjp", REDUCTION, lambda g, x, t: _loss(g, x, t, 3)),
            "cotangent taken for 1": Fault("cotangent", COTANGENT, lambda g, x, t: _loss(torch.ones_like(g), x, t)),
            "target has no gradient": Fault("vjp", FORMULA, lambda g, x, t: (_loss(g, x, t)[0], None)),
        },
    ),
    Spec(
        "LogSumExp",
        lambda: (randn(3, 4),),
        lambda x: torch.logsumexp(x, -1),
        lambda g, x: g.unsqueeze(-1) * torch.softmax(x, -1),
        {
            "axis": Fault("vjp", REDUCTION, lambda g, x: g.unsqueeze(-1) * torch.softmax(x, 0)),
            "not normalised": Fault("vjp", FORMULA, lambda g, x: g.unsqueeze(-1) * x.exp()),
            "overflow in float32": Fault(
                "low-precision",
                PRECISION,
                lambda g, x: g.unsqueeze(-1) * (50 * 3 + x).exp() / (50 * 3 + x).exp().sum(-1, keepdim=True),
            ),
        },
    ),
    Spec(
        "RmsNorm",
        lambda: (randn(3, 4), randn(4)),
        _rms_forward,
        _rms,
        {
            "weight meant": Fault("vjp", REDUCTION, lambda g, x, w: (_rms(g, x, w)[0], _rms(g, x, w)[1] / 3)),
            "weight not summed": Fault(
                "contract", REDUCTION, lambda g, x, w: (_rms(g, x, w)[0], g * _rms_forward(x, torch.ones_like(w)))
            ),
            "right for weights of one": Fault(
                "vjp", DEGENERATE, lambda g, x, w: (_rms(g, x, torch.ones_like(w))[0], _rms(g, x, w)[1])
            ),
            "rsqrt in half": Fault(
                "low-precision", PRECISION, lambda g, x, w: tuple(_halved(part) for part in _rms(g, x, w))
            ),
        },
    ),
    Spec(
        "MeanOfMany",
        lambda: (randn(700),),
        lambda x: x.sum() / x.numel(),
        lambda g, x: (g / x.numel()).expand_as(x),
        {
            "count in the input's precision": Fault(
                "low-precision", PRECISION, lambda g, x: (g / _count(x)).expand_as(x)
            ),
        },
    ),
    Spec(
        "Exp",
        lambda: (randn(6),),
        torch.exp,
        lambda g, x: g * torch.exp(x),
        {
            "result kept on ctx": Fault(
                "second-order", SECOND, {"forward": _kept_result, "backward": lambda ctx, g: g * ctx.y}
            ),
            "result of another input": Fault("vjp", FORMULA, lambda g, x: g * torch.exp(-x)),
            "float32": Fault("precision", PRECISION, lambda g, x: (g.float() * torch.exp(x.float())).double()),
        },
    ),
    Spec(
        "Norm",
        lambda: (randn(5),),
        lambda x: x.norm(),
        lambda g, x: g * x / x.norm(),
        {
            "not divided": Fault("vjp", FORMULA, lambda g, x: g * x),
            "divided twice": Fault("vjp", FORMULA, lambda g, x: g * x / x.norm() ** 2),
            "constant length": Fault("second-order", SECOND, lambda g, x: g * x / x.norm().detach()),
        },
    ),
)
