"""The gradcheck marker for production code: the same as `pytest.mark.gradcheck`, without importing pytest or torch."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple, TypeVar

ATTRIBUTE = "__gradcheck_marks__"
_T = TypeVar("_T", bound=Callable[..., Any])


class Mark(NamedTuple):
    """The arguments of one `gradcheck` mark."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def gradcheck(*inputs: Any, **options: Any) -> Callable[[_T], _T]:
    """Marks a layer, an `autograd.Function` or a function to be gradient-checked by `pytest --gradcheck`.

    A test function returns what is checked; any other function is itself what is checked.

    Takes what `pytest.mark.gradcheck` takes. The marks are found at collection; until then they cost nothing.

    Raises:
        TypeError: What is marked is an object, such as a module that was built already: collection would not find it.
    """

    def mark(target: _T) -> _T:
        if not isinstance(target, (type, FunctionType, staticmethod, classmethod)):
            raise TypeError(
                f"gradcheck marks a class or a function, not a {type(target).__name__}: return it from a marked test"
            )
        # Own marks only: a subclass that inherits the attribute must not be checked with its base's arguments.
        own = list(vars(target).get(ATTRIBUTE, ()))
        setattr(target, ATTRIBUTE, [*own, Mark(inputs, options)])
        return target

    return mark
