from __future__ import annotations

import pytest

from tests.one_thread import one_thread

__all__ = ["one_thread"]


@pytest.fixture(autouse=True, scope="session")
def torch_loaded_whole() -> None:
    """An optimizer's first step loads further parts of torch; a pytest run inside a test would take them away again."""
    import torch._inductor.test_operators

    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()
