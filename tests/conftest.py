from __future__ import annotations

import os
import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _the_same_numbers_on_every_run() -> None:
    """Seed torch where a test has loaded it; TESTS_SEED tries the suite on other numbers."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(int(os.environ.get("TESTS_SEED", "0")))


@pytest.fixture(autouse=True)
def _no_worker_of_xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest run inside a test is nobody's worker, also where the suite itself runs under `-n`."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)
