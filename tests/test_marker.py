"""The marker's arguments, read and validated without torch."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_gradcheck import UsageProblem, marks
from pytest_gradcheck.marker import OWN, Marker, accepts_no_init, check_constructor, is_shape, read
from pytest_gradcheck.settings import NAMES

Pair = namedtuple("Pair", "a b")


def make() -> tuple[int, ...]:
    return (1,)


BAD: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {"intt": (3,)}, "has no argument 'intt' (did you mean 'init'?); it takes init, init_kwargs, inputs, kwargs, "),
    ((), {"zzzz": 1}, "has no argument 'zzzz'; it takes init, "),
    ((), {"inputs": (3, 4)}, "inputs= takes a callable that returns the inputs; give shapes and tensors by position"),
    (((3,),), {"inputs": make}, "give the inputs either by position or by inputs=, not both"),
    ((), {"init": 3}, "init= takes a tuple of constructor arguments, such as init=(3,)"),
    ((), {"init": "ab"}, "init= takes a tuple of constructor arguments, such as init=('ab',)"),
    ((), {"init_kwargs": (1,)}, "init_kwargs= takes a dict, not (1,)"),
    ((), {"kwargs": [1]}, "kwargs= takes a dict, not [1]"),
    ((3,), {}, "3 is not an input; a shape is a tuple, such as (3,); where 3 itself is an argument, give all "),
    ((2.5,), {}, "2.5 is not an input; a shape is a tuple, such as (2.5,)"),
    (((3, -1),), {}, "the shape (3, -1) has a negative size"),
    (([{"a": (-2,)}],), {}, "the shape (-2,) has a negative size"),
    ((), {"kwargs": {"a": (-2,)}}, "the shape (-2,) has a negative size"),
    ((), {"domain": 3}, "domain= takes two numbers (low, high), not 3"),
    ((), {"domain": (1, 2, 3)}, "domain= takes two numbers (low, high), not (1, 2, 3)"),
    ((), {"domain": (2, 1)}, "domain= must rise, but 2 is not below 1"),
    ((), {"domain": (1, 1)}, "domain= must rise, but 1 is not below 1"),
    ((), {"domain": (0, float("inf"))}, "domain= takes two finite numbers, to draw evenly between them, not (0, inf)"),
    ((), {"wrt": 3}, "wrt= takes a list of tensor names, such as ['input0', 'weight'], not 3"),
    ((), {"wrt": []}, "wrt= takes a list of tensor names, such as ['input0', 'weight'], not []"),
    ((), {"eps": -1}, "eps must be a positive number, not -1"),
]


@pytest.mark.parametrize(("args", "kwargs", "said"), BAD)
def test_a_wrong_argument_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        read(args, kwargs)
    joint = " " if said.startswith("has no") else ": "
    assert str(caught.value).startswith(f"gradcheck{joint}{said}")


def test_what_is_read() -> None:
    marker = read(((3, 4), ["x", (2,)]), {"init": [1, 2], "init_kwargs": {"bias": False}, "kwargs": {"k": (5,)}})
    assert marker.inputs == ((3, 4), ["x", (2,)]) and marker.init == (1, 2) and marker.kwargs == {"k": (5,)}
    assert marker.has_inputs and marker.has_init and marker.options == {}
    marker = read((), {"domain": (0, "1"), "wrt": "weight", "eps": "1e-4", "strict": True, "inputs": make})
    assert marker.domain == (0.0, 1.0) and marker.wrt == ("weight",) and marker.make_inputs is make
    assert marker.has_inputs and not marker.has_init and marker.options == {"eps": 1e-4, "strict": True}
    assert read((), {}) == read((), dict.fromkeys((*OWN, *NAMES))) == Marker()
    assert read((), {"init": ()}).has_init and not read((True, None, "word"), {}).has_init


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ((3, 4), True),
        ((), True),
        ([3, 4], False),
        ((3, True), False),
        ((3, 1.0), False),
        (Pair(1, 2), False),
        (3, False),
    ],
)
def test_a_shape_is_a_plain_tuple_of_ints(spec: Any, answer: bool) -> None:
    assert is_shape(spec) is answer


def test_labels_are_shapes() -> None:
    tensor = SimpleNamespace(shape=(2, 3))
    assert read(((8, 16), (), tensor, ["x"]), {}).label() == "8x16-scalar-2x3-list"
    assert Marker().label() == "gradcheck"


def test_constructor_arguments_must_fit() -> None:
    class Layer:
        def __init__(self, wide: int, *, bias: bool = True) -> None: ...

    check_constructor(read((), {"init": (3,), "init_kwargs": {"bias": False}}), Layer)
    for kwargs, said in (
        ({}, "missing a required argument: 'wide'"),
        ({"init": (3, 4)}, "too many positional arguments"),
        ({"init": (3,), "init_kwargs": {"bia": 1}}, "got an unexpected keyword argument 'bia'"),
    ):
        with pytest.raises(UsageProblem, match=rf"^gradcheck: Layer\(wide.*cannot be built from init=.*{said}$"):
            check_constructor(read((), kwargs), Layer)
    accepts_no_init(read((), {"init": (3,)}), Layer, is_module=True)
    with pytest.raises(UsageProblem, match=r"^gradcheck: init builds an nn.Module, but Layer is an autograd.Function"):
        accepts_no_init(read((), {"init": (3,)}), Layer, is_module=False)


def test_production_marks_stay_with_their_own_class() -> None:
    @marks.gradcheck((1,))
    @marks.gradcheck((2,), eps=1e-4)
    class Base: ...

    @marks.gradcheck((3,))
    class Derived(Base): ...

    class Silent(Base): ...

    def own(target: type) -> list[Any]:
        return list(vars(target).get(marks.ATTRIBUTE, ()))

    assert [mark.args for mark in own(Base)] == [((2,),), ((1,),)]
    assert own(Base)[0].kwargs == {"eps": 1e-4}
    assert [mark.args for mark in own(Derived)] == [((3,),)] and own(Silent) == []
