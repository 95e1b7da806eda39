"""GRD703: the misspelt attribute freezes nothing and asks for no gradient; the fixed one does."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


@pytest.mark.parametrize(("name", "has_gradient"), [("require_grad", True), ("requires_grad", False)])
def test_only_the_right_name_freezes_a_parameter(name: str, has_gradient: bool) -> None:
    net = nn.Linear(2, 2)
    setattr(net.weight, name, False)
    net(torch.ones(1, 2)).sum().backward()
    assert (net.weight.grad is not None) is has_gradient


@pytest.mark.parametrize(("name", "tracked"), [("require_grad", False), ("requires_grad", True)])
def test_only_the_right_name_tracks_a_tensor(name: str, tracked: bool) -> None:
    x = torch.ones(2)
    setattr(x, name, True)
    assert (x * 2).requires_grad is tracked


def test_as_a_keyword_it_raises() -> None:
    with pytest.raises(TypeError):
        torch.zeros(2, require_grad=True)


def test_on_a_module_even_the_right_name_freezes_nothing() -> None:
    net = nn.Linear(2, 2)
    net.requires_grad = False  # type: ignore[assignment]
    assert net.weight.requires_grad
    net.requires_grad_(False)
    assert not net.weight.requires_grad
