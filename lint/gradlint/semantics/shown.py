"""What shows a value to people, so that nothing differentiates it there: printing, loggers, numbers for a text."""

from __future__ import annotations

from typing import Final

from gradlint.words import words

# Methods of whatever takes the value, or of the value itself. `torch.log` is none: ask for the full name first.
SHOWING: Final = words("item detach info debug warning add_scalar log write set_postfix set_description format tolist")
SHOWN_BY: Final = words(
    "builtins.print builtins.float builtins.str builtins.round builtins.format builtins.len math.isnan"
)
