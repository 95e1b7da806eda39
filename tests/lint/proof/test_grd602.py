"""GRD602: a plain tensor is neither saved nor moved; a buffer is both, and a constant one is only moved."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

PLAIN = "self.mean = torch.zeros(3)"
BUFFER = 'self.register_buffer("mean", torch.zeros(3))'
CONSTANT = 'self.register_buffer("mean", torch.zeros(3), persistent=False)'
CODE = """
class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        {made}

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean
"""


def norm(made: str) -> Any:
    space: dict[str, Any] = {"nn": nn, "torch": torch}
    exec(CODE.format(made=made), space)
    return space["Norm"]()


@pytest.mark.parametrize(("made", "kept"), [(PLAIN, 0.0), (BUFFER, 0.5)])
def test_what_was_gathered_is_lost_on_save(made: str, kept: float) -> None:
    trained, loaded = norm(made), norm(made)
    trained(torch.full((4, 3), 5.0))
    assert float(trained.mean[0]) == 0.5
    loaded.load_state_dict(trained.state_dict())
    assert float(loaded.mean[0]) == kept


@pytest.mark.parametrize(("made", "entries"), [(PLAIN, 0), (BUFFER, 1), (CONSTANT, 0)])
def test_the_entries_of_the_state_dict(made: str, entries: int) -> None:
    assert len(norm(made).state_dict()) == entries


@pytest.mark.parametrize("made", [BUFFER, CONSTANT])
def test_only_a_buffer_is_moved(made: str) -> None:
    x = torch.ones(4, 3, device="meta")
    assert norm(PLAIN).double().mean.dtype == torch.float32
    assert norm(made).double().mean.dtype == torch.float64
    with pytest.raises(RuntimeError):
        norm(PLAIN).eval().to("meta")(x)
    assert norm(made).eval().to("meta")(x).device.type == "meta"
