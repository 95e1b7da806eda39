"""Which files are tests: their networks are toys, made to have known numbers, and nobody trains them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gradlint.rule import Context

_TESTS: Final = re.compile(r"(?:^|/)(?:tests?|testing)/|(?:^|/)test_[^/]*$|_test\.py$|(?:^|/)conftest\.py$")


def is_test_file(ctx: Context) -> bool:
    """By its path: in a folder `tests`, `test` or `testing`, or named as pytest and unittest find their tests."""
    return _TESTS.search(ctx.source.path) is not None
