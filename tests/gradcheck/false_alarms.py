"""torch's own gradients as the test of silence: what the checker says about every sample of torch's databases.

`python -m tests.gradcheck.false_alarms` prints every sample that disagrees and a count of verdicts; `--all` runs all
samples instead of a few per module and operator (about half an hour on two cores), `--write` puts them into their page.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

import torch

from pytest_gradcheck import Report, UsageProblem, check_gradients
from tests.docs.measured import PAGES, put
from tests.gradcheck.torch_samples import SAMPLES, Sample, module_samples, operator_samples

PAGE = PAGES / "false-alarms.md"
#: What truly disagrees, and why. Anything else that fails is a false alarm; anything here that passes is news.
DISAGREE = {
    "nn.CTCLoss": "its gradient is that of inputs that went through log_softmax, and wrong for any others",
    "as_strided_scatter": "reads the memory layout of its input, which a copy of the input does not share",
    "native_layer_norm": "its outputs mean and rstd have no gradient",
    "native_batch_norm": "its outputs save_mean and save_invstd have no gradient",
    "_native_batch_norm_legit": "its outputs save_mean and save_invstd have no gradient",
    "_batch_norm_with_update": "its outputs save_mean and save_invstd have no gradient",
    "nn.functional.max_unpool1d": "indices that occur twice: the forward keeps one value, the backward credits both",
    "nn.functional.max_unpool2d": "indices that occur twice: the forward keeps one value, the backward credits both",
    "nn.functional.max_unpool3d": "indices that occur twice: the forward keeps one value, the backward credits both",
    "nn.functional.ctc_loss": "as nn.CTCLoss",
    "normal": "returns zero gradients for its mean and deviation, though its values depend on them",
    "normal.number_mean": "returns zero gradients for its deviation, though its values depend on it",
    "linalg.lstsq": "its output residuals has no gradient",
}


def asked(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Report | UsageProblem]]:
    """The report on every sample, or the problem that kept it from being checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own deprecated samples
        for sample in samples:
            yield sample, _answer(sample)


def _answer(sample: Sample) -> Report | UsageProblem:
    try:
        return check_gradients(sample.subject, *sample.inputs, kwargs=sample.kwargs, order=1)
    except UsageProblem as problem:
        return problem


def family(sample: Sample) -> str:
    """The module or operator that a sample belongs to."""
    return sample.name.partition("[")[0]


def survey(most: int | None) -> tuple[list[str], list[str]]:
    """A row for each database with its counts of verdicts, and one for each sample that disagrees with its reason."""
    rows, disagree = [], []
    for name, make in (("module_db", module_samples), ("op_db", operator_samples)):
        counts = Counter[str]()
        for sample, answer in asked(make(most)):
            if isinstance(answer, UsageProblem):
                counts["not checkable"] += 1
                continue
            counts[answer.verdict.value if answer.passed else "failed"] += 1
            if not answer.passed:
                reason = DISAGREE.get(family(sample), "FALSE ALARM OR NEWS")
                wrong = [check for check in answer.tensors if check.verdict.badness > 1]
                errors = ", ".join(f"{check.name} {check.relative_error:.1e}" for check in wrong)
                disagree.append(f"| {sample.name} | {errors} | {reason} |")
        cells = [str(counts[kind]) for kind in ("GOOD", "INCONCLUSIVE", "SUSPICIOUS", "failed", "not checkable")]
        rows.append(f"| {name} | {counts.total()} | {' | '.join(cells)} |")
    return rows, disagree


def report(most: int | None) -> str:
    """The survey as tables in Markdown."""
    rows, disagree = survey(most)
    which = "All samples." if most is None else f"At most {most} samples of a module and mode, and of an operator."
    return "\n".join(
        [
            which,
            "",
            "| database | samples | GOOD | INCONCLUSIVE | SUSPICIOUS, unproven | failed | not checkable |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "| failed | relative error | reason |",
            "|---|---|---|",
            *disagree,
        ]
    )


def main() -> None:
    """Prints how many samples got which verdict, and what disagrees."""
    torch.set_num_threads(1)
    said = report(None if "--all" in sys.argv else SAMPLES)
    print(said)
    if "--write" in sys.argv:
        put(PAGE, said)


if __name__ == "__main__":
    main()
