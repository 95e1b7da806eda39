"""The report as plain data: order of verdicts, what passes, JSON there and back."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from typing import Any

import pytest

from pytest_gradcheck import Finding, GradientMismatch, Report, TensorCheck, Verdict
from pytest_gradcheck.model import Worst
from pytest_gradcheck.settings import Settings

GOOD, INCONCLUSIVE, SUSPICIOUS, WRONG = Verdict
ERROR = Finding("cotangent", "error", "wrong for expanded cotangents")


def check(verdict: Verdict, *, proven: bool = False, **more: Any) -> TensorCheck:
    return TensorCheck("weight", (2, 3), 1e-4, 1e-9, verdict, proven=proven, **more)


def report(*checks: TensorCheck, strict: bool = False, findings: tuple[Finding, ...] = (), **more: Any) -> Report:
    return Report("Layer", checks, findings, 0.5, 12, 7, Settings(seed=7, strict=strict), **more)


def test_verdicts_are_ordered_by_badness() -> None:
    assert GOOD < INCONCLUSIVE < SUSPICIOUS < WRONG
    assert WRONG >= WRONG > SUSPICIOUS >= INCONCLUSIVE and GOOD <= GOOD
    assert [v.value for v in sorted([WRONG, GOOD, SUSPICIOUS, INCONCLUSIVE])] == [
        "GOOD",
        "INCONCLUSIVE",
        "SUSPICIOUS",
        "WRONG",
    ]
    assert f"{WRONG}" == str(WRONG) == "WRONG" == json.loads(json.dumps(WRONG))
    assert [verdict.badness for verdict in Verdict] == [0, 1, 2, 3]
    with pytest.raises(TypeError):
        _ = GOOD < 1


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (report(), GOOD),
        (report(check(GOOD), check(SUSPICIOUS), check(INCONCLUSIVE)), SUSPICIOUS),
        (report(check(GOOD), check(INCONCLUSIVE)), INCONCLUSIVE),
        (report(check(GOOD), second_order=(check(WRONG),)), WRONG),
        (report(check(GOOD), findings=(ERROR,)), WRONG),
        (report(check(GOOD), findings=(replace(ERROR, severity="warning"),)), GOOD),
    ],
)
def test_the_verdict_is_the_worst_of_all(found: Report, verdict: Verdict) -> None:
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("found", "passed", "passed_strictly"),
    [
        (report(check(GOOD)), True, True),
        (report(check(GOOD, proven=True), findings=(Finding("precision", "warning", "1e-7"),)), True, False),
        (report(check(INCONCLUSIVE)), True, False),
        (report(check(SUSPICIOUS)), True, False),
        (report(check(SUSPICIOUS, proven=True)), False, False),
        (report(check(GOOD), second_order=(check(SUSPICIOUS, proven=True),)), False, False),
        (report(check(WRONG)), False, False),
        (report(check(GOOD), findings=(ERROR,)), False, False),
        (report(check(GOOD), findings=(replace(ERROR, severity="info"),)), True, True),
    ],
)
def test_what_passes(found: Report, passed: bool, passed_strictly: bool) -> None:
    assert found.passed is passed
    assert replace(found, settings=Settings(strict=True)).passed is passed_strictly


FULL = report(
    check(WRONG, worst=Worst((1, 2), math.nan, -math.inf), coverage=0.5, diagnosis="sign", proven=True),
    TensorCheck('input0["mask"]', (), math.inf, math.nan, INCONCLUSIVE, Worst((), 1.5, 2.5, "imag"), reason="noise"),
    findings=(ERROR,),
    second_order=(check(SUSPICIOUS),),
    dtype="float32",
    device="cuda:0",
    source="layers.py:3",
    rerun="pytest 'a::b' --gradcheck",
)


def test_the_json_form_has_a_version_and_spells_what_json_lacks() -> None:
    data = FULL.to_dict()
    text = json.dumps(data, allow_nan=False)
    assert data["version"] == 1 and data["verdict"] == "WRONG" and data["passed"] is False
    first, second = json.loads(text)["tensors"]
    assert first["worst"] == {"index": [1, 2], "autograd": "nan", "numeric": "-inf", "part": None}
    assert (second["relative_error"], second["error_bar"], second["shape"]) == ("inf", "nan", [])


def test_json_there_and_back() -> None:
    back = Report.from_dict(json.loads(json.dumps(FULL.to_dict())))
    assert back.to_dict() == FULL.to_dict() and str(back) == str(FULL)
    assert back.verdict is WRONG and back.rerun == FULL.rerun and back.settings == FULL.settings
    assert back.tensors[0].shape == (2, 3) and back.tensors[0].worst is not None
    assert back.tensors[0].worst.index == (1, 2) and math.isnan(back.tensors[0].worst.autograd)
    assert back.tensors[0].worst.numeric == -math.inf and math.isnan(back.tensors[1].error_bar)
    finite = replace(FULL, tensors=(check(GOOD),))
    assert Report.from_dict(json.loads(json.dumps(finite.to_dict()))) == finite


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(ValueError, match=rf"^this report has version {version!r}; version 1 is understood$"):
        Report.from_dict(FULL.to_dict() | {"version": version})


def test_a_number_that_is_none_is_refused() -> None:
    data = FULL.to_dict()
    data["tensors"][0]["relative_error"] = "many"
    with pytest.raises(ValueError, match=r"^'many' is not a number$"):
        Report.from_dict(data)


def test_a_mismatch_survives_pickling_with_its_report() -> None:
    mismatch = pickle.loads(pickle.dumps(GradientMismatch("text", FULL)))
    assert str(mismatch) == "text" and mismatch.report.to_dict() == FULL.to_dict()
