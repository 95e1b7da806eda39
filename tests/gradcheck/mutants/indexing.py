"""Functions that pick and place: duplicate indices, ties, borders, wrong places."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import BORDER, DEGENERATE, REDUCTION, SECOND, Fault, Spec, randn

INDEX = torch.tensor([0, 2, 2, 1, 2])


def _gathered(g: Tensor, x: Tensor, index: Tensor) -> tuple[Tensor, None]:
    return torch.zeros_like(x).index_add(0, index, g), None


def _overwritten(g: Tensor, x: Tensor, index: Tensor) -> tuple[Tensor, None]:
    found = torch.zeros_like(x)
    for row, place in enumerate(index):
        found[place] = g[row]
    return found, None


def _max_pool(g: Tensor, x: Tensor, tile: int = 2) -> Tensor:
    places = x.unfold(0, 2, tile).argmax(-1) + tile * torch.arange(len(g))
    return torch.zeros_like(x).index_add(0, places, g)


def _average(g: Tensor, x: Tensor) -> Tensor:
    return _fold(g / 3, x)


def _fold(g: Tensor, x: Tensor) -> Tensor:
    places = torch.arange(len(g)).unsqueeze(-1) + torch.arange(3)
    return torch.zeros_like(x).index_add(0, places.reshape(-1), g.unsqueeze(-1).expand(-1, 3).reshape(-1))


SPECS = (
    Spec(
        "Embedding",
        lambda: (randn(4, 3), INDEX),
        lambda x, index: x[index],
        _gathered,
        {
            "duplicates overwrite": Fault("vjp", REDUCTION, _overwritten),
            "duplicates meant": Fault(
                "vjp",
                REDUCTION,
                lambda g, x, i: (_gathered(g, x, i)[0] / torch.bincount(i, minlength=4).clamp(1).unsqueeze(-1), None),
            ),
            "last index": Fault("vjp", BORDER, lambda g, x, i: _gathered(g[:-1], x, i[:-1])),
            "off by one": Fault("vjp", REDUCTION, lambda g, x, i: _gathered(g, x, (i + 1) % 4)),
        },
    ),
    Spec(
        "Sort",
        lambda: (randn(7),),
        lambda x: x.sort().values,
        lambda g, x: torch.zeros_like(x).index_add(0, x.sort().indices, g),
        {
            "order not undone": Fault("vjp", REDUCTION, lambda g, x: g[x.sort().indices]),
            "order ignored": Fault("vjp", DEGENERATE, lambda g, x: g.clone()),
        },
    ),
    Spec(
        "MaxPool",
        lambda: (randn(8),),
        lambda x: x.unfold(0, 2, 2).amax(-1),
        _max_pool,
        {
            "first of the window": Fault(
                "vjp", DEGENERATE, lambda g, x: _max_pool(g, torch.arange(8.0).flip(0).double() + 0 * x)
            ),
            "last window": Fault("vjp", BORDER, lambda g, x: _max_pool(g * (torch.arange(4) < 3), x)),
            "shared among the window": Fault("vjp", REDUCTION, lambda g, x: g.repeat_interleave(2) / 2),
        },
    ),
    Spec(
        "AveragePool",
        lambda: (randn(7),),
        lambda x: x.unfold(0, 3, 1).mean(-1),
        _average,
        {
            "not divided": Fault("vjp", REDUCTION, _fold),
            "overlap overwritten": Fault("vjp", REDUCTION, lambda g, x: torch.cat([g / 3, (g[-1] / 3).expand(2)])),
            "border": Fault("vjp", BORDER, lambda g, x: _average(g, x) * (torch.arange(7) > 0)),
        },
    ),
    Spec(
        "CumSum",
        lambda: (randn(2, 6),),
        lambda x: x.cumsum(-1),
        lambda g, x: g.flip(-1).cumsum(-1).flip(-1),
        {
            "forward again": Fault("vjp", REDUCTION, lambda g, x: g.cumsum(-1)),
            "exclusive": Fault("vjp", BORDER, lambda g, x: g.flip(-1).cumsum(-1).flip(-1) - g),
            "axis": Fault("vjp", REDUCTION, lambda g, x: g.flip(0).cumsum(0).flip(0)),
            "constant": Fault("second-order", SECOND, lambda g, x: g.detach().flip(-1).cumsum(-1).flip(-1) + 0 * g * x),
        },
    ),
    Spec(
        "Roll",
        lambda: (randn(6),),
        lambda x: x.roll(1),
        lambda g, x: g.roll(-1),
        {
            "same way": Fault("vjp", REDUCTION, lambda g, x: g.roll(1)),
            "not at all": Fault("vjp", REDUCTION, lambda g, x: g + 0),
            "wrap lost": Fault("vjp", BORDER, lambda g, x: g.roll(-1) * (torch.arange(6) < 5)),
        },
    ),
    Spec(
        "Where",
        lambda: (randn(8), randn(8), randn(8) > 0),
        lambda a, b, mask: torch.where(mask, a, b),
        lambda g, a, b, mask: (g * mask, g * ~mask, None),
        {
            "inverted": Fault("vjp", REDUCTION, lambda g, a, b, mask: (g * ~mask, g * mask, None)),
            "both": Fault("vjp", REDUCTION, lambda g, a, b, mask: (g + 0, g * ~mask, None)),
        },
    ),
)
