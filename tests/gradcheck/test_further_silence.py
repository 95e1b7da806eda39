"""The further checks say nothing about right custom Functions: torch's own operators, each wrapped into one."""

from __future__ import annotations

import os
import warnings

from pytest_gradcheck import UsageProblem, check_gradients
from pytest_gradcheck.settings import CHECKS
from tests.gradcheck.torch_samples import Sample
from tests.gradcheck.wrapped import operators, wrapped

FURTHER = [check for check in CHECKS if check not in ("determinism", "vjp", "cotangent", "second-order")]
#: Every how many operators one is checked here; GRADCHECK_EVERY=1 checks all (about a minute).
EVERY = int(os.environ.get("GRADCHECK_EVERY", "6"))
#: What is truly said about an operator of torch, and why.
TRUE = {
    "matrix_exp": "its bfloat16 kernel returns nan on the CPU",
}


def _findings(sample: Sample) -> list[str] | None:
    """What is said beyond the value of the gradient; None where there is no gradient to speak of."""
    try:
        function, inputs = wrapped(sample)
        report = check_gradients(function, *inputs, checks=FURTHER)
    except UsageProblem:
        return None
    if any(finding.kind == "backward-raised" for finding in report.findings):
        return None  # the operator refuses an input that requires a gradient, which the wrapping Function cannot know
    return [str(finding) for finding in report.findings if finding.severity != "info"]


def test_operators_as_custom_functions() -> None:
    said: dict[str, list[str]] = {}
    checked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own deprecated samples
        for sample in operators(EVERY):
            found = [] if sample.name in TRUE else _findings(sample)
            checked += found is not None
            if found:
                said[sample.name] = found
    assert not said
    assert checked * EVERY > 400
