"""Plain data to and from JSON, with non-finite numbers spelt out because JSON has none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode_number(value: float) -> float | str:
    """A float as JSON can hold it: itself, or one of the strings "nan", "inf" and "-inf"."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def decode_number(value: Any) -> float:
    """The inverse of `encode_number`.

    Raises:
        ValueError: `value` is neither a number nor one of the three strings.
    """
    if isinstance(value, str):
        if value not in _NON_FINITE:
            raise ValueError(f"{value!r} is not a number")
        return _NON_FINITE[value]
    return float(value)


def encode(value: Any) -> Any:
    """Plain data (None, str, bool, numbers, enums, lists, tuples, dicts with string keys) in JSON's own types."""
    if isinstance(value, Enum):
        return encode(value.value)
    if isinstance(value, float):
        return encode_number(value)
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The items of `data` that are fields of the dataclass `kind`: what a newer version added is left out."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in data.items() if key in names}


def pruned(kind: Any, data: Any) -> Any:
    """`data` without what the type `kind` does not know, however deep inside: a newer version's report still reads.

    Args:
        kind: A dataclass, or the type of one of its fields.
        data: JSON's own types, as `encode` made them of such a value.
    """
    if is_dataclass(kind) and isinstance(data, Mapping):
        hints = get_type_hints(kind)
        kept = {key: pruned(hints[key], value) for key, value in data.items() if key in hints}
        return kept | {key: data[key] for key in ("version",) if key in data}
    inner = [part for part in get_args(kind) if is_dataclass(part) or get_args(part)]
    if not inner:
        return data
    return [pruned(inner[0], item) for item in data] if isinstance(data, list) else pruned(inner[0], data)
