"""GRD416: eval() keeps the activations of every layer for backward(); no_grad keeps none."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

LAYERS = 10


def _forward(*, recorded: bool) -> tuple[Any, int]:
    """The output, and how many layers' activations the graph keeps."""
    torch.manual_seed(0)
    net = nn.Sequential(*(layer for _ in range(LAYERS) for layer in (nn.Linear(4, 4), nn.Tanh()))).eval()
    kept: set[int] = set()

    def pack(tensor: Any) -> Any:
        if tensor.grad_fn is not None and "Tanh" in type(tensor.grad_fn).__name__:
            kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.set_grad_enabled(recorded):
        return net(torch.ones(2, 4)), len(kept)


def test_eval_keeps_the_activations_of_every_layer() -> None:
    assert _forward(recorded=True)[1] == LAYERS
    assert _forward(recorded=False)[1] == 0


def test_the_fix_changes_no_number() -> None:
    assert torch.equal(_forward(recorded=True)[0], _forward(recorded=False)[0])


def test_the_decorator_does_what_the_context_does() -> None:
    net = nn.Linear(2, 1).eval()
    assert net(torch.ones(1, 2)).requires_grad
    assert not torch.no_grad()(net)(torch.ones(1, 2)).requires_grad
