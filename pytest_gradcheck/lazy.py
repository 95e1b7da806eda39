"""Loading the torch side on first use: everything else in the plugin works where torch is absent."""

from __future__ import annotations

import importlib
from typing import Any

from pytest_gradcheck.errors import UsageProblem

INSTALL = "pip install 'pytest-gradcheck[torch]'"


def load(module: str, name: str, asked: str | None = None) -> Any:
    """The attribute `name` of a module that needs torch; `asked` is what the user asked for, where it is not `name`.

    Raises:
        UsageProblem: torch or numpy is not installed.
    """
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "numpy"}:
            raise
        raise UsageProblem(f"{asked or name} needs {error.name}, which is not installed: {INSTALL}") from error
