"""Profiles: for which kind of code the levels are meant.

`library` is the catalogue as it stands. `research` is for experiments that are run and rewritten: what only matters to
those who import, move or reload a model becomes info. `tutorial` is for teaching code, which shows historic networks,
formulas written by hand and naive starts on purpose: those rules become info, what is plainly wrong stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradlint.model import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Final = "library"
PROFILES: Final[Mapping[str, Mapping[str, Level]]] = {
    DEFAULT: {},
    "research": dict.fromkeys(("GRD106", "GRD602", "GRD608"), Level.INFO),
    "tutorial": dict.fromkeys(
        ("GRD101", "GRD103", "GRD104", "GRD105", "GRD201", "GRD202", "GRD502", "GRD503", "GRD602"),
        Level.INFO,
    ),
}
