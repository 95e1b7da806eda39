"""Input shapes from the annotations of a forward, as jaxtyping writes them: `Float[Tensor, "batch dim"]`.

jaxtyping itself is not needed: an annotation of its kind carries `dim_str` and `dtypes`, whoever made it.
"""

from __future__ import annotations

import ast
import operator
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.signatures import signature

#: Sizes for dimensions that nothing else decides, in their order: all different, so that a mix-up shows.
FREE = (2, 3, 5, 4, 7, 6)
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class Spec:
    """One input to draw.

    Attributes:
        shape: Its shape.
        kind: "float", "complex", "bool" or "int".
        low, high: Bounds of whole numbers, both inclusive.
    """

    shape: tuple[int, ...]
    kind: str = "float"
    low: int = 0
    high: int = 1

    def __str__(self) -> str:
        return f"{self.shape}" + ("" if self.kind == "float" else f" of {self.kind}")


def infer(forward: Callable[..., Any], known: Mapping[str, int]) -> tuple[dict[str, Spec], dict[str, int]]:
    """The inputs that the annotations of a forward describe.

    Args:
        forward: The function whose required parameters are annotated.
        known: Sizes of dimensions by their names.

    Returns:
        An input for every required parameter by name, and the sizes of all named dimensions, known and chosen ones.

    Raises:
        UsageProblem: A required parameter has no such annotation, or one whose dimensions cannot be worked out.
    """
    annotations = dict(_required(forward))
    sizes = dict(known)
    for dimensions, _ in annotations.values():
        _choose(dimensions, sizes)
    specs = {}
    for name, (dimensions, kind) in annotations.items():
        shape = [size for token in dimensions for size in _size(token, sizes, name)]
        specs[name] = Spec(tuple(shape), kind)
    return specs, {name: size for name, size in sizes.items() if name.isidentifier()}


def inputs_of(subject: Any, init: Sequence[Any] = (), init_kwargs: Mapping[str, Any] | None = None) -> list[Spec]:
    """The inputs that a subject's annotations describe; none where a required parameter has no such annotation.

    Args:
        subject: A module, an `autograd.Function` class, or any callable.
        init, init_kwargs: What a module was built with, for the names of sizes in its constructor.

    Raises:
        UsageProblem: There are annotations, but a dimension cannot be worked out.
    """
    forward = getattr(subject, "forward", subject)
    try:
        found = list(_required(forward))
    except (UsageProblem, TypeError, ValueError):
        return []
    return list(infer(forward, sizes_of(subject, bound(type(subject), init, init_kwargs)))[0].values()) if found else []


def bound(target: type, init: Sequence[Any], init_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Constructor arguments by the names of their parameters, defaults included; empty where they do not fit."""
    try:
        arguments = signature(target).bind(*init, **(init_kwargs or {}))
    except (TypeError, ValueError):
        return {}
    arguments.apply_defaults()
    return dict(arguments.arguments)


def sizes_of(module: Any, arguments: Mapping[str, Any]) -> dict[str, int]:
    """Whole numbers that a module was built with or holds as attributes: what its annotations may call dimensions."""
    held = {**getattr(module, "__dict__", {}), **arguments}
    return {name: value for name, value in held.items() if type(value) is int and value > 0}


def _required(forward: Callable[..., Any]) -> Iterator[tuple[str, tuple[list[str], str]]]:
    """Name, dimensions and kind of every parameter that a call must give."""
    try:
        hints = typing.get_type_hints(forward)
    except Exception as error:
        raise UsageProblem(
            f"the annotations of forward cannot be read ({type(error).__name__}: {error}): give shapes with --input"
        ) from error
    for parameter in signature(forward).parameters.values():
        variadic = parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        if variadic or parameter.default is not parameter.empty or parameter.name in {"self", "ctx"}:
            continue
        annotation = _shaped(hints.get(parameter.name))
        if annotation is None:
            raise UsageProblem(
                f"the shape of {parameter.name!r} is not known: give one --input for every input, such as --input "
                f'8,16, or annotate forward with jaxtyping, such as {parameter.name}: Float[Tensor, "batch dim"]'
            )
        yield parameter.name, (str(annotation.dim_str).split(), _kind(annotation))


def _shaped(annotation: Any) -> Any:
    """The annotation itself, or the member of a union, that has dimensions."""
    if isinstance(getattr(annotation, "dim_str", None), str):
        return annotation
    return next((member for member in typing.get_args(annotation) if hasattr(member, "dim_str")), None)


def _kind(annotation: Any) -> str:
    dtypes = {str(dtype).lower() for dtype in getattr(annotation, "dtypes", ()) or ()}
    for kind in ("float", "complex", "int", "bool"):
        if not dtypes or any(kind in dtype for dtype in dtypes):
            return kind
    return "float"


def _choose(dimensions: list[str], sizes: dict[str, int]) -> None:
    """Gives every plain name that has no size yet one of its own."""
    for token in dimensions:
        name = _bare(token)
        if name.isidentifier() and name not in sizes and not token.startswith("_"):
            taken = set(sizes.values())
            sizes[name] = next((size for size in FREE if size not in taken), FREE[len(sizes) % len(FREE)])


def _size(token: str, sizes: Mapping[str, int], parameter: str) -> list[int]:
    """The sizes that one word of the dimensions stands for: one, or for `...` a single one too."""
    name = _bare(token)
    if token.startswith("_") or name in {"", "..."}:
        return [FREE[0]]
    try:
        return [_evaluated(ast.parse(name, mode="eval").body, sizes)]
    except (SyntaxError, KeyError, TypeError, ZeroDivisionError):
        said = f"the dimension {token!r} of {parameter!r} cannot be worked out"
        raise UsageProblem(f"{said}: give shapes, in the mark or by --input") from None


def _bare(token: str) -> str:
    """A dimension without jaxtyping's signs: `#dim`, `*batch`, `?dim`, `dim=4`, `{dim}`."""
    word = token.lstrip("#*?").removeprefix("{").removesuffix("}").removeprefix("self.")
    name, equals, size = word.partition("=")
    return size if equals and size.isdigit() else name


def _evaluated(node: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return sizes[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluated(node.left, sizes), _evaluated(node.right, sizes))
    raise TypeError(ast.dump(node))
