"""GRD411: the class is no context manager, an instance is; decorators need no parentheses."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["no_grad", "enable_grad", "inference_mode", "set_grad_enabled"])
def test_the_class_raises(name: str) -> None:
    kind: Any = getattr(torch, name)
    with pytest.raises((TypeError, AttributeError)), kind:
        pass


@pytest.mark.parametrize("name", ["no_grad", "inference_mode"])
def test_the_safe_fix_and_the_bare_decorator_work(name: str) -> None:
    kind: Any = getattr(torch, name)
    x = torch.ones(1, requires_grad=True)
    with kind():
        assert not (x * 2).requires_grad

    @kind  # type: ignore[untyped-decorator]
    def double(value: Any) -> Any:
        return value * 2

    assert not double(x).requires_grad


def test_detect_anomaly_raises_too() -> None:
    kind: Any = torch.autograd.detect_anomaly
    with pytest.raises((TypeError, AttributeError)), kind:
        pass
