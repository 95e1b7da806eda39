"""A check leaves the subject, its inputs and every global random state as it found them, also when it fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import UsageProblem, check_gradients


class Interrupting(nn.Module):
    """Counts its calls, moves its buffers, draws random numbers, and raises when asked to."""

    def __init__(self, error: BaseException | None = None, after: int = 0) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))
        self.calls = 0
        self.error, self.after = error, after
        self.register_buffer("steps", torch.zeros(()))
        self.handle = lambda: None  # cannot be pickled; deepcopy shares it

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.cache = x
        assert isinstance(self.steps, Tensor)
        self.steps += 1
        random.random()
        np.random.rand()
        if self.error is not None and _SEEN.count() > self.after:
            raise self.error
        y: Tensor = self.inner(x)
        return y


class _Seen:
    number = 0

    def count(self) -> int:
        self.number += 1
        return self.number


_SEEN = _Seen()


def snapshot(module: nn.Module, *tensors: Tensor) -> dict[str, Any]:
    state = {name: value.clone() for name, value in module.state_dict().items()}
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()}
    flags = [(p.dtype, p.requires_grad, p.data_ptr(), id(p)) for p in module.parameters()]
    own = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    inputs = [(t.clone(), t.dtype, t.requires_grad, t.grad, t._version) for t in tensors]
    generators = [torch.get_rng_state(), random.getstate(), np.random.get_state()]
    modes = [part.training for part in module.modules()]
    return {
        "state": state, "grads": grads, "flags": flags, "own": own, "inputs": inputs, "rng": generators, "modes": modes,
        "default": torch.get_default_dtype(), "enabled": torch.is_grad_enabled(),
    }  # fmt: skip


def same(left: Any, right: Any) -> bool:
    if isinstance(left, (Tensor, np.ndarray)):
        return bool((torch.as_tensor(left) == torch.as_tensor(right)).all())
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def borrowed() -> Interrupting:
    module = Interrupting()
    module.lock = __import__("threading").Lock()
    return module


SUBJECTS: dict[str, Callable[[], tuple[nn.Module, Callable[..., Any]]]] = {
    "copied": lambda: (m := Interrupting(), m),
    "not copyable": lambda: (m := borrowed(), m),
    "captured": lambda: (m := Interrupting(), lambda x: m(x)),
    "raises": lambda: (m := Interrupting(ValueError("no")), m),
    "raises in the middle": lambda: (m := Interrupting(ValueError("no"), 20), m),
    "raises in the middle, captured": lambda: (m := Interrupting(ValueError("no"), 20), lambda x: m(x)),
    "ctrl-c": lambda: (m := Interrupting(KeyboardInterrupt(), 20), m),
    "ctrl-c, captured": lambda: (m := Interrupting(KeyboardInterrupt(), 20), lambda x: m(x)),
}


@pytest.mark.parametrize("case", SUBJECTS)
def test_everything_is_as_it_was(case: str) -> None:
    _SEEN.number = 0
    module, subject = SUBJECTS[case]()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    x = torch.randn(5, 3, requires_grad=True)
    before = snapshot(module, x)
    with torch.no_grad():
        enabled = torch.is_grad_enabled()
        try:
            check_gradients(subject, x)
        except (UsageProblem, KeyboardInterrupt) as error:
            assert "raises" in case or "ctrl-c" in case, error
        else:
            assert "raises" not in case and "ctrl-c" not in case
        assert torch.is_grad_enabled() is enabled
    after = snapshot(module, x)
    assert [key for key in before if not same(before[key], after[key])] == []


def test_the_comparison_can_fail() -> None:
    module, x = Interrupting(), torch.randn(5, 3)
    before = snapshot(module, x)
    module(x)
    after = snapshot(module, x)
    assert {key for key in before if not same(before[key], after[key])} >= {"state", "own", "rng"}


def test_inputs_that_the_subject_writes_into_stay() -> None:
    x = torch.randn(4)
    before = x.clone()
    check_gradients(lambda t: t.mul_(2), x)
    assert torch.equal(x, before)
