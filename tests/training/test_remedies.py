"""Remedies are tried, not recommended: what cures and what learns are two facts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.models.small import deep_mlp
from pytest_gradcheck.training import train_smoke, trials

if TYPE_CHECKING:
    from pytest_gradcheck.model.training import Remedy

GENERATOR = torch.Generator().manual_seed(0)
Y = torch.arange(40) % 4
# four classes that a linear net tells apart
X = nn.functional.one_hot(Y, 4).float().repeat(1, 4) + 0.1 * torch.randn(40, 16, generator=GENERATOR)


def tried(model: Any, inputs: torch.Tensor = X, **options: Any) -> dict[str, Remedy]:
    run = train_smoke(model, [(inputs, Y)], **{"remedies": "all", **options})
    assert run.failure is not None
    return {remedy.name: remedy for remedy in run.failure.remedies}


def mlp(**choices: Any) -> nn.Module:
    return deep_mlp(4, 32, inputs=16, classes=4, **{"init": "he", **choices})


def test_a_rate_too_high_is_cured_by_a_lower_one_which_learns() -> None:
    found = tried(mlp, lr=3.0, steps=30)
    assert found["learning rate / 10"].passed
    assert not found["He initialisation"].passed
    for remedy in found.values():
        assert remedy.passed == (remedy.finite and remedy.learns)


def test_unscaled_input_is_cured_by_scaling() -> None:
    found = tried(lambda: mlp(), X * 255, lr=0.5, steps=40)
    scaled = found["scale the input to 0..1"]
    assert scaled.passed
    assert scaled.steps == 40
    assert scaled.detail.startswith("loss ")


def test_changes_that_cannot_apply_are_not_claimed() -> None:
    names = set(tried(mlp, lr=1e6))
    assert "scale the input to 0..1" not in names  # it is scaled
    assert "BatchNorm after convolutions" not in names  # there are none
    assert "ReLU for sigmoid and tanh" not in names
    assert "residual links" not in names  # two square layers only
    assert {"BatchNorm after convolutions and linear layers", "He initialisation", "another seed"} <= names
    assert "ReLU for sigmoid and tanh" in tried(lambda: mlp(activation="tanh"), lr=1e38)
    assert "clip gradients at 1" not in tried(mlp, lr=1e38, clip=0.5)


def test_a_module_is_tried_on_copies_and_left_as_found() -> None:
    model = mlp()
    before = copy.deepcopy(model.state_dict())
    found = tried(model, lr=1e6)
    assert "another seed" not in found  # which would draw no other weights
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert [name for name, _ in model.named_modules()] == [name for name, _ in mlp().named_modules()]


def test_batch_norm_is_added_after_every_layer_but_the_last_and_trained() -> None:
    from pytest_gradcheck.training.remedies import _add_norms

    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2))
    _add_norms(model, (nn.Conv2d, nn.Linear))
    assert [name for name, _ in model.named_parameters() if "norm" in name] == [
        "0.added_norm.weight", "0.added_norm.bias", "2.added_norm.weight", "2.added_norm.bias",
    ]  # fmt: skip
    seen = model[0](torch.randn(8, 1, 6, 6) * 100 + 7)
    assert abs(seen.mean().item()) < 1e-4
    assert seen.std().item() == pytest.approx(1, abs=0.01)


def test_a_passed_optimizer_is_made_anew_for_each_trial() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e6, momentum=0.9)
    found = tried(model, optimizer=optimizer)
    assert found
    assert not optimizer.state_dict()["state"]


@pytest.mark.parametrize("mode,batches", [(None, [(X, Y)]), ("auto", [(X / 0, Y)])], ids=["off", "beyond remedy"])
def test_nothing_is_tried_where_it_is_off_or_cannot_help(mode: str | None, batches: Any) -> None:
    run = train_smoke(mlp, batches, lr=1e6, remedies=mode)
    assert run.failure is not None
    assert run.failure.remedies == ()


def test_what_could_not_be_tried_is_said() -> None:
    run = train_smoke(mlp, iter([(X, Y)] * 30), lr=1e6)
    assert run.notes == ("no remedies were tried: a generator cannot be read again",)
    run = train_smoke(mlp(), [(X, Y)], lr=1e6, keep=True)
    assert run.notes == ("no remedies were tried: keep=True left the model as it failed",)


def test_the_budget_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "BUDGET", 0.0)
    run = train_smoke(mlp, [(X, Y)], lr=1e6)
    assert run.failure is not None
    assert run.failure.remedies == ()
    assert len(run.notes) == 1
    assert run.notes[0].endswith('more were not tried for lack of time (remedies="all" tries them)')


def test_a_healthy_run_tries_nothing_and_a_wrong_mode_is_an_error() -> None:
    assert train_smoke(mlp, [(X, Y)], remedies="all").passed
    with pytest.raises(UsageProblem, match='remedies is \'some\', but it must be "auto", "all" or None'):
        train_smoke(mlp, [(X, Y)], remedies="some")


def test_the_text_keeps_the_two_facts_apart() -> None:
    text = str(train_smoke(mlp, [(X, Y)], lr=1e6, remedies="all"))
    assert "tried, one change each:\n" in text
    assert "  clip gradients at 1 " in text
    assert "  not finite   " in text
    assert len(text.splitlines()) < 30


def test_every_failing_seed_has_its_own_trials_and_the_text_sets_them_side_by_side() -> None:
    run = train_smoke(mlp, [(X, Y)], lr=1e6, seeds=(0, 1), remedies="all")
    assert run.failure is not None
    assert run.failure.remedies
    assert run.seeds[0].failure == run.failure
    assert run.seeds[1].failure is not None
    names = [remedy.name for remedy in run.seeds[1].failure.remedies]
    assert names == [remedy.name for remedy in run.failure.remedies]
    text = str(run)
    assert "tried on every failing seed, one change each:" in text
    heading = next(line for line in text.splitlines() if line.split() == ["seed", "0", "seed", "1"])
    row = next(line for line in text.splitlines() if line.startswith("  He initialisation"))
    assert row.index("nan at") == heading.index("seed 0")
    assert len(text.splitlines()) < 40


def test_a_failing_runs_text_fits_a_screen_with_all_its_parts() -> None:
    run = train_smoke(mlp, [(X * 255, Y)], lr=1e6, remedies="all")
    lines = str(run).splitlines()
    for part in ("likely cause: ", "health findings:", "tried, one change each:", "rerun: "):
        assert sum(line.startswith(part) for line in lines) == 1, part
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 160


def test_a_remedy_that_does_not_suit_the_run_is_named_with_the_reason() -> None:
    def squares(scores: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return scores.square().mean()

    run = train_smoke(mlp, [(X[:1], Y[:1])], loss=squares, lr=1e5, remedies="all")
    assert run.failure is not None
    assert run.failure.remedies
    (note,) = run.notes
    assert note.startswith("BatchNorm after convolutions and linear layers does not suit this run: the forward of ")
    assert "Expected more than 1 value per channel when training" in note
    assert note in str(run)


def test_a_trial_that_raises_whatever_it_raises_leaves_the_report_of_the_run() -> None:
    made = 0

    def once() -> nn.Module:
        nonlocal made
        made += 1
        if made > 1:
            raise MemoryError("no room\nfor a second one")
        return mlp()

    run = train_smoke(once, [(X * 255, Y)], lr=1e6, remedies="all")
    assert run.failure is not None
    assert not run.failure.remedies
    assert len(run.notes) > 3
    for note in run.notes:
        assert note.endswith(" could not be tried, because the run raised MemoryError: no room")
