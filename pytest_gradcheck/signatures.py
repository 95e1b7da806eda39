"""The parameters of a function or class, also where its annotations cannot be evaluated."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature; from Python 3.14 on, an annotation whose name exists only for type checkers stays a word.

    Until 3.13 an annotation of such a name is a string or an error of the definition; since then it is evaluated by
    whoever asks for the signature, and may raise there.

    Raises:
        TypeError, ValueError: It has none, as for `inspect.signature`.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)
