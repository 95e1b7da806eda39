"""Settings: every option's good and bad values, and the order in which layers win."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from pytest_gradcheck import UsageProblem
from pytest_gradcheck.settings import CHECKS, DEFAULT_EPS, NAMES, Settings, resolve, validate

NO_STEPS: tuple[Any, ...] = (0, -1, "x", True, [], float("nan"))
BAD: list[tuple[str, Any, str]] = [
    *[("eps", value, "eps must be a positive number, not {!r}") for value in NO_STEPS],
    *[("budget", value, "budget must be a positive number, not {!r}") for value in (0, "soon", float("inf"))],
    *[
        ("bands", value, "bands must be two numbers, such as 1e-5,1e-3, not {!r}")
        for value in (1e-5, "1e-5", (1, 2, 3), "1e-5 1e-3 1")
    ],
    ("bands", (1e-3, 1e-5), "bands must rise from the GOOD bound to the SUSPICIOUS one, not {!r}"),
    ("bands", "0,1", "bands must be a positive number, not '0'"),
    ("bands", (1e-5, True), "bands must be a positive number, not True"),
    (
        "mode",
        "centrl",
        "mode must be one of auto, elementwise, projection, central, not {!r} (did you mean 'central'?)",
    ),
    *[("order", value, "order must be 1 or 2, not {!r}") for value in (0, 3, "3", True, 1.5)],
    (
        "dtype",
        "float46",
        "dtype must be one of float64, float32, float16, bfloat16, not {!r} (did you mean 'float64'?)",
    ),
    ("dtype", torch.int64, "dtype must be one of float64, float32, float16, bfloat16, not 'int64'"),
    ("device", "cudda", "device must be one of cpu, cuda, mps, xpu, auto, not {!r} (did you mean 'cuda'?)"),
    *[("device", value, "device must be one of") for value in ("cuda:", "cuda:x", "", 3)],
    *[("seed", value, "seed must be a whole number, not {!r}") for value in (1.0, "1.5", True, [1])],
    *[("seed", value, "seed must lie in 0 .. 2**63 - 1, not {!r}") for value in (-1, 2**63)],
    *[("strict", value, "strict must be True or False, not {!r}") for value in ("yes", 1)],
    ("checks", "vpj", f"checks must be one of {', '.join(CHECKS)}, not 'vpj'"),
    ("checks", 3, f"checks must be a list of names out of {', '.join(CHECKS)}, not 3"),
    ("checks", [], f"checks must name at least one of {', '.join(CHECKS)}"),
]
GOOD: list[tuple[str, Any, Any]] = [
    ("eps", "1e-4", 1e-4),
    ("eps", 1, 1.0),
    ("bands", "1e-6, 1e-2", (1e-6, 1e-2)),
    ("bands", [1e-6, "1e-2"], (1e-6, 1e-2)),
    ("mode", "central", "central"),
    ("order", "2", 2),
    ("dtype", torch.float32, "float32"),
    ("dtype", "torch.bfloat16", "bfloat16"),
    ("device", torch.device("cuda:1"), "cuda:1"),
    ("device", "auto", "auto"),
    ("seed", "12", 12),
    ("seed", 2**63 - 1, 2**63 - 1),
    ("strict", False, False),
    ("budget", "2", 2.0),
    ("checks", "vjp,determinism", ("determinism", "vjp")),
    ("checks", ["cotangent"], ("cotangent",)),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_bad_value_is_said_with_the_name_as_the_user_wrote_it(name: str, value: Any, said: str) -> None:
    for spell, spelled in ((lambda word: word, name), (lambda word: f"--gradcheck-{word}", f"--gradcheck-{name}")):
        with pytest.raises(UsageProblem) as caught:
            validate({name: value}, spell)
        assert str(caught.value).startswith(said.format(value).replace(name, spelled, 1))


@pytest.mark.parametrize(("name", "value", "meant"), GOOD)
def test_a_good_value_takes_its_final_type(name: str, value: Any, meant: Any) -> None:
    found = validate({name: value})[name]
    assert found == meant and type(found) is type(meant)


def test_every_option_has_a_bad_and_a_good_value_here() -> None:
    assert {name for name, *_ in BAD} == {name for name, *_ in GOOD} == set(NAMES)


def test_an_unknown_option() -> None:
    with pytest.raises(UsageProblem, match=r"^unknown option 'ep' \(did you mean 'eps'\?\); known are eps, bands, "):
        validate({"ep": 1})
    with pytest.raises(UsageProblem, match=r"^unknown option 'zzz'; known are "):
        validate({"zzz": None})


def test_the_stronger_layer_wins_and_none_is_unset() -> None:
    settings = resolve({"eps": None, "mode": "central"}, {"eps": 1e-4, "mode": "auto"}, {"seed": 3, "eps": 1e-3})
    assert settings == Settings(eps=1e-4, mode="central", seed=3)
    assert resolve({"strict": False}, {"strict": True}).strict is False
    assert resolve({"seed": 0}, {"seed": 5}).seed == 0
    assert resolve() == resolve({}, {}) == Settings()


def test_the_step_follows_the_dtype_where_none_is_named() -> None:
    for dtype, eps in DEFAULT_EPS.items():
        assert resolve({}, {"dtype": dtype}).eps == eps
    assert resolve({"dtype": "float32"}, {"eps": 1e-4}).eps == 1e-4


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings()
    assert (settings.eps, settings.bands, settings.mode, settings.order) == (1e-5, (1e-5, 1e-3), "auto", None)
    assert (settings.dtype, settings.device, settings.seed, settings.strict) == ("float64", None, 0, False)
    assert settings.budget is None and settings.checks == CHECKS


def test_settings_survive_json() -> None:
    settings = resolve({"bands": "1e-6,1e-2", "order": 2, "checks": "vjp", "device": "cpu", "budget": 3})
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
