"""Functions that bring their own jvp and vmap rules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.gradcheck.mutants.spec import RULES, Body, Fault, Spec, randn


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def _product_back(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved_tensors
    return g * b, g * a


def _product_jvp(ctx: Any, da: Tensor, db: Tensor) -> Any:
    a, b = ctx.saved_tensors
    return da * b + a * db


def _jvp(rule: Body) -> dict[str, Body]:
    return {"jvp": lambda ctx, *tangents: rule(*tangents, *ctx.saved_tensors)}


class _Product(torch.autograd.Function):
    """What the vmap rules fall back to."""

    generate_vmap_rule = True
    forward = staticmethod(lambda a, b: a * b)
    setup_context = staticmethod(_setup)
    backward = staticmethod(_product_back)


def _to_front(info: Any, dims: Any, *tensors: Tensor) -> list[Tensor]:
    """Every input with the batch as its first axis."""
    pairs = zip(tensors, dims, strict=True)
    return [t.movedim(d, 0) if d is not None else t.expand(info.batch_size, *t.shape) for t, d in pairs]


def _vmap(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
    return _Product.apply(*_to_front(info, dims, a, b)), 0  # type: ignore[no-untyped-call]


def _dims_ignored(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
    return _Product.apply(a, b), 0  # type: ignore[no-untyped-call]


def _one_only(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
    return _Product.apply(a.movedim(dims[0], 0), b.movedim(dims[1], 0)), 0  # type: ignore[no-untyped-call]


def _detached(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
    first, second = _to_front(info, dims, a, b)
    return _Product.apply(first, second.detach()), 0  # type: ignore[no-untyped-call]


def _reversed(info: Any, dims: Any, a: Tensor, b: Tensor) -> Any:
    first, second = _to_front(info, dims, a, b)
    return _Product.apply(first, second.flip(0)), 0  # type: ignore[no-untyped-call]


NEW_STYLE = {"forward": lambda a, b: a * b, "setup_context": _setup, "backward": _product_back}

SPECS = (
    Spec(
        "ProductWithJvp",
        lambda: (randn(3, 4), randn(3, 4)),
        methods={**NEW_STYLE, "jvp": _product_jvp},
        faults={
            "one term": Fault("jvp", RULES, _jvp(lambda da, db, a, b: da * b)),
            "sign": Fault("jvp", RULES, _jvp(lambda da, db, a, b: da * b - a * db)),
            "tangents swapped": Fault("jvp", RULES, _jvp(lambda da, db, a, b: db * b + a * da)),
            "zero": Fault("jvp", RULES, _jvp(lambda da, db, a, b: torch.zeros_like(a))),
            "right when both move": Fault(
                "jvp",
                RULES,
                _jvp(lambda da, db, a, b: (da * b + a * db) * (1.0 if bool(da.any() and db.any()) else 2.0)),
            ),
            "raises": Fault("jvp", RULES, _jvp(lambda da, db, a, b: da.view(-1).view(7, -1))),
        },
    ),
    Spec(
        "ProductWithGeneratedVmap",
        lambda: (randn(2, 4), randn(2, 4)),
        methods={**NEW_STYLE, "generate_vmap_rule": True},
        faults={
            "reads a number": Fault(
                "vmap", RULES, {"forward": lambda a, b: a * b * (float(b.detach().sum()) / float(b.detach().sum()))}
            ),
        },
    ),
    Spec(
        "ProductWithVmap",
        lambda: (randn(2, 4), randn(2, 4)),
        methods={**NEW_STYLE, "vmap": _vmap},
        faults={
            "batch axes ignored": Fault("vmap", RULES, {"vmap": _dims_ignored}),
            "all inputs taken for batched": Fault("vmap", RULES, {"vmap": _one_only}),
            "one input detached": Fault("vmap", RULES, {"vmap": _detached}),
            "batch reversed": Fault("vmap", RULES, {"vmap": _reversed}),
        },
    ),
)
