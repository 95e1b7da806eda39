"""The global random number generators: reseeded before every evaluation, put back bit for bit at the end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def untouched(device: torch.device) -> Iterator[None]:
    """Leaves torch's (CPU and `device`), numpy's and Python's global generators as they were found."""
    cpu, python, legacy = torch.get_rng_state(), random.getstate(), np.random.get_state()
    accelerator = _module(device)
    state = accelerator.get_rng_state(device) if accelerator else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        random.setstate(python)
        np.random.set_state(legacy)
        if accelerator:
            accelerator.set_rng_state(state, device)


#: Evaluations after which a generator of Python's or numpy's that nobody drew from is left alone.
WATCHED = 3


class Replayed:
    """Makes every evaluation draw the same random numbers, so that dropout and noise become deterministic functions.

    The states that follow the seed are made once and set again before every evaluation that finds them moved. Looking
    is cheap for torch's generator and dear for the others, so those are set again only if an early evaluation moved
    them: setting all of them every time would cost more than the evaluation of a small layer.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        self._device = device
        self._accelerator = _module(device)
        self._torch = torch.get_rng_state()
        self._python = random.getstate()
        self._numpy: Any = np.random.get_state()
        self._state = self._accelerator.get_rng_state(device) if self._accelerator else None
        self._watched = WATCHED
        self._drawn = {"python": False, "numpy": False}

    def restart(self) -> None:
        """Sets the global generators to the states that follow the seed."""
        if not torch.equal(torch.get_rng_state(), self._torch):
            torch.set_rng_state(self._torch)
        if self._watched:
            self._watched -= 1
            self._drawn["python"] |= random.getstate() != self._python
            self._drawn["numpy"] |= _numbers(np.random.get_state()) != _numbers(self._numpy)
        if self._drawn["python"]:
            random.setstate(self._python)
        if self._drawn["numpy"]:
            np.random.set_state(self._numpy)
        if self._accelerator:
            self._accelerator.set_rng_state(self._state, self._device)


def _numbers(state: Any) -> list[Any]:
    """numpy's legacy state in a form that compares: its second item is an array."""
    return [item.tobytes() if isinstance(item, np.ndarray) else item for item in state]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Runs a block with the global generators seeded, and puts them back."""
    # A CUDA context that nobody has made yet has no random state to keep, and making one costs memory.
    ready = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    device = torch.device("cuda" if ready else "cpu")
    with untouched(device):
        Replayed(seed, device)
        yield


def _module(device: torch.device) -> Any:
    """The torch module that owns a device's generator, or None for the CPU."""
    return None if device.type == "cpu" else torch.get_device_module(device)
