"""Notebooks for tests, written as Jupyter writes them."""

from __future__ import annotations

import json
from typing import Any


def code(text: str, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 7,
        "metadata": metadata,
        "outputs": [{"name": "stdout", "output_type": "stream", "text": ["require_grad\n"]}],
        "source": text.splitlines(keepends=True),
    }


def prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def notebook(*cells: str | dict[str, Any], language: str | None = "python", indent: int = 1) -> str:
    content = {
        "cells": [code(cell) if isinstance(cell, str) else cell for cell in cells],
        "metadata": {"language_info": {"name": language}} if language else {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"
