"""Getting numbers from the device to the host: at once, or late and without making either wait for the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Transfer(Protocol):
    """A copy to the host that is on its way."""

    def ready(self) -> bool:
        """Whether the numbers are there."""

    def wait(self) -> torch.Tensor:
        """The numbers, when they are there."""


class Reader:
    """Reads numbers at once: the host waits for the device, which on a CPU costs nothing.

    Attributes:
        late: Whether numbers may come back after the step in which they were sent.
    """

    late = False

    def exchange(self, values: torch.Tensor, note: Any) -> list[tuple[torch.Tensor, Any]]:
        """Send some numbers and get all that have arrived, oldest first, each with the note sent along."""
        return [(values.cpu(), note)]

    def rest(self) -> list[tuple[torch.Tensor, Any]]:
        """What was sent and has not been given yet."""
        return []


class LateReader(Reader):
    """Reads numbers one step later, or when they are there: no healthy step waits for the device.

    Args:
        transfer: Starts a copy of a tensor to the host.
    """

    late = True
    #: Copies on their way at a time; the host never runs further ahead of the device than this.
    DEPTH = 2

    def __init__(self, transfer: Callable[[torch.Tensor], Transfer] | None = None) -> None:
        self._transfer = transfer or PinnedTransfer
        self._sent: deque[tuple[Transfer, Any]] = deque()

    def exchange(self, values: torch.Tensor, note: Any) -> list[tuple[torch.Tensor, Any]]:
        """As `Reader.exchange`; what is sent now is given at the earliest by the next call."""
        arrived = []
        while self._sent and (self._sent[0][0].ready() or len(self._sent) >= self.DEPTH):
            transfer, old = self._sent.popleft()
            arrived.append((transfer.wait(), old))
        self._sent.append((self._transfer(values), note))
        return arrived

    def rest(self) -> list[tuple[torch.Tensor, Any]]:
        """As `Reader.rest`: waits for what is still on its way."""
        left = [(transfer.wait(), note) for transfer, note in self._sent]
        self._sent.clear()
        return left


class PinnedTransfer:
    """A copy into pinned memory, with an event that tells when it is done."""

    def __init__(self, values: torch.Tensor) -> None:
        device = torch.get_device_module(values.device)
        with device.device(values.device):
            self._target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._target.copy_(values, non_blocking=True)
            self._event = device.Event()
            self._event.record()

    def ready(self) -> bool:
        """Whether the copy is done; asks, and does not wait."""
        return bool(self._event.query())

    def wait(self) -> torch.Tensor:
        """The numbers; waits for the copy, and for nothing that was started after it."""
        self._event.synchronize()
        return self._target


def reader_for(device: torch.device) -> Reader:
    """The reader that suits a device: a late one on CUDA, where reading at once would stop the pipeline."""
    return LateReader() if device.type == "cuda" else Reader()
