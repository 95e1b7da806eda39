"""GRD706: super of a class that is no ancestor raises; of a base, that base's __init__ is skipped."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Old(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 1)


def test_a_class_that_is_no_ancestor_raises_and_the_fix_does_not() -> None:
    class New(nn.Module):
        def __init__(self) -> None:
            super(Old, self).__init__()  # type: ignore[misc]

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()

    with pytest.raises(TypeError, match="instance or subtype of type"):
        New()
    assert list(Fixed().parameters()) == []


def test_a_base_is_skipped() -> None:
    class Below(Old):
        def __init__(self) -> None:
            super(Old, self).__init__()

    assert not hasattr(Below(), "fc")
