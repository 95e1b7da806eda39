"""GRD302: an output on the context outlives its last reference, two outputs for ever; saved, it does not."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

torch = pytest.importorskip("torch")
from torch.autograd import Function  # noqa: E402 - only where torch is


def double(keep: Any, apart: bool) -> Any:
    """A Function with two outputs that keeps them in its way, on the context or with setup_context."""

    class Double(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y, z = x.exp(), x.sin()
            keep(ctx, y, z)
            return y, z

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    class Apart(Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x.exp(), x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            keep(ctx, *output)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    return Apart if apart else Double


def one(ctx: Any, y: Any, _: Any) -> None:
    ctx.y = y


def one_in_a_tuple(ctx: Any, y: Any, _: Any) -> None:
    ctx.y = (y,)


def both(ctx: Any, y: Any, z: Any) -> None:
    ctx.both = [y, z]


def each(ctx: Any, y: Any, z: Any) -> None:
    ctx.y, ctx.z = y, z


def saved(ctx: Any, y: Any, z: Any) -> None:
    ctx.save_for_backward(y, z)


def detached(ctx: Any, y: Any, z: Any) -> None:
    ctx.y, ctx.z = y.detach(), z.clone()


def marked(ctx: Any, y: Any, z: Any) -> None:
    ctx.both = y, z
    ctx.mark_non_differentiable(y, z)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left(keep: Any, backward: bool, apart: bool) -> Any:
    """A weak reference to the output when the last other reference is gone."""
    y, _ = double(keep, apart).apply(torch.ones(3, requires_grad=True))
    if backward and y.requires_grad:
        y.sum().backward()
    return weakref.ref(y)


WAYS = pytest.mark.parametrize(("backward", "apart"), [(False, False), (True, False), (False, True), (True, True)])


@WAYS
@pytest.mark.parametrize("keep", [one, one_in_a_tuple])
def test_it_lives_until_the_collector_runs(keep: Any, backward: bool, apart: bool) -> None:
    reference = left(keep, backward, apart)
    assert reference() is not None
    gc.collect()
    assert reference() is None


@WAYS
@pytest.mark.parametrize("keep", [both, each])
def test_two_are_never_freed(keep: Any, backward: bool, apart: bool) -> None:
    reference = left(keep, backward, apart)
    gc.collect()
    gc.collect()
    assert reference() is not None


@WAYS
@pytest.mark.parametrize("keep", [saved, detached, marked])
def test_saved_detached_copied_and_marked_ones_are_freed_at_once(keep: Any, backward: bool, apart: bool) -> None:
    assert left(keep, backward, apart)() is None


def test_an_input_that_is_returned_makes_no_cycle() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x
            return x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad

    y = Same.apply(torch.ones(3, requires_grad=True))  # type: ignore[no-untyped-call]
    reference = weakref.ref(y)
    del y
    assert reference() is None
