"""`--fashion-mnist-download`: when it fetches, what it shows, and how it fails. No test leaves this machine."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pytest_gradcheck.data import download
from pytest_gradcheck.data.download import File

LOADS = "def test_data(fashion_mnist): assert fashion_mnist().real"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """No log."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory, on a machine where no root is named."""
    monkeypatch.delenv("FASHION_MNIST_ROOT", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    return tmp_path / "cache" / "fashion-mnist" / "FashionMNIST" / "raw"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mirror on this machine with two pictures a split; the folder that it serves."""
    served = tmp_path / "served"
    served.mkdir()
    sums = []
    for split in ("train", "t10k"):
        images = struct.pack(">4I", 0x803, 2, 28, 28) + bytes(2 * 28 * 28)
        labels = struct.pack(">2I", 0x801, 2) + bytes(2)
        for name, content in ((f"{split}-images-idx3-ubyte.gz", images), (f"{split}-labels-idx1-ubyte.gz", labels)):
            data = gzip.compress(content)
            (served / name).write_bytes(data)
            sums.append(File(name, len(data), hashlib.sha256(data).hexdigest()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(download, "FILES", tuple(sums))
    monkeypatch.setattr(download, "MIRRORS", (f"http://127.0.0.1:{server.server_port}",))
    yield served
    server.shutdown()
    server.server_close()


def test_without_the_option_nothing_is_fetched(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    pytester.makepyfile("def test_data(fashion_mnist): assert not fashion_mnist().real")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    assert not cache.exists()


def test_the_option_fetches_once_and_says_so(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    pytester.makepyfile(LOADS)
    first = pytester.runpytest_inprocess("--fashion-mnist-download")
    first.assert_outcomes(passed=1)
    first.stdout.fnmatch_lines(["Fashion-MNIST: train-images-idx3-ubyte.gz 0.0 of 0.0 MB", f"Fashion-MNIST: {cache}"])
    for path in mirror.iterdir():
        path.unlink()  # a second fetch would fail
    second = pytester.runpytest_inprocess("--fashion-mnist-download")
    second.assert_outcomes(passed=1)
    second.stdout.no_fnmatch_line("*MB")


def test_the_ini_twin_and_its_switch(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    pytester.makepyfile(LOADS)
    pytester.makeini("[pytest]\nfashion_mnist_download = true")
    pytester.runpytest_inprocess("--no-fashion-mnist-download").assert_outcomes(failed=1)
    assert not cache.exists()
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_named_root_and_collect_only_fetch_nothing(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    pytester.makepyfile("def test_data(): pass")
    pytester.runpytest_inprocess("--fashion-mnist-download", "--collect-only")
    pytester.runpytest_inprocess("--fashion-mnist-download", f"--fashion-mnist-root={mirror}")
    assert not cache.exists()


def test_a_failure_is_one_error_before_any_test(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    (mirror / "t10k-images-idx3-ubyte.gz").unlink()
    pytester.makepyfile(LOADS)
    result = pytester.runpytest_inprocess("--fashion-mnist-download")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: t10k-images-idx3-ubyte.gz of Fashion-MNIST could not be downloaded:",
            "  http://127.0.0.1:*/t10k-images-idx3-ubyte.gz answers 404 File not found",
            "Try again (files that are complete are kept), or put the four files into * by hand.*",
        ]
    )
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_under_xdist_the_controller_fetches(pytester: pytest.Pytester, cache: Path, mirror: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_inprocess("--fashion-mnist-download", "-n2")
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count("t10k-labels-idx1-ubyte.gz") == 1
    assert len(list(cache.iterdir())) == 4
