"""GRD505: the implicit axis of a softmax is the batch for three dimensions; the fixed one is the classes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is
from torch.nn import functional  # noqa: E402


def axis_of(softmax: Any, dimensions: int) -> list[int]:
    x = torch.randn(*range(2, 2 + dimensions))
    out = softmax(x)
    return [axis for axis in range(dimensions) if torch.allclose(out.sum(axis), torch.ones(()), atol=1e-5)]


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize("softmax", [functional.softmax, nn.Softmax(), functional.softmin, nn.Softmin(None)])
@pytest.mark.parametrize(("dimensions", "axis"), [(1, 0), (2, 1), (3, 0), (4, 1), (5, 1)])
def test_the_implicit_axis(softmax: Any, dimensions: int, axis: int) -> None:
    assert axis_of(softmax, dimensions) == [axis]


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_the_fixed_one_normalises_the_last_axis(dimensions: int) -> None:
    assert axis_of(lambda x: functional.softmax(x, dim=-1), dimensions) == [dimensions - 1]


@pytest.mark.filterwarnings("ignore:Implicit dimension")
def test_one_sample_depends_on_the_others() -> None:
    x = torch.randn(2, 3, 4)
    changed = x.clone()
    changed[1] += 5
    assert not torch.allclose(functional.softmax(x)[0], functional.softmax(changed)[0])
    assert torch.equal(functional.softmax(x, dim=-1)[0], functional.softmax(changed, dim=-1)[0])


def test_it_warns_at_run_time() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        functional.softmax(torch.ones(2, 2))
