"""GRD305: each misuse of the tuple raises in backward; the safe fixes give the right gradient."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")


def gradient(body: str) -> Any:
    """The gradient of a square whose `backward` has this body."""
    lines = "\n        ".join(body.splitlines())
    space: dict[str, Any] = {"torch": torch}
    exec(
        f"""
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, grad):
        {lines}
""",
        space,
    )
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    space["Square"].apply(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize(
    ("bad", "fixed"),
    [
        ("x = ctx.saved_tensors\nreturn grad * 2 * x", "(x,) = ctx.saved_tensors\nreturn grad * 2 * x"),
        ("x = ctx.saved_tensors\nreturn 2 * x.mul(grad)", "(x,) = ctx.saved_tensors\nreturn 2 * x.mul(grad)"),
        ("return grad * 2 * ctx.saved_tensors.clone()", "return grad * 2 * ctx.saved_tensors[0].clone()"),
        ("return 2 * torch.mul(ctx.saved_tensors, grad)", "return 2 * torch.mul(ctx.saved_tensors[0], grad)"),
    ],
)
def test_the_tuple_as_a_tensor_raises_and_the_safe_fix_is_right(bad: str, fixed: str) -> None:
    with pytest.raises((TypeError, AttributeError)):
        gradient(bad)
    assert gradient(fixed) == [6, 8]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("x, y = ctx.saved_tensors\nreturn grad", ValueError),
        ("() = ctx.saved_tensors\nreturn grad", ValueError),
        ("return grad * ctx.saved_tensors[1]", IndexError),
    ],
)
def test_another_number_than_was_saved_raises(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        gradient(body)
