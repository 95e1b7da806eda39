"""Every mutant is caught by the check that should catch it, and every right Function is GOOD and free of findings."""

from __future__ import annotations

import pytest

from pytest_gradcheck import Verdict
from pytest_gradcheck.settings import CHECKS
from tests.gradcheck.mutants import SPECS
from tests.gradcheck.mutants.hunt import checked, hunted
from tests.gradcheck.mutants.spec import Spec

#: What a check calls its findings, where that is not its own name.
KINDS = {"precision": {"low-precision"}, "vjp": {"vjp", "precision"}}
MUTANTS = [(spec, fault) for spec in SPECS for fault in spec.faults]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_right_function_is_good(spec: Spec) -> None:
    report = checked(spec.right(), spec)
    assert report is not None
    assert report.verdict is Verdict.GOOD, str(report)
    # A linear Function has no second derivative, and the second-order check says that it could see none.
    findings = [f for f in report.findings if f.severity != "info" and f.kind not in ("no-power", "second-order")]
    assert not findings


@pytest.mark.parametrize(("spec", "fault"), MUTANTS, ids=[f"{spec.name}-{fault}" for spec, fault in MUTANTS])
def test_the_mutant_is_caught_by_its_check(spec: Spec, fault: str) -> None:
    assert spec.faults[fault].check in hunted(spec, fault)


def test_there_are_enough_and_every_check_kills_one() -> None:
    assert len(SPECS) >= 30
    assert len(MUTANTS) >= 100
    killers = {spec.faults[fault].check for spec, fault in MUTANTS}
    idle = {check for check in CHECKS if not killers & KINDS.get(check, {check})}
    assert idle == {"determinism"}  # non-determinism is measured and allowed for, it is no fault of a gradient


def test_a_mutant_differs_from_the_right_function_in_its_fault_alone() -> None:
    """The hunt cannot succeed by chance: the right Function built the same way has no catcher."""
    spec = next(spec for spec in SPECS if spec.name == "Square")
    same = Spec(spec.name, spec.inputs, spec.forward, spec.backward)
    assert not same.faults
    report = checked(same.right(), same, order=1)
    assert report is not None
    assert not report.findings
