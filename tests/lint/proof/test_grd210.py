"""GRD210: changing a saved output in place makes backward raise, for each operation and each way; the fixes do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradlint.semantics.saved_output import SAVING, SAVING_IN_PLACE

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402 - only where torch is
from torch import nn  # noqa: E402

FIXTURES = Path(__file__).parent.parent / "fixtures" / "GRD210"
RAISES = "modified by an inplace operation"


def saved(name: str) -> Any:
    """The output of an operation whose input requires grad."""
    x = torch.rand(3, 3).add(0.2).requires_grad_()
    given = {"dim": -1} if name in ("softmax", "log_softmax", "softmin", "logsumexp") else {}
    return (getattr(torch, name, None) or getattr(F, name))(x, **given)


@pytest.mark.parametrize("name", sorted(SAVING))
def test_each_operation_minds_and_does_not_mind_a_new_tensor(name: str) -> None:
    h = saved(name)
    (h + 1).sum().backward()
    h = saved(name)
    h += 1
    with pytest.raises(RuntimeError, match=RAISES):
        h.sum().backward()


@pytest.mark.parametrize("name", sorted(SAVING_IN_PLACE))
def test_others_save_their_output_only_when_they_work_in_place(name: str) -> None:
    for inplace in (False, True):
        h = nn.Linear(3, 3)(torch.ones(3, 3))
        h = getattr(F, name)(h, inplace=inplace)
        h += 1
        if inplace:
            with pytest.raises(RuntimeError, match=RAISES):
                h.sum().backward()
        else:
            h.sum().backward()


@pytest.mark.parametrize("name", ["sin", "log", "square", "erf"])
def test_operations_that_save_their_input_do_not_mind(name: str) -> None:
    h = saved(name)
    h += 1
    h.sum().backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.mul_(2),
        lambda h: h.__setitem__(0, 0.0),
        lambda h: h.view(-1).add_(1),
        lambda h: h.t().add_(1),
        lambda h: h.masked_fill_(h > 0.5, 0),
        lambda h: h.zero_(),
        lambda h: F.relu_(h),
        lambda h: F.relu(h, inplace=True),
        lambda h: F.dropout(h, 0.5, True, True),
        lambda h: torch.no_grad()(h.clamp_)(0, 1),
    ],
)
def test_each_way_of_changing_it_raises(change: Any) -> None:
    h = saved("sigmoid")
    change(h)
    with pytest.raises(RuntimeError, match=RAISES):
        h.sum().backward()


def classes(name: str) -> dict[str, Any]:
    """What a fixture defines; its last line runs `backward()`."""
    text = (FIXTURES / f"{name}.py").read_text(encoding="utf-8")
    space: dict[str, Any] = {}
    exec(text.removesuffix("y.sum().backward()\n"), space)
    return space


def test_the_fixture_raises_and_the_fixed_one_does_not_and_has_the_same_values() -> None:
    bad, fixed = classes("bad"), classes("fixed")
    fixed["net"].load_state_dict(bad["net"].state_dict())
    x = torch.rand(2, 8)
    torch.testing.assert_close(fixed["net"].eval()(x), bad["net"].eval()(x))
    with pytest.raises(RuntimeError, match=RAISES):
        bad["net"].train()(x).sum().backward()
    fixed["net"].train()(x).sum().backward()
    with pytest.raises(RuntimeError, match=RAISES):
        bad["y"].sum().backward()
    fixed["y"].sum().backward()


@pytest.mark.parametrize("index", range(6))
def test_each_output_of_the_module(index: int) -> None:
    torch.manual_seed(0)
    bad, fixed = classes("bad")["Net"](), classes("fixed")["Net"]()
    fixed.load_state_dict(bad.state_dict())
    x = torch.rand(3, 8, 8)
    with pytest.raises(RuntimeError, match=RAISES):
        bad(x)[index].sum().backward()
    ours, theirs = fixed(x)[index], bad(x)[index]
    torch.testing.assert_close(ours, theirs)
    if index == 2:  # `weights[mask] = 0` has no fix
        return
    ours.sum().backward()
