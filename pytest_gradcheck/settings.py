"""Every option of a gradient check, validated and resolved in one place.

A layer is a dict of options in which None (or absence) means unset. `resolve` takes layers from the strongest to the
weakest: call, marker, command line, ini. What no layer sets takes the default.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pytest_gradcheck.errors import UsageProblem

MODES = ("auto", "elementwise", "projection", "central")
DTYPES = ("float64", "float32", "float16", "bfloat16")
DEVICES = ("cpu", "cuda", "mps", "xpu", "auto")
CHECKS = (
    "determinism",
    "vjp",
    "cotangent",
    "contract",
    "needs-input-grad",
    "mutation",
    "reentrant",
    "outputs",
    "leak",
    "jvp",
    "vmap",
    "native-forward",
    "precision",
    "second-order",
)
#: The central step that fits a dtype when the user names none: near the fourth-order optimum of its rounding error.
DEFAULT_EPS = {"float64": 1e-5, "float32": 1e-2, "float16": 1e-1, "bfloat16": 2e-1}


@dataclass(frozen=True)
class Settings:
    """The resolved options of one check.

    Attributes:
        eps: Central step, and the first step of a sweep; in units of the input.
        bands: Relative errors up to which a gradient is GOOD, and SUSPICIOUS; above the second it is WRONG.
        mode: "auto", "elementwise", "projection" or "central" (the plain quotient at exactly `eps`).
        order: 1, 2, or None: 2 for custom Functions that allow it, else 1.
        dtype: Name of the floating dtype in which the check computes.
        device: Device to move the subject and its inputs to, or None to leave them where they are.
        seed: Seed of every random draw of the check.
        strict: Whether anything but GOOD fails.
        budget: Seconds after which no new measurement starts, or None.
        checks: Names of the checks to run, in their order.
    """

    eps: float = 1e-5
    bands: tuple[float, float] = (1e-5, 1e-3)
    mode: str = "auto"
    order: int | None = None
    dtype: str = "float64"
    device: str | None = None
    seed: int = 0
    strict: bool = False
    budget: float | None = None
    checks: tuple[str, ...] = CHECKS

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON's own types."""
        return asdict(self) | {"bands": list(self.bands), "checks": list(self.checks)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """The inverse of `to_dict`; options that are not known are left out."""
        known = {name: value for name, value in data.items() if name in NAMES}
        return cls(**{**known, "bands": tuple(data["bands"]), "checks": tuple(data["checks"])})


NAMES = tuple(field.name for field in fields(Settings))


def resolve(*layers: Mapping[str, Any]) -> Settings:
    """The settings that the layers (strongest first) add up to.

    Raises:
        UsageProblem: An option is unknown, or its value has the wrong type or range.
    """
    chosen: dict[str, Any] = {}
    for layer in reversed(layers):
        chosen |= validate(layer)
    chosen.setdefault("eps", DEFAULT_EPS[chosen.get("dtype", "float64")])
    return Settings(**chosen)


def validate(layer: Mapping[str, Any], spell: Callable[[str], str] = lambda name: name) -> dict[str, Any]:
    """The options that `layer` sets, each in its final type.

    Args:
        layer: Options by their name in `Settings`; None means unset.
        spell: How the user wrote an option's name, for the error message.

    Raises:
        UsageProblem: An option is unknown, or its value has the wrong type or range.
    """
    for name in layer:
        if name not in NAMES:
            raise UsageProblem(f"unknown option {spell(name)!r}{suggestion(name, NAMES)}; known are {', '.join(NAMES)}")
    return {name: _READERS[name](value, spell(name)) for name, value in layer.items() if value is not None}


def suggestion(word: str, known: Iterable[str]) -> str:
    """A phrase that names the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _positive(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not (math.isfinite(number) and number > 0):
        raise UsageProblem(f"{name} must be a positive number, not {value!r}")
    return number


def _bands(value: Any, name: str) -> tuple[float, float]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        low, high = parts
    except (TypeError, ValueError):
        raise UsageProblem(f"{name} must be two numbers, such as 1e-5,1e-3, not {value!r}") from None
    low, high = _positive(low, name), _positive(high, name)
    if low > high:
        raise UsageProblem(f"{name} must rise from the GOOD bound to the SUSPICIOUS one, not {value!r}")
    return low, high


def _word(known: tuple[str, ...]) -> Callable[[Any, str], str]:
    def read(value: Any, name: str) -> str:
        word = str(value).removeprefix("torch.")
        if word not in known:
            raise UsageProblem(f"{name} must be one of {', '.join(known)}, not {word!r}{suggestion(word, known)}")
        return word

    return read


def _device(value: Any, name: str) -> str:
    kind, colon, index = str(value).partition(":")
    if kind not in DEVICES or (colon and not index.isdigit()):
        raise UsageProblem(f"{name} must be one of {', '.join(DEVICES)}, not {str(value)!r}{suggestion(kind, DEVICES)}")
    return str(value)


def _order(value: Any, name: str) -> int:
    if isinstance(value, bool) or str(value) not in {"1", "2"}:
        raise UsageProblem(f"{name} must be 1 or 2, not {value!r}")
    return int(value)


def _integer(value: Any, name: str) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise TypeError
        number = int(value)
    except (TypeError, ValueError):
        raise UsageProblem(f"{name} must be a whole number, not {value!r}") from None
    if not 0 <= number < 2**63:
        raise UsageProblem(f"{name} must lie in 0 .. 2**63 - 1, not {value!r}")
    return number


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise UsageProblem(f"{name} must be True or False, not {value!r}")
    return value


def _checks(value: Any, name: str) -> tuple[str, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, Iterable):
        raise UsageProblem(f"{name} must be a list of names out of {', '.join(CHECKS)}, not {value!r}")
    read = _word(CHECKS)
    chosen = {read(word, name) for word in words}
    if not chosen:
        raise UsageProblem(f"{name} must name at least one of {', '.join(CHECKS)}")
    return tuple(check for check in CHECKS if check in chosen)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "eps": _positive,
    "bands": _bands,
    "mode": _word(MODES),
    "order": _order,
    "dtype": _word(DTYPES),
    "device": _device,
    "seed": _integer,
    "strict": _flag,
    "budget": _positive,
    "checks": _checks,
}
