"""GRD608: what an attribute under the name of a method of nn.Module breaks."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def net(name: str, value: Any) -> Any:
    made = nn.Module()
    setattr(made, name, value)
    return made


@pytest.mark.parametrize("name", ["cuda", "type", "double", "float", "half", "to", "eval", "children"])
def test_the_method_is_hidden(name: str) -> None:
    with pytest.raises(TypeError, match="'bool' object is not callable"):
        getattr(net(name, False), name)()


def test_train_and_eval_of_a_model_that_contains_it_raise() -> None:
    whole = nn.Sequential(net("train", True))
    for switch in (whole.train, whole.eval):
        with pytest.raises(TypeError, match="'bool' object is not callable"):
            switch()


@pytest.mark.parametrize("name", ["apply", "_apply", "named_modules"])
def test_the_names_that_reach_the_model_around_do(name: str) -> None:
    whole = nn.Sequential(net(name, True))
    with pytest.raises(TypeError, match="not callable"):
        {"apply": lambda: whole.apply(print), "_apply": whole.double}.get(name, lambda: list(whole.named_modules()))()


def test_a_layer_under_the_name_of_a_method_is_never_called() -> None:
    made = net("half", nn.Linear(3, 3))
    assert [name for name, _ in made.named_parameters()] == ["half.weight", "half.bias"]
    with pytest.raises(TypeError):
        made.half(torch.ones(3))
