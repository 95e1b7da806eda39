"""Right Functions with one planted fault each, by the cause that a diagnosis should name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.gradcheck.functions import MatMul, Softmax, Swish, planted, rewritten

FunctionClass = type[torch.autograd.Function]


@dataclass(frozen=True)
class Planted:
    """A fault: the Function that has it, the shapes of its inputs, which of them is wrong, and what should be said."""

    function: FunctionClass
    said: str
    small: tuple[Any, ...] = ((4, 5),)
    large: tuple[Any, ...] = ((30, 40),)
    wrong: str = "input0"


class Bias(torch.autograd.Function):
    """`x + b`, b broadcast over the first axis of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, b: Tensor) -> Tensor:
        return x * 2 + b

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return 2 * grad[0], grad[0].sum(0)


class Gather(torch.autograd.Function):
    """Rows of x, the third one three times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x[gathered(x)]

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return torch.zeros_like(x).index_add(0, gathered(x), grad[0])


def gathered(x: Tensor) -> Tensor:
    """Which rows are read: each once, some twice or three times."""
    rows = torch.arange(len(x))
    return torch.cat([rows, rows[::3], torch.tensor([2, 1])])


def overwriting(ctx: Any, *grad: Any) -> Tensor:
    (x,) = ctx.saved_tensors
    found = torch.zeros_like(x)
    for row, place in enumerate(gathered(x)):
        found[place] = grad[0][row]
    return found


def averaging(ctx: Any, *grad: Any) -> Tensor:
    (x,) = ctx.saved_tensors
    counts = torch.bincount(gathered(x), minlength=len(x)).unsqueeze(1)
    return Gather.backward(ctx, *grad) / counts  # type: ignore[no-any-return]


class SinCos(torch.autograd.Function):
    """Two outputs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad[0] * x.cos() - grad[1] * x.sin()


class Centred(torch.autograd.Function):
    """`x - mean(x)` over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True)

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return grad[0] - grad[0].mean(-1, keepdim=True)


class Gram(torch.autograd.Function):
    """`x x^T` and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x @ x.t()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return (grad[0] + grad[0].t()) @ x


def matmul(left: Callable[..., Any], right: Callable[..., Any]) -> FunctionClass:
    """A product of matrices with a backward of its own for each side, given `(g, a, b)`."""

    def backward(ctx: Any, *grad: Any) -> Any:
        a, b = ctx.saved_tensors
        return left(grad[0], a, b), right(grad[0], a, b)

    return rewritten(MatMul, backward, "Product")


def _left(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return g @ b.t()


def _right(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return a.t() @ g


def _swish(bend: Callable[[Tensor], Tensor]) -> FunctionClass:
    return rewritten(Swish, lambda ctx, *grad: Swish.backward(ctx, bend(grad[0])), "Bent")


def _where(mask: Callable[[Tensor], Tensor], factor: float = 3.0) -> FunctionClass:
    """Swish, `factor` times too large where the mask of the input is set."""

    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return Swish.backward(ctx, *grad) * torch.where(mask(x), factor, 1.0)

    return rewritten(Swish, backward, "Where")


def _rows(x: Tensor) -> Tensor:
    return torch.arange(x.shape[0]).unsqueeze(1).expand(x.shape)


def _rim(x: Tensor) -> Tensor:
    rim = torch.ones_like(x, dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    return rim


def _shifted(g: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(g[:, :1]), g[:, :-1]], 1)


PRODUCT: Any = {"small": ((5, 4), (4, 6)), "large": ((20, 30), (30, 18))}
SQUARE: Any = {"small": ((5, 5), (5, 5)), "large": ((24, 24), (24, 24))}

FAULTS: dict[str, Planted] = {
    "nan": Planted(planted(Swish, lambda g: g * float("nan")), "nan or inf"),
    "zero": Planted(planted(Swish, torch.zeros_like), "backward returns zeros"),
    "none": Planted(planted(Swish, lambda g: None), "no gradient flows to input0"),
    "sign": Planted(planted(Swish, lambda g: -g), "the sign is flipped"),
    "factor": Planted(planted(Swish, lambda g: 1.3 * g), "autograd = 1.3 x numeric"),
    "factor 2": Planted(planted(Swish, lambda g: 2 * g), "2 x numeric (a forgotten or doubled 2?)"),
    "factor 1/2": Planted(planted(Swish, lambda g: g / 2), "0.5 x numeric (a forgotten 2, or a 1/2 too many?)"),
    "batch": Planted(
        planted(Bias, lambda x, b: (x, b / 6)),
        "(a mean where a sum belongs, 6 is the batch size",
        ((6, 5), (5,)), ((6, 400), (400,)), "input1",
    ),
    "number of elements": Planted(
        planted(Swish, lambda g: g / g.numel()), "is the number of elements", ((3, 7),), ((33, 37),)
    ),
    "N for N - 1": Planted(planted(Swish, lambda g: g * 5 / 4), "(N - 1 where N belongs, N = 5", large=((400, 5),)),
    "scale": Planted(planted(Swish, lambda g: g / 5**0.5), "a scale of 1/sqrt(5) too many", large=((400, 5),)),
    "transposed": Planted(
        matmul(_left, lambda g, a, b: (a.t() @ g).t()), "the gradient is transposed", **SQUARE, wrong="input1"
    ),
    "reshaped transpose": Planted(
        matmul(_left, lambda g, a, b: (a.t() @ g).t().reshape(b.shape)),
        "the transpose was reshaped", **PRODUCT, wrong="input1",
    ),
    "flipped": Planted(planted(Swish, lambda g: g.flip(1)), "flipped along axis 1"),
    "flipped kernel": Planted(planted(Swish, lambda g: g.flip(0, 1)), "flipped along axes 0 and 1"),
    "rolled": Planted(planted(Swish, lambda g: g.roll(2, 1)), "rolled along axis 1 by 2", ((4, 7),)),
    "shifted": Planted(planted(Swish, _shifted), "shifted along axis 1 by 1"),
    "swapped": Planted(planted(MatMul, lambda a, b: (b, a)), "input1 received the gradient of input0", **SQUARE),
    "one alias for both": Planted(
        planted(MatMul, lambda a, b: (a, a)), "input1 and input0 receive one and the same", **SQUARE, wrong="input1"
    ),
    "last row": Planted(_where(lambda x: _rows(x) == len(x) - 1), "(the last)", ((5, 6),)),
    "one row": Planted(_where(lambda x: _rows(x) == 1), "only where the index of axis 0 is 1", ((5, 6),)),
    "one row is zero": Planted(
        _where(lambda x: _rows(x) == 0, 0.0), "right everywhere else; there autograd is zero",
        ((5, 6),),
    ),
    "last tile": Planted(
        _where(lambda x: _rows(x) >= len(x) // 8 * 8), "no multiple of the block size", ((11, 6),), ((28, 10),)
    ),
    "border": Planted(_where(_rim), "only at the border of the last 2 axes", ((5, 6),), ((20, 20),)),
    "negative": Planted(_where(lambda x: x < 0), "only where input0 is negative", ((5, 6),)),
    "beyond": Planted(_where(lambda x: x.abs() > 0.7), "only where |input0| is above some value between", ((5, 6),)),
    "one element": Planted(
        _where(lambda x: torch.arange(x.numel()).reshape(x.shape) == 7), "only 1 of", ((4, 5),)
    ),
    "duplicates overwrite": Planted(
        rewritten(Gather, overwriting), "only the last one's gradient is kept: they overwrite", ((7, 3),), ((40, 30),)
    ),
    "duplicates meant": Planted(
        rewritten(Gather, averaging), "are averaged, they must add up", ((7, 3),), ((40, 30),)
    ),
    "cotangent ignored": Planted(_swish(torch.ones_like), "the incoming gradient is ignored"),
    "cotangent's size": Planted(_swish(torch.abs), "uses its absolute value"),
    "cotangent clamped": Planted(_swish(lambda v: v.clamp(-1, 1)), "is clamped to -1 .. 1"),
    "cotangent summed": Planted(_swish(lambda v: v.sum().expand(v.shape)), "is summed over all elements first"),
    "first output alone": Planted(
        rewritten(SinCos, lambda ctx, a, b: a * ctx.saved_tensors[0].cos()), "output 1 of 2 is left out"
    ),
    "second output's sign": Planted(
        rewritten(SinCos, lambda ctx, a, b: a * ctx.saved_tensors[0].cos() + b * ctx.saved_tensors[0].sin()),
        "output 1 of 2 has the wrong sign",
    ),
    "bias of the first row": Planted(
        rewritten(Bias, lambda ctx, *g: (2 * g[0], g[0][0])),
        "only index 0 (the first) of axis 0 of the output counts: a sum over the others is missing",
        ((6, 5), (5,)), ((6, 400), (400,)), "input1",
    ),
    "last row not summed": Planted(
        rewritten(Bias, lambda ctx, *g: (2 * g[0], g[0][:-1].sum(0))),
        "index 5 (the last) of axis 0 of the output is left out",
        ((6, 5), (5,)), ((6, 400), (400,)), "input1",
    ),
    "softmax without its sum": Planted(
        rewritten(Softmax, lambda ctx, *g: ctx.saved_tensors[0] * g[0]),
        "the difference is output 0's value times a number that is constant along axis 1",
    ),
    "mean missing": Planted(
        rewritten(Centred, lambda ctx, *g: g[0] + 0), "the difference is a number that is constant along axis 1"
    ),
    "one sample missing": Planted(
        matmul(_left, lambda g, a, b: a.t() @ g - 0.5 * torch.outer(a[2], g[2])),
        "index 2 of axis 0 of the output counts 0.5 times", **PRODUCT, wrong="input1",
    ),
    "rank-one term": Planted(
        matmul(_left, lambda g, a, b: a.t() @ g + torch.outer(b[:, 0], b[0])),
        "the difference has rank 1", ((5, 6), (6, 7)), ((20, 30), (30, 18)), "input1",
    ),
}  # fmt: skip
