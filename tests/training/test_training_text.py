"""What a reader sees: which line says what, in full, and that it fits a screen."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace

import pytest

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.model.run_health import Health
from pytest_gradcheck.model.training import Failure, Site, TrainingReport
from pytest_gradcheck.render.training_text import headline
from pytest_gradcheck.training.feed import describe

HEALTHY = TrainingReport(
    model="AlexNet",
    parameters=46_764_746,
    data="Fashion-MNIST, 800 train images from data, pixels 0..255",
    device="cpu",
    optimizer="SGD",
    seed=0,
    steps=20,
    loss=[12.31, 9.5, 3000.0, 1e9],
    gradient_norm=[300.0, 500.0, 1e7, 1e20],
    learning_rate=[0.01] * 4,
    seconds=3.14,
)
SICK = replace(
    HEALTHY,
    loss=[*HEALTHY.loss, math.nan],
    gradient_norm=[*HEALTHY.gradient_norm, math.nan],
    learning_rate=[0.01] * 5,
    failure=Failure(
        4, "forward", "loss", "nan", cause="unscaled input", evidence=("the inputs of this step span 0 to 255",)
    ),
)


def test_the_text_of_the_courses_failing_case_in_full() -> None:
    assert str(SICK) == (
        "AlexNet failed at step 4: in forward, the loss is nan\n"
        "likely cause: unscaled input\n"
        "  the inputs of this step span 0 to 255\n"
        "\n"
        "  loss         12.31, 9.5, 3000, 1e+09, nan\n"
        "  last finite  loss 1e+09 and gradient norm 1e+20 at step 3\n"
        "  optimizer    SGD, learning rate 0.01\n"
        "  data         Fashion-MNIST, 800 train images from data, pixels 0..255\n"
        "  model        46,764,746 trainable parameters on cpu\n"
        "  run          seed 0, 5 of 20 steps in 3.1 s\n"
        "\n"
        "rerun: train_smoke(..., seed=0, steps=6)"
    )


def test_what_watching_took_is_said_in_seconds_and_as_a_share() -> None:
    health = Health(parameters=("w",), steps=(0, 1, 2, 3), gradient=((1.0,),) * 4, overhead=0.25)
    run = replace(HEALTHY, steps=4, seconds=5.0, health=health)
    assert "  watched      all gradients in every step, which took 1.00 s, 25.0% of the rest" in str(run)


@pytest.mark.parametrize(
    "failure,said",
    [
        (Failure(1, "data", "input", "nan", tensor="inputs"), "failed at step 1: the inputs of its batch hold nan"),
        (
            Failure(0, "forward", "parameter", "inf", "1", "1.weight"),
            "failed at step 0: 1.weight holds inf",
        ),
        (
            Failure(2, "backward", "gradient", "inf", "1", "1.bias"),
            "failed at step 2: in backward, the gradient of 1.bias is inf, though the loss is 3000",
        ),
        (
            Failure(3, "optimizer", "parameter", "inf", "1", "1.weight"),
            "failed at step 3: the optimizer's update made 1.weight inf",
        ),
        (Failure(3, "backward", "gradient", "collapse"), "collapsed: after 4 steps it does no better than guessing"),
        (Failure(3, "optimizer", "loss", "underfit"), "failed: it could not memorise one batch in 4 steps"),
    ],
)
def test_each_failure_has_its_headline(failure: Failure, said: str) -> None:
    assert headline(replace(HEALTHY, failure=failure)) == f"AlexNet {said}"


def test_the_operation_its_line_and_what_came_before_it_are_said() -> None:
    failure = Failure(
        4, "forward", "activation", "nan", "features.3", op="aten.convolution", source="net.py:56",
        first=Site("aten.log", "features.1", "net.py:12", "-inf"), reproduced=True,
    )  # fmt: skip
    text = str(replace(SICK, failure=failure))
    assert text.startswith("AlexNet failed at step 4: in forward, aten.convolution in features.3 gives nan\n")
    assert "  source       net.py:56\n" in text
    assert "  before it    aten.log in features.1 gave -inf, which the loss did not show, net.py:12\n" in text
    loss = replace(failure, module=None, first=None, reproduced=False)
    text = str(replace(SICK, failure=loss))
    assert "aten.convolution in the loss gives nan" in text
    assert "replay       the step, run again, did not fail the same way" in text


def test_a_run_that_passes_says_so_and_names_no_rerun() -> None:
    assert headline(HEALTHY) == "AlexNet trained 4 steps without a failure: loss 12.31 -> 1e+09"
    assert "rerun" not in str(HEALTHY)
    assert "last finite" not in str(HEALTHY)


def test_an_interrupted_run_did_not_pass() -> None:
    run = replace(HEALTHY, interrupted=True)
    assert not run.passed
    assert headline(run) == "AlexNet was interrupted after 4 steps of 20"


def test_schedules_clipping_precision_notes_and_rerun_are_said() -> None:
    run = replace(
        SICK, learning_rate=[0.1, 0.1, 0.1, 0.1, 5.0], clip=1.0, amp="float16",
        notes=("float16's loss scaling skipped 2 steps",), rerun='pytest "test_a.py::test_b"',
    )  # fmt: skip
    text = str(run)
    assert "SGD, learning rate 0.1 at step 0 to 5 at step 4, clipped to 1\n" in text
    assert "on cpu, float16\n" in text
    assert "note: float16's loss scaling skipped 2 steps\n" in text
    assert text.endswith('rerun: pytest "test_a.py::test_b"')


def test_a_failure_before_any_finite_step_claims_none() -> None:
    run = replace(SICK, loss=[math.nan], gradient_norm=[math.nan])
    assert "last finite" not in str(run)


def test_long_curves_and_many_seeds_fit_a_screen() -> None:
    long = replace(SICK, loss=[2.3] * 500, gradient_norm=[1.0] * 500, learning_rate=[0.1] * 500)
    assert "  loss         2.3, 2.3, 2.3, 2.3, ..., 2.3, 2.3, 2.3, 2.3\n" in str(long)
    band = replace(long, seeds=(replace(HEALTHY, seed=1), replace(SICK, seed=2)))
    text = str(band)
    assert "1 of 2 seeds failed (shown above: seed 0)\n  seed 1    trained 4 steps" in text
    assert "  seed 2    failed at step 4: in forward, the loss is nan\n" in text
    assert len(text.splitlines()) < 24
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_json_form_holds_it_all_and_comes_back() -> None:
    site = Site("aten.log", "1", None, "-inf")
    failed = Failure(1, "forward", "loss", "nan", op="aten.log", first=site, evidence=("a fact",))
    run = replace(SICK, failure=failed, seeds=(SICK, HEALTHY), notes=("a note",))
    data = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert data["version"] == 1
    assert data["passed"] is False
    assert data["loss"][-1] == "nan"
    assert str(TrainingReport.from_dict(data)) == str(run)
    assert TrainingReport.from_dict(data).to_dict() == run.to_dict()
    with pytest.raises(ValueError, match="version 99"):
        TrainingReport.from_dict({**data, "version": 99})


def test_the_error_that_carries_it_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(TrainingFailure(str(SICK), SICK)))
    assert isinstance(error, TrainingFailure)
    assert str(error) == str(SICK)
    assert error.report.failure == SICK.failure


@pytest.mark.parametrize(
    ("batches", "said"), [([0], "list, 1 batch"), ([0, 0], "list, 2 batches"), (iter([0]), "list_iterator")]
)
def test_the_data_of_a_run_is_told_by_type_and_length(batches: object, said: str) -> None:
    assert describe(batches) == said
