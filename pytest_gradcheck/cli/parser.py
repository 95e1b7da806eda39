"""How a command joins the command line."""

from __future__ import annotations

import argparse
from typing import Any


def command(commands: Any, name: str, said: str) -> argparse.ArgumentParser:
    """The parser of a new command; `said` stands in the list of commands and, as a sentence, above its own help."""
    own: argparse.ArgumentParser = commands.add_parser(name, help=said, description=f"{said[0].upper()}{said[1:]}.")
    return own
