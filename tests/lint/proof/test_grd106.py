"""GRD106: each old name warns, and does what the new one does."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from gradlint.rules.grd106_deprecated_init import _OLD  # noqa: E402
from torch.nn import init  # noqa: E402 - only where torch is

ARGUMENTS = {"constant": (3.0,), "sparse": (0.5,)}


@pytest.mark.parametrize("name", sorted(name.rpartition(".")[2] for name in _OLD))
def test_the_old_name_warns_and_calls_the_new_one(name: str) -> None:
    size = (4, 4, 3) if name == "dirac" else (4, 4)
    arguments = ARGUMENTS.get(name, ())
    torch.manual_seed(0)
    with pytest.warns(FutureWarning, match=f"{name}_"):
        old = getattr(init, name)(torch.empty(size), *arguments)
    torch.manual_seed(0)
    assert torch.equal(old, getattr(init, f"{name}_")(torch.empty(size), *arguments))
