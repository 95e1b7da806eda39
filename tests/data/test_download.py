"""Fetching Fashion-MNIST, from a server on this machine that breaks off, lies and stalls."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck.data import download
from pytest_gradcheck.data.download import File, fetch
from pytest_gradcheck.data.roots import cache_root
from pytest_gradcheck.errors import UsageProblem

CONTENT = {"a.gz": bytes(range(256)) * 300, "b.gz": b"labels" * 50}
FILES = tuple(File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items())
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def whole(request: BaseHTTPRequestHandler, data: bytes, promised: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(data) if promised is None else promised))
    request.end_headers()
    request.wfile.write(data)


def breaks_off(request: BaseHTTPRequestHandler, data: bytes) -> None:
    whole(request, data[: len(data) // 2], promised=len(data))
    request.connection.shutdown(socket.SHUT_RDWR)


def lies(request: BaseHTTPRequestHandler, data: bytes) -> None:
    whole(request, b"?" * len(data))


def sends_a_login_page(request: BaseHTTPRequestHandler, data: bytes) -> None:
    whole(request, b"<html>log in first</html>")


def never_ends(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65536)
    except OSError:
        pass


def is_missing(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_error(404)


class Mirror(ThreadingHTTPServer):
    """A server on this machine that answers every request in one way, and counts them."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        self.asked: list[str] = []
        self.stop_stalling = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                mirror.asked.append(name)
                answer(self, CONTENT[name])

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fashion"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Mirror]]:
    """Starts mirrors, and stops them after the test."""
    running: list[Mirror] = []

    def start(answer: Answer) -> Mirror:
        mirror = Mirror(answer)
        threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(mirror)
        return mirror

    yield start
    for mirror in running:
        mirror.stop_stalling.set()
        mirror.shutdown()
        mirror.server_close()


Serve = Callable[[Answer], Mirror]


def names(folder: Path) -> list[str]:
    """All that lies in the folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_the_files_arrive_whole_in_the_cache_with_progress(serve: Serve) -> None:
    mirror = serve(whole)
    seen: list[tuple[str, int, int]] = []
    folder = fetch(progress=lambda *step: seen.append(step), mirrors=[mirror.address], files=FILES)
    assert folder == cache_root() / "FashionMNIST" / "raw"
    assert {name: (folder / name).read_bytes() for name in names(folder)} == CONTENT
    assert seen[0][0] == "a.gz" and seen[0][1] < len(CONTENT["a.gz"]), "progress is shown inside a file too"
    assert seen[-1] == ("b.gz", len(CONTENT["b.gz"]), len(CONTENT["b.gz"]))


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(serve: Serve, tmp_path: Path) -> None:
    mirror = serve(whole)
    (tmp_path / "a.gz").write_bytes(CONTENT["a.gz"])
    (tmp_path / "b.gz").write_bytes(b"x" * len(CONTENT["b.gz"]))
    fetch(tmp_path, mirrors=[mirror.address], files=FILES)
    assert mirror.asked == ["b.gz"]
    assert (tmp_path / "b.gz").read_bytes() == CONTENT["b.gz"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (breaks_off, r"(ended|broke off) after \d+ of 76800 bytes"),
        (lies, f"sent other content: its SHA-256 is {hashlib.sha256(b'?' * 76800).hexdigest()}, the file's is "),
        (sends_a_login_page, "ended after 25 of 76800 bytes"),
        (never_ends, "sends more than the file's 76800 bytes"),
        (is_missing, "answers 404 Not Found"),
    ],
)
def test_a_bad_mirror_is_named_and_leaves_nothing(answer: Answer, said: str, serve: Serve, tmp_path: Path) -> None:
    bad = serve(answer)
    with pytest.raises(UsageProblem) as caught:
        fetch(tmp_path, mirrors=[bad.address], files=FILES)
    text = str(caught.value)
    assert text.startswith("a.gz of Fashion-MNIST could not be downloaded:\n")
    assert re.search(rf"^  {re.escape(bad.address)}/a\.gz {said}", text, re.MULTILINE)
    assert f"put the four files into {tmp_path} by hand" in text
    assert names(tmp_path) == []
    fetch(tmp_path, mirrors=[bad.address, serve(whole).address], files=FILES)
    assert names(tmp_path) == ["a.gz", "b.gz"], "the second mirror stands in for the first"


def test_a_stalling_mirror_is_left_after_the_given_time(serve: Serve, tmp_path: Path) -> None:
    def stalls(request: BaseHTTPRequestHandler, data: bytes) -> None:
        whole(request, data[:1000], promised=len(data))
        request.wfile.flush()
        assert isinstance(request.server, Mirror)
        request.server.stop_stalling.wait(30)

    bad = serve(stalls)
    with pytest.raises(UsageProblem, match=r"stalled: no byte for 0\.2 s after \d+ of 76800"):
        fetch(tmp_path, mirrors=[bad.address], files=FILES, stall=0.2)
    assert names(tmp_path) == []


def test_a_mirror_that_nobody_runs_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UsageProblem, match=rf"127\.0\.0\.1:{port}/a\.gz cannot be reached: "):
        fetch(tmp_path, mirrors=[f"http://127.0.0.1:{port}"], files=FILES)


def test_files_fetched_before_a_failure_are_kept(serve: Serve, tmp_path: Path) -> None:
    def only_the_first(request: BaseHTTPRequestHandler, data: bytes) -> None:
        (whole if request.path.endswith("a.gz") else breaks_off)(request, data)

    mirror = serve(only_the_first)
    with pytest.raises(UsageProblem, match=r"^b\.gz of Fashion-MNIST could not be downloaded"):
        fetch(tmp_path, mirrors=[mirror.address], files=FILES)
    assert names(tmp_path) == ["a.gz"]


def test_control_c_leaves_nothing_half_written(serve: Serve, tmp_path: Path) -> None:
    def interrupt(name: str, done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, interrupt, mirrors=[serve(whole).address], files=FILES)
    assert names(tmp_path) == []


def test_a_failing_rename_leaves_nothing(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageProblem, match=f"^Fashion-MNIST cannot be written to {tmp_path}: No space left on device$"):
        fetch(tmp_path, mirrors=[serve(whole).address], files=FILES)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageProblem, match=r"^Fashion-MNIST cannot be written to .*raw: "):
        fetch(tmp_path / "file" / "raw", mirrors=[], files=FILES)


def test_the_official_files_are_torchvisions() -> None:
    assert [file.name for file in download.FILES] == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in download.FILES)
