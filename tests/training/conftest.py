from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small nets gain nothing from more threads; on a busy machine their waiting costs fifty times more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def torch_loaded_whole() -> None:
    """An optimizer's first step loads further parts of torch; a pytest run inside a test would take them away again."""
    import torch._inductor.test_operators

    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()
