"""How the failure of a marked thing is shown: its message, at the test, layer or model that it is about."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr


def located(item: pytest.Item, failure: pytest.ExceptionInfo[BaseException]) -> TerminalRepr:
    """A failure as its message and the line of the test or layer it is about: no way through the plugin."""
    cause = failure.value.__cause__
    found = failure.getrepr(style="value", chain=cause is not None and str(cause) not in str(failure.value))
    path, line, _ = item.location
    if line is None:
        return found
    entries = getattr(getattr(found, "reprtraceback", None), "reprentries", [])
    if entries and hasattr(entries[-1], "reprfileloc"):
        entries[-1].reprfileloc = ReprFileLocation(path, line + 1, failure.typename)
    crash = getattr(found, "reprcrash", None)
    if crash is not None:  # what --tb=line prints, and where editors and CI put a failure
        crash.path, crash.lineno = os.path.normpath(item.config.rootpath / path), line + 1
    return found


def line_of(target: Any) -> int | None:
    """The line, from 1, on which a class or function begins with its decorators; None where there is no source."""
    try:
        return inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return None
