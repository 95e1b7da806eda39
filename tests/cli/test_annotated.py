"""Input shapes from annotations of jaxtyping's kind: consistent, explained, and refused where they cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_gradcheck import UsageProblem
from pytest_gradcheck.annotated import infer, sizes_of
from tests.cli.conftest import Command


class Shaped:
    def __init__(self, dim_str: str, *dtypes: str) -> None:
        self.dim_str, self.dtypes = dim_str, dtypes or ("float32",)


def shapes(*dims: str, known: dict[str, int] | None = None) -> list[tuple[int, ...]]:
    names = [f"x{k}" for k in range(len(dims))]
    forward: Any = eval(f"lambda {', '.join(names)}: None")
    forward.__annotations__ = {name: Shaped(dim) for name, dim in zip(names, dims, strict=True)}
    return [spec.shape for spec in infer(forward, known or {})[0].values()]


@pytest.mark.parametrize(
    ("dims", "known", "expected"),
    [
        (["batch dim"], {}, [(2, 3)]),
        (["batch dim", "dim out"], {"dim": 16}, [(2, 16), (16, 3)]),
        (["b c 4 4"], {}, [(2, 3, 4, 4)]),
        (["batch seq", "batch seq seq"], {}, [(2, 3), (2, 3, 3)]),
        (["n n+1 2*n"], {"n": 5}, [(5, 6, 10)]),
        (["#batch dim", "?batch dim=7"], {}, [(2, 3), (2, 7)]),
        (["*batch dim", "... dim"], {}, [(2, 3), (2, 3)]),
        (["_ _any dim"], {}, [(2, 2, 2)]),
        (["{self.dim} batch"], {"dim": 9}, [(9, 2)]),
        ([""], {}, [()]),
    ],
)
def test_dimensions(dims: list[str], known: dict[str, int], expected: list[tuple[int, ...]]) -> None:
    assert shapes(*dims, known=known) == expected


def test_free_sizes_differ_from_each_other_and_from_known_ones() -> None:
    (found,) = shapes("a b c d", known={"a": 3})
    assert found[0] == 3 and len(set(found)) == 4


@pytest.mark.parametrize("dim", ["batch n/2", "f(n)", "n+missing", "n//0"])
def test_a_dimension_that_cannot_be_worked_out(dim: str) -> None:
    said = r"^the dimension '.*' of 'x0' cannot be worked out: give shapes, in the mark or by --input$"
    with pytest.raises(UsageProblem, match=said):
        shapes(dim, known={"n": 4})


def test_kinds_unions_and_defaults() -> None:
    class Optional:
        __args__ = (type(None), Shaped("batch"))

    def forward(x, tokens, mask, z, scale=1.0, *rest, **more): ...  # type: ignore[no-untyped-def]

    forward.__annotations__ = {
        "x": Shaped("batch dim"), "tokens": Shaped("batch", "int32", "int64"), "mask": Shaped("batch", "bool"),
        "z": Shaped("dim", "complex64"),
    }  # fmt: skip
    specs, sizes = infer(forward, {})
    assert [(name, spec.shape, spec.kind) for name, spec in specs.items()] == [
        ("x", (2, 3), "float"), ("tokens", (2,), "int"), ("mask", (2,), "bool"), ("z", (3,), "complex"),
    ]  # fmt: skip
    assert sizes == {"batch": 2, "dim": 3}


def test_annotations_that_cannot_be_read() -> None:
    def forward(x: Missing): ...  # type: ignore[no-untyped-def,name-defined]  # noqa: F821

    with pytest.raises(UsageProblem, match=r"cannot be read \(NameError: .*'Missing'.*: give shapes with --input$"):
        infer(forward, {})


def test_what_a_module_holds() -> None:
    class Layer:
        heads = 3

        def __init__(self) -> None:
            self.width, self.name, self.ready, self.rate = 8, "a", True, 0.5

    assert sizes_of(Layer(), {"depth": 2, "bias": False, "none": 0}) == {"width": 8, "depth": 2}


def test_a_layer_is_checked_without_a_shape(command: Command) -> None:
    said = command("check", "shop.layers:Annotated", "--init", "6")
    assert said.code == 0
    first = "inputs from the annotations of forward: x (2, 6), tokens (2,) of int (dim=6, batch=2)"
    assert said.out.splitlines()[0] == first
    assert "x (5, 6), tokens (5,)" in command("check", "shop.layers:Annotated", "--init", "6", "--dim", "batch=5").out


def test_a_size_that_the_layer_does_not_take_is_traced_to_the_guess(command: Command) -> None:
    found = command("check", "shop.layers:Picky", "--init", "9")
    assert found.code == 2 and "Picky raised RuntimeError in its forward on (2, 3)" in found.err
    assert "inputs from the annotations of forward: x (2, 3) (batch=2, features=3): give them with --input" in found.err
    assert command("check", "shop.layers:Picky", "--init", "9", "--dim", "features=9").code == 0


def test_jaxtypings_own_annotations() -> None:
    jaxtyping = pytest.importorskip("jaxtyping")
    import torch

    def forward(x, tokens, mask): ...  # type: ignore[no-untyped-def]

    forward.__annotations__ = {
        "x": jaxtyping.Float[torch.Tensor, "batch dim"] | None,
        "tokens": jaxtyping.Int[torch.Tensor, "batch seq"],
        "mask": jaxtyping.Bool[torch.Tensor, "*batch seq+1"],
    }
    specs, _ = infer(forward, {"dim": 16})
    assert [(spec.shape, spec.kind) for spec in specs.values()] == [
        ((2, 16), "float"), ((2, 3), "int"), ((2, 4), "bool"),
    ]  # fmt: skip
