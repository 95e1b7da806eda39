"""Arguments and shapes as they stand on a command line, made plain data."""

from __future__ import annotations

import ast
import re
from typing import Any

from pytest_gradcheck.annotated import Spec
from pytest_gradcheck.errors import UsageProblem


def arguments(text: str, option: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call, as in `16,4,bias=False`: literals only.

    Raises:
        UsageProblem: The text is no list of Python literals.
    """
    wrong = UsageProblem(f"{option} {text!r}: write arguments as in a call, such as {option} '16, 4, bias=False'")
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or any(keyword.arg is None for keyword in call.keywords):
            raise wrong
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return tuple(ast.literal_eval(value) for value in call.args), named
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise wrong from None


def spec(text: str, option: str = "--input") -> Spec:
    """An input: `8,16` is a float tensor of that shape, `()` a scalar, `8,16:0..99` holds whole numbers in 0..99.

    Raises:
        UsageProblem: The text is none of these.
    """
    shape, colon, bounds = text.partition(":")
    sizes = [size.strip() for size in re.split(r"[,x]", shape.strip().removeprefix("(").removesuffix(")"))]
    if sizes[-1:] == [""]:
        sizes.pop()  # "8," is a tuple of one, and "()" of none
    limits = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", bounds.strip())
    if not shape.strip() or not all(size.isdigit() for size in sizes) or (colon and not limits):
        raise UsageProblem(
            f"{option} {text!r} is no input: write a shape such as {option} 8,16 (repeat it for every input), '()' for "
            f"a scalar, or 8,16:0..99 for whole numbers from 0 to 99"
        )
    numbers = tuple(map(int, sizes))
    if not limits:
        return Spec(numbers)
    low, high = map(int, limits.groups())
    if low > high:
        raise UsageProblem(f"{option} {text!r}: the bounds must rise")
    return Spec(numbers, "int", low, high)


def dimension(text: str) -> tuple[str, int]:
    """`name=size`, for dimensions that annotations name.

    Raises:
        UsageProblem: The text is not of that form.
    """
    name, equals, size = text.partition("=")
    if not (equals and name.strip().isidentifier() and size.strip().isdigit()):
        raise UsageProblem(f"--dim {text!r}: write a name and a size, such as --dim tokens=7")
    return name.strip(), int(size)
