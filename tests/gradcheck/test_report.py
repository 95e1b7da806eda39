"""The number of record, the report's fields, and the text that a failure prints."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from pytest_gradcheck import Report, Verdict, check_gradients
from tests.gradcheck.functions import Swish, planted, spoilt_element


def test_plain_quotient_at_exactly_eps() -> None:
    report = check_gradients(lambda x: x**3, torch.ones(()), eps=0.01, mode="central")
    (check,) = report.tensors
    assert check.worst is not None
    assert check.worst.index == ()
    assert check.worst.numeric == pytest.approx(3.0001, abs=1e-12)
    assert check.worst.autograd == 3.0
    assert check.relative_error == pytest.approx(1e-4 / 6.0001, rel=1e-6)
    assert check.verdict is Verdict.SUSPICIOUS
    assert not check.proven
    assert report.passed


def test_plain_quotient_is_judged_by_the_bands_alone() -> None:
    wide = check_gradients(lambda x: x**3, torch.ones(()), eps=0.1, mode="central")
    assert wide.verdict is Verdict.WRONG
    assert not wide.passed
    assert check_gradients(lambda x: x**3, torch.ones(()), eps=0.1).verdict is Verdict.GOOD


def test_bands_name_the_verdict_and_do_not_scale_with_eps() -> None:
    slightly = planted(Swish, lambda g: 1.0002 * g)
    x = torch.randn(6)
    assert check_gradients(slightly, x, order=1).verdict is Verdict.SUSPICIOUS
    assert check_gradients(slightly, x, order=1, eps=1e-3).verdict is Verdict.SUSPICIOUS
    assert check_gradients(slightly, x, order=1, bands=(1e-5, 5e-5)).verdict is Verdict.WRONG
    assert check_gradients(slightly, x, order=1, bands=(2e-4, 1e-3)).verdict is Verdict.GOOD


def test_an_element_proven_wrong_fails_though_the_tensors_ratio_is_small() -> None:
    one = planted(Swish, spoilt_element(0, 1.02))
    x = torch.randn(200).double()
    x[0] = 0.01
    check = check_gradients(one, x, order=1).tensors[0]
    assert check.relative_error < 1e-3
    assert check.verdict is Verdict.WRONG
    assert check.worst is not None
    assert check.worst.index == (0,)


def test_wrong_sign_at_small_scale_is_wrong() -> None:
    flipped = planted(Swish, lambda g: -g)
    small = check_gradients(lambda x: 1e-6 * flipped.apply(x), torch.randn(5))  # type: ignore[no-untyped-call]
    assert small.verdict is Verdict.WRONG


def test_zero_on_both_sides_is_good_and_said() -> None:
    report = check_gradients(lambda x, y: x * 0 + y, torch.randn(3), torch.randn(3))
    first, second = report.tensors
    assert (first.relative_error, first.verdict) == (0.0, Verdict.GOOD)
    assert second.verdict is Verdict.GOOD
    assert report.passed
    assert [finding.kind for finding in report.findings] == ["no-power"]
    assert "the gradient of input0 is zero" in report.findings[0].message
    assert "could not have failed" in report.findings[0].message


def test_zero_within_rounding_is_inconclusive_and_strict_fails_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    report = check_gradients(net, torch.randn(6, 3))
    by_name = {check.name: check for check in report.tensors}
    assert by_name["0.bias"].verdict is Verdict.INCONCLUSIVE
    assert by_name["0.bias"].reason == "zero gradient"
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.passed
    assert not check_gradients(net, torch.randn(6, 3), strict=True).passed


def test_coverage_says_what_was_compared_one_by_one() -> None:
    report = check_gradients(nn.Linear(40, 30), torch.randn(4, 40), order=1)
    assert {check.name: check.coverage for check in report.tensors} == {"input0": 1.0, "weight": 0.0, "bias": 1.0}
    full = check_gradients(nn.Linear(8, 40), torch.randn(1, 8), mode="elementwise")
    assert [check.coverage for check in full.tensors] == [1.0, 1.0, 1.0]
    none = check_gradients(nn.Linear(3, 4), torch.randn(1, 3), mode="projection")
    assert [check.coverage for check in none.tensors] == [0.0, 0.0, 0.0]
    assert none.verdict is Verdict.GOOD


def test_the_same_seed_gives_the_same_report_whatever_came_before() -> None:
    module, x = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)), torch.randn(5, 3)
    first = check_gradients(module, x, seed=7)
    torch.rand(100)
    second = check_gradients(module, x, seed=7)
    assert first.tensors == second.tensors
    assert first.forward_calls == second.forward_calls
    assert first.tensors != check_gradients(module, x, seed=8).tensors


def test_budget_ends_the_check_and_the_report_says_what_was_covered() -> None:
    report = check_gradients(nn.Linear(30, 8), torch.randn(4, 30), budget=1e-9)
    assert report.passed
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {check.reason for check in report.tensors} == {"budget"}
    assert "budget" in str(report)
    enough = check_gradients(nn.Linear(3, 2), torch.randn(4, 3), budget=600)
    assert enough.verdict is Verdict.GOOD
    assert all(check.coverage == 1.0 for check in enough.tensors)


def test_checks_can_be_chosen() -> None:
    report = check_gradients(Swish, torch.randn(3), checks=["vjp"])
    assert not report.second_order
    assert report.settings.checks == ("vjp",)


def test_failure_text_names_everything() -> None:
    report = check_gradients(planted(Swish, spoilt_element(7), "Spoilt"), torch.randn(4, 5), seed=3, order=1)
    text = str(report)
    worst = report.tensors[0].worst
    assert worst is not None
    assert text.splitlines()[0] == "gradients of Spoilt are WRONG: 1 of 1 tensor differs from finite differences"
    assert re.search(r"input0 +4x5 +\d\.\de-\d\d +\d\.\de-\d\d +WRONG", text)
    assert f"input0[1, 2]: autograd {worst.autograd:.9g}, numeric {worst.numeric:.9g} (relative error 3.3e-01)" in text
    assert "likely cause: only 1 of 20 elements differ, at [1, 2]; all others agree" in text
    assert "bands: at most 1e-05 GOOD, at most 0.001 SUSPICIOUS, above WRONG" in text
    assert "float64 on cpu, eps 1e-05, mode auto, seed 3" in text
    assert re.search(r"source: .*functions\.py:\d+", text)


def test_report_survives_json() -> None:
    report = check_gradients(planted(Swish, lambda g: g * float("nan")), torch.randn(3))
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["version"] == 1
    assert data["tensors"][0]["relative_error"] == "nan"
    assert str(Report.from_dict(data)) == str(report)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_device_option_moves_the_check() -> None:
    report = check_gradients(nn.Linear(3, 2), torch.randn(4, 3), device="cuda")
    assert report.device.startswith("cuda")
    assert report.verdict is Verdict.GOOD
