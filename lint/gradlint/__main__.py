"""`python -m gradlint` and the program `gradlint`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from gradlint.cli import INTERRUPTED, main


def run() -> NoReturn:
    """Run gradlint and end the process with its exit status."""
    status = main()
    if status == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(status)  # Python would wait for the thread that may be at a large file
    sys.exit(status)


if __name__ == "__main__":
    run()
