from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

pytest_plugins = ["pytester"]

# Whoever starts the suite in the background of a script leaves Ctrl-C ignored, and every process that a test starts and
# interrupts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
