"""The line of the user's code that an operation comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import FrameType

_TORCH = str(Path(torch.__file__).parent)
_OWN = str(Path(__file__).parent)
#: Stands between the user's code and every operation while a loop is watched.
_BETWEEN = str(Path(__file__).with_name("hooks.py"))
_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+)')


def line_of_frame(frame: FrameType | None) -> str | None:
    """The innermost line outside torch, from a frame inside an operation; None where only torch lies above the run."""
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back  # the observer itself
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_OWN) and file != _BETWEEN:
            return None  # the run that called the model: beyond it is whoever asked for the run
        if not file.startswith(_TORCH) and file != _BETWEEN:
            return _shown(file, frame.f_lineno)
        frame = frame.f_back
    return None


def line_of_node(node: torch.autograd.graph.Node) -> str | None:
    """The line whose forward made an autograd node, as anomaly mode noted it; None if it is not the user's."""
    noted: dict[str, list[str]] = getattr(node, "metadata")  # noqa: B009 - typed as a method by torch
    for entry in reversed(noted.get("traceback_", [])):
        match = _FRAME.search(entry)
        if match is None:
            continue
        file = match["file"]
        if file == _BETWEEN:
            continue
        if file.startswith(_OWN):
            return None
        if not file.startswith(_TORCH):
            return _shown(file, int(match["line"]))
    return None


def _shown(file: str, line: int) -> str:
    path = Path(file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"
