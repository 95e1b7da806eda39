"""Reports as files: reading the JSON, writing JSON and HTML whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.session import SessionReport

INSTALL = "pip install 'pytest-gradcheck[report]'"
SUFFIXES = (".html", ".json")


def check_path(path: Path, spelled: str) -> Path:
    """The path of a report, seen to be one that can be written before the work that fills it begins.

    Raises:
        UsageProblem: It is neither .html nor .json, a folder, or lies where nothing can be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageProblem(f"{spelled} {path}: a report is a file that ends in .html or .json")
    if path.is_dir():
        raise UsageProblem(f"{spelled} {path}: this is a folder; name a file in it, such as {path / 'report.html'}")
    above = path.absolute().parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageProblem(f"{spelled} {path}: {above} is no folder that can be written to")
    return path


def missing() -> str | None:
    """The package that an HTML report needs and that is not installed, or None; imports neither."""
    return next((name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None), None)


def write(path: Path, session: SessionReport) -> Path:
    """Writes a report as its suffix says, folders and all; whatever stood there is replaced whole or stays whole.

    Returns:
        The file that was written: the JSON beside `path` where the HTML cannot be made here.

    Raises:
        OSError: The file cannot be written.
    """
    if path.suffix.lower() == ".html" and missing() is None:
        from pytest_gradcheck.render.page import render_page

        return replace(path, render_page(session))
    return replace(path.with_suffix(".json"), to_json(session))


def to_json(session: SessionReport) -> str:
    """The document as JSON text."""
    return json.dumps(session.to_dict(), allow_nan=False, ensure_ascii=True, separators=(",", ":")) + "\n"


def read(path: Path) -> SessionReport:
    """The session that a JSON report holds.

    Raises:
        UsageProblem: The file cannot be read, or is no such report; the message says what to do.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageProblem(f"{path} holds no JSON: {error}") from error
    try:
        return SessionReport.from_dict(data)
    except ValueError as error:
        raise UsageProblem(f"{path}: {error}; write it with --gradcheck-report or --json") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageProblem(
            f"{path} is no whole report of pytest-gradcheck ({type(error).__name__}: {error})"
        ) from error


def replace(asked: Path, text: str) -> Path:
    """Writes a file under another name beside it and renames it, so that nobody ever sees half of it.

    Raises:
        OSError: It cannot be written; what stood there is as it was.
    """
    path = Path(os.path.realpath(asked))  # a link stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        # mkstemp lets nobody else read; a report is a file like any other.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    return asked
