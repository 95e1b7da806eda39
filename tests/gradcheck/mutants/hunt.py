"""Running the checks, and torch's own gradcheck, on a Function and its faults."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from pytest_gradcheck import Report, Verdict, check_gradients
from pytest_gradcheck.errors import UsageProblem
from tests.gradcheck.mutants.spec import SECOND, FunctionClass, Spec


def catchers(report: Report) -> set[str]:
    """Who raised a warning or an error: "vjp", "second-order", or the kind of a finding."""
    caught = {finding.kind for finding in report.findings if finding.severity != "info"}
    wrong = any(check.verdict is Verdict.WRONG for check in report.tensors)
    proven = any(check.proven and check.verdict is Verdict.SUSPICIOUS for check in report.tensors)
    return caught | ({"vjp"} if wrong or proven else set())


def checked(function: FunctionClass, spec: Spec, order: int | None = None) -> Report | None:
    """The report; None where there is no gradient to check at all."""
    try:
        return check_gradients(function, *spec.point(), order=order)
    except UsageProblem:
        return None


def hunted(spec: Spec, fault: str) -> set[str]:
    """Who catches a fault."""
    order = None if spec.faults[fault].group == SECOND else 1
    report = checked(spec.wrong(fault), spec, order)
    return {"vjp"} if report is None else catchers(report)


def torch_catches(spec: Spec, fault: str, fast: bool) -> bool:
    """Whether torch.autograd.gradcheck catches it (and gradgradcheck, for faults of the double backward)."""
    function = spec.wrong(fault)
    return torch_flags(function, spec, fast, "jvp" in vars(function), spec.faults[fault].group == SECOND)


def torch_flags(function: FunctionClass, spec: Spec, fast: bool, forward: bool, second: bool) -> bool:
    """Whether torch's gradcheck fails or raises, with forward-mode AD and the double backward where asked for."""
    inputs = spec.point()
    for value in inputs:
        if isinstance(value, torch.Tensor) and not _integral(value):
            value.requires_grad_(True)
    call: Any = function.apply
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            passed = torch.autograd.gradcheck(call, inputs, fast_mode=fast, check_forward_ad=forward)
            if passed and second:
                passed = torch.autograd.gradgradcheck(call, inputs, fast_mode=fast)
        except Exception:  # noqa: BLE001  a mismatch, a crash of the checker or of the Function: all are "caught"
            return True
    return not passed


def _integral(tensor: torch.Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())
