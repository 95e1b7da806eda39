"""No false alarm on torch's own modules and operators; what truly disagrees is listed by name with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_gradcheck import UsageProblem, Verdict
from tests.gradcheck.false_alarms import DISAGREE, asked, family
from tests.gradcheck.torch_samples import SAMPLES, Sample, module_samples, operator_samples

pytest.importorskip("expecttest", reason="torch's sample databases need it")


@pytest.mark.parametrize(("make", "least"), [(module_samples, 400), (operator_samples, 900)])
def test_torchs_own_gradients_are_right(make: Callable[[int], Iterator[Sample]], least: int) -> None:
    failed, good = {}, 0
    for sample, answer in asked(make(SAMPLES)):
        if isinstance(answer, UsageProblem):
            continue
        good += answer.verdict is Verdict.GOOD
        if not answer.passed:
            failed[sample.name] = (family(sample), str(answer))
    alarms = {name: text for name, (kind, text) in failed.items() if kind not in DISAGREE}
    assert not alarms, "\n\n".join(f"{name}\n{text}" for name, text in alarms.items())
    assert good >= least
    assert failed, "what is known to disagree agrees: the list is out of date, or nothing was checked"
