"""What backward returns, where the engine mends it in silence."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import RETURNED, Fault, Spec, randn


def _sum_to(g: Tensor, like: Tensor) -> Tensor:
    return g.sum_to_size(like.shape)


SPECS = (
    Spec(
        "AddBroadcast",
        lambda: (randn(3, 4), randn(1, 4)),
        lambda a, b: a + b,
        lambda g, a, b: (g + 0, _sum_to(g, b)),
        {
            "not summed": Fault("contract", RETURNED, lambda g, a, b: (g + 0, g + 0)),
            "expanded and divided": Fault(
                "contract", RETURNED, lambda g, a, b: (g + 0, _sum_to(g, b).expand_as(a) / 3)
            ),
            "a further dimension": Fault("contract", RETURNED, lambda g, a, b: ((g + 0).unsqueeze(0), _sum_to(g, b))),
            "summed over the wrong axis": Fault(
                "vjp", RETURNED, lambda g, a, b: (g + 0, g.sum(1).sum().expand(1, 4) / 4)
            ),
        },
    ),
    Spec(
        "Clip",
        lambda: (3 * randn(7),),
        lambda x: x.clamp(-1, 1),
        lambda g, x: g * (x.abs() < 1),
        {
            "float32": Fault("contract", RETURNED, lambda g, x: (g * (x.abs() < 1)).float()),
        },
    ),
    Spec(
        "CountPositive",
        lambda: (randn(6),),
        lambda x: x.relu().sum(),
        lambda g, x: g * (x > 0).to(g.dtype),
        {
            "mask itself": Fault("contract", RETURNED, lambda g, x: x > 0),
            "integers": Fault("contract", RETURNED, lambda g, x: (g * (x > 0)).long()),
        },
    ),
    Spec(
        "Scale",
        lambda: (randn(3, 2), randn()),
        lambda x, s: x * s,
        lambda g, x, s: (g * s, (g * x).sum()),
        {
            "scale not summed": Fault("contract", RETURNED, lambda g, x, s: (g * s, g * x)),
            "scale meant": Fault("vjp", RETURNED, lambda g, x, s: (g * s, (g * x).mean())),
            "float32 scale": Fault("contract", RETURNED, lambda g, x, s: (g * s, (g * x).sum().float())),
        },
    ),
    Spec(
        "ComplexOfTwo",
        lambda: (randn(4), randn(4)),
        torch.complex,
        lambda g, re, im: (g.real, g.imag),
        {
            "imaginary part taken for real": Fault("vjp", RETURNED, lambda g, re, im: (g.real, (g * 1j).imag)),
        },
    ),
)
