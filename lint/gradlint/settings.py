"""What a run is asked to do, resolved once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """What the rules themselves may ask for: the torch version the code is for, and options by rule code."""

    target_torch: tuple[int, int] | None = None
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
