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
