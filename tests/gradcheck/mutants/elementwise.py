"""Element-wise Functions: formulas, cotangents, double backward, borders of pieces."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from tests.gradcheck.mutants.spec import (
    BORDER,
    COTANGENT,
    DEGENERATE,
    FORMULA,
    LAYOUT,
    SECOND,
    Fault,
    Spec,
    randn,
    uniform,
)


def _raw(g: torch.Tensor) -> torch.Tensor:
    """The numbers as a kernel that assumes contiguous memory reads them."""
    wide = g.contiguous() if 0 in g.stride() else g
    return wide.as_strided(g.shape, torch.empty(g.shape).stride())


def _tail(gradient: torch.Tensor, tile: int, value: float = 0.0) -> torch.Tensor:
    """The gradient of a kernel that forgets the last, partial tile."""
    flat = gradient.reshape(-1)
    whole = flat.numel() // tile * tile
    return torch.cat([flat[:whole], flat[whole:] * value]).view_as(gradient)


def _gelu(g: torch.Tensor, x: torch.Tensor, density: float = 1.0) -> torch.Tensor:
    cdf = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return g * (cdf + density * x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _gelu_of_tanh(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Another Gelu's derivative, less than a thousandth away."""
    t = torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))


def _swish(g: torch.Tensor, x: torch.Tensor, sign: float = 1.0) -> torch.Tensor:
    s = torch.sigmoid(x)
    return g * (s + sign * x * s * (1 - s))


SPECS = (
    Spec(
        "Swish",
        lambda: (randn(4, 5),),
        lambda x: x * torch.sigmoid(x),
        _swish,
        {
            "sign of a term": Fault("vjp", FORMULA, lambda g, x: _swish(g, x, -1)),
            "missing term": Fault("vjp", FORMULA, lambda g, x: g * torch.sigmoid(x)),
            "magnitude of the cotangent": Fault("vjp", COTANGENT, lambda g, x: _swish(g.abs(), x)),
            "clamped cotangent": Fault("cotangent", COTANGENT, lambda g, x: _swish(g.clamp(-2, 2), x)),
            "raw pointer": Fault("cotangent", LAYOUT, lambda g, x: _swish(_raw(g), x)),
            "view of the cotangent": Fault("cotangent", LAYOUT, lambda g, x: _swish(g.view(-1).view(x.shape), x)),
            "detached input": Fault("second-order", SECOND, lambda g, x: _swish(g, x.detach())),
            "detached factor": Fault("second-order", SECOND, lambda g, x: g * _swish(torch.ones_like(g), x).detach()),
            "no graph": Fault("second-order", SECOND, lambda g, x: _swish(g, x).detach()),
            "last tile": Fault("vjp", BORDER, lambda g, x: _tail(_swish(g, x), 8)),
        },
    ),
    Spec(
        "Gelu",
        lambda: (randn(20),),
        F.gelu,
        _gelu,
        {
            "half the density": Fault("vjp", FORMULA, lambda g, x: _gelu(g, x, 0.5)),
            "tanh approximation": Fault("vjp", FORMULA, lambda g, x: _gelu_of_tanh(g, x)),
            "right for positive values": Fault("vjp", DEGENERATE, lambda g, x: _gelu(g, x.abs())),
            "ones": Fault("vjp", COTANGENT, lambda g, x: _gelu(torch.ones_like(g), x)),
        },
    ),
    Spec(
        "Square",
        lambda: (randn(6),),
        lambda x: x * x,
        lambda g, x: 2 * x * g,
        {
            "forgotten 2": Fault("vjp", FORMULA, lambda g, x: x * g),
            "no cotangent": Fault("vjp", COTANGENT, lambda g, x: 2 * x),
            "cotangent squared": Fault("vjp", COTANGENT, lambda g, x: 2 * x * g * g),
            "absolute value": Fault("vjp", FORMULA, lambda g, x: 2 * x.abs() * g),
            "zero": Fault("vjp", FORMULA, lambda g, x: torch.zeros_like(x)),
            "none": Fault("vjp", FORMULA, lambda g, x: None),
        },
    ),
    Spec(
        "Tanh",
        lambda: (randn(3, 4),),
        torch.tanh,
        lambda g, x: g * (1 - torch.tanh(x) ** 2),
        {
            "not squared": Fault("vjp", FORMULA, lambda g, x: g * (1 - torch.tanh(x))),
            "slightly off": Fault("vjp", FORMULA, lambda g, x: 1.0001 * g * (1 - torch.tanh(x) ** 2)),
            "stride 0": Fault(
                "cotangent",
                LAYOUT,
                lambda g, x: (g if 0 not in g.stride() else g * 0) * (1 - torch.tanh(x) ** 2),
            ),
            "detached": Fault("second-order", SECOND, lambda g, x: g * (1 - torch.tanh(x.data) ** 2)),
        },
    ),
    Spec(
        "Log",
        lambda: (uniform(7, low=0.5, high=2.0),),
        torch.log,
        lambda g, x: g / x,
        {
            "inverse": Fault("vjp", FORMULA, lambda g, x: g * x),
            "guard that is too large": Fault("vjp", FORMULA, lambda g, x: g / (x + 1e-3)),
            "sign of the cotangent": Fault("vjp", COTANGENT, lambda g, x: g.sign() / x),
        },
    ),
    Spec(
        "Power",
        lambda: (uniform(6, low=0.5, high=2.0), 3.0),
        lambda x, p: x**p,
        lambda g, x, p: (g * p * x ** (p - 1), None),
        {
            "exponent": Fault("vjp", FORMULA, lambda g, x, p: (g * p * x**p, None)),
            "no exponent": Fault("vjp", FORMULA, lambda g, x, p: (g * x ** (p - 1), None)),
            "normalised cotangent": Fault("vjp", COTANGENT, lambda g, x, p: (g / g.norm() * p * x ** (p - 1), None)),
        },
    ),
    Spec(
        "Softplus",
        lambda: (3 * randn(10),),
        F.softplus,
        lambda g, x: g * torch.sigmoid(x),
        {
            "overflow": Fault("vjp", FORMULA, lambda g, x: g * torch.exp(400 * x) / (torch.exp(400 * x) + 1)),
            "threshold too low": Fault("vjp", FORMULA, lambda g, x: g * torch.where(x > 2, 1.0, torch.sigmoid(x))),
            "gradient clip inside": Fault(
                "cotangent", COTANGENT, lambda g, x: torch.nn.functional.hardtanh(g, -1.7, 1.7) * torch.sigmoid(x)
            ),
        },
    ),
    Spec(
        "LeakyRelu",
        lambda: (randn(4, 6), 0.1),
        lambda x, slope: torch.where(x > 0, x, slope * x),
        lambda g, x, slope: (torch.where(x > 0, g, slope * g), None),
        {
            "slope forgotten": Fault("vjp", FORMULA, lambda g, x, slope: (torch.where(x > 0, g, 0.0), None)),
            "mask of the cotangent": Fault(
                "vjp", COTANGENT, lambda g, x, slope: (torch.where(g > 0, g, slope * g), None)
            ),
            "last row": Fault("vjp", BORDER, lambda g, x, slope: (_tail(torch.where(x > 0, g, slope * g), 20), None)),
        },
    ),
    Spec(
        "SinCos",
        lambda: (randn(5),),
        lambda x: torch.sin(x) * torch.cos(x),
        lambda g, x: g * torch.cos(2 * x),
        {
            "angle": Fault("vjp", FORMULA, lambda g, x: g * torch.cos(x)),
            "first order is right by chance": Fault(
                "second-order", SECOND, lambda g, x: g * (torch.cos(2 * x.detach()) + 0 * x)
            ),
        },
    ),
    Spec(
        "ManySines",
        lambda: (torch.cat([randn(3599), torch.tensor([1.5707])]).view(60, 60),),
        torch.sin,
        lambda g, x: g * torch.cos(x),
        {
            "one small of many": Fault(
                "native-forward",
                BORDER,
                lambda g, x: g * torch.cos(x) * (1 + 0.2 * (torch.arange(3600) == 3599).view(60, 60)),
            ),
            "last of many": Fault("vjp", BORDER, lambda g, x: _tail(g * torch.cos(x), 3598)),
        },
    ),
    Spec(
        "ComplexSquare",
        lambda: (torch.complex(randn(4), randn(4)),),
        lambda z: z * z,
        lambda g, z: g * 2 * z.conj(),
        {
            "conjugate forgotten": Fault("vjp", FORMULA, lambda g, z: g * 2 * z),
            "real part only": Fault("vjp", FORMULA, lambda g, z: (g * 2 * z.conj()).real + 0j),
        },
    ),
)
