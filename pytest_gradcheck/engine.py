"""Runs the checks on a subject and reports; prints nothing and knows no pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pytest_gradcheck.checks import CHECKS
from pytest_gradcheck.checks.agree import explained
from pytest_gradcheck.checks.base import Context, Deadline, Outcome
from pytest_gradcheck.checks.mutation import Mutation, of_raising
from pytest_gradcheck.checks.pictures import with_sweeps
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, Report, TensorCheck, Verdict
from pytest_gradcheck.settings import DEFAULT_EPS, Settings, resolve
from pytest_gradcheck.subjects import tree
from pytest_gradcheck.subjects.collective import Crowd
from pytest_gradcheck.subjects.forward import FirstForwardRaised
from pytest_gradcheck.subjects.meeting import meeting
from pytest_gradcheck.subjects.prepare import listed, prepared
from pytest_gradcheck.subjects.resolve import Resolved
from pytest_gradcheck.subjects.resolve import resolve as resolve_subject
from pytest_gradcheck.subjects.subject import Subject

#: Checks that ask nothing but values and gradients, which is what ranks can compute together.
ACROSS = ("determinism", "vjp")


@dataclass(frozen=True)
class Question:
    """A subject with its inputs: what `run` answers.

    Attributes:
        subject: An `autograd.Function` class or its `apply`, an `nn.Module`, or any callable.
        inputs: Positional inputs: tensors, nested containers of them, anything else.
        kwargs: Keyword inputs.
        wrt: Names of the tensors to check, or None for the default choice.
        sweeps: Whether to take sweeps for pictures too, at some seventy forwards each.
        progress: Told what is being done, some hundred times a second at most; None for nobody.
    """

    subject: Any
    inputs: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    wrt: Sequence[str] | None = None
    sweeps: bool = False
    progress: Callable[[str], None] | None = None


def run(question: Question, options: Mapping[str, Any], *weaker: Mapping[str, Any], rerun: str | None = None) -> Report:
    """Checks the gradients of a subject.

    Args:
        question: The subject and its inputs.
        options: Options of the call, None for unset.
        weaker: Further layers of options, from the stronger to the weaker.
        rerun: The command that repeats this check, for the report.

    Raises:
        UsageProblem: The question cannot be answered; the message says what to do.
    """
    settings = resolve(options, *weaker)
    chosen_eps = any(layer.get("eps") is not None for layer in (options, *weaker))
    chosen_dtype = any(layer.get("dtype") is not None for layer in (options, *weaker))
    resolved = resolve_subject(question.subject)
    question = replace(question, wrt=listed(question.wrt))  # read once for each dtype
    started = time.monotonic()
    with torch.inference_mode(False):
        report = _asked(question, resolved, settings, started, chosen_eps, chosen_dtype)
    return replace(report, rerun=rerun)


def _asked(
    question: Question, resolved: Resolved, settings: Settings, started: float, chosen_eps: bool, chosen_dtype: bool
) -> Report:
    """The report in the settings' dtype, or in the subject's own where its forward cannot run in that."""
    try:
        report = _run(question, resolved, settings, started)
    except FirstForwardRaised as problem:
        failure = UsageProblem(str(problem))
        own = _own_dtype(question, resolved)
        a_warning = isinstance(problem.__cause__, Warning)  # raised by a filter: another dtype mends nothing
        if chosen_dtype or own == settings.dtype or a_warning:
            raise failure from problem.__cause__
        narrow = replace(settings, dtype=own, eps=settings.eps if chosen_eps else DEFAULT_EPS[own])
        try:
            report = _run(question, resolved, narrow, started)
        except FirstForwardRaised:
            raise failure from problem.__cause__
        note = (
            f"the forward cannot run in {settings.dtype} ({problem.__cause__}); checked in {own}, with steps that fit"
        )
        report = replace(report, findings=(*report.findings, Finding("dtype", "info", note)))
    return report


def _run(question: Question, resolved: Resolved, settings: Settings, started: float) -> Report:
    kwargs = question.kwargs or {}
    inputs, wrt = question.inputs, question.wrt
    asked = f"{resolved.name} with seed {settings.seed}"
    with meeting(asked) as meet, prepared(resolved, inputs, kwargs, wrt, settings) as subject:
        crowd = meet(subject)
        if crowd is None:
            return _measured(question, resolved, settings, started, subject)
        fewer, said = _across(crowd, settings)
        report = crowd.answer(lambda whole: _measured(question, resolved, fewer, started, whole))
        return replace(report, findings=(*report.findings, said))


def _across(crowd: Crowd, settings: Settings) -> tuple[Settings, Finding]:
    """The settings with those checks only that a function of several processes can answer, and what is to be said."""
    fewer = tuple(name for name in settings.checks if name in ACROSS) or ("vjp",)
    left = [name for name in settings.checks if name not in fewer]
    said = (
        f"the subject calls {', '.join(crowd.collectives)}: it was checked as one function of the tensors of all "
        f"{crowd.ranks.size} ranks, and of the sum over them"
    )
    missing = f"; not run across ranks: {', '.join(left)}" if left else ""
    return replace(settings, checks=fewer), Finding("collective", "info", said + missing)


def _measured(question: Question, resolved: Resolved, settings: Settings, started: float, subject: Subject) -> Report:
    deadline = Deadline(started + settings.budget) if settings.budget is not None else Deadline()
    context = Context(subject, settings, deadline, progress=question.progress)
    outcome = _answers(context)
    outcome.findings += [Finding(kind, "info", said) for kind, said in subject.constants]
    device = subject.leaves[0].tensor.device
    calls = subject.calls
    tensors, sweep = with_sweeps(context, outcome) if question.sweeps else (outcome.tensors, None)
    return Report(
        subject=resolved.name,
        tensors=tuple(tensors),
        findings=tuple(outcome.findings),
        seconds=time.monotonic() - started,
        forward_calls=calls,
        seed=settings.seed,
        settings=settings,
        second_order=tuple(outcome.second_order),
        dtype=settings.dtype,
        device=str(device),
        source=resolved.source,
        sweep=sweep,
    )


def _answers(context: Context) -> Outcome:
    whole, left_out = Outcome(), list[str]()
    _ = context.cotangents  # the forward's own problems come first, as what they are
    try:
        _ = context.gradients
    except UsageProblem:
        raise
    except Exception as error:  # noqa: BLE001  a custom backward may raise anything, and that is a result
        return _backward_raised(context, error)
    for check in CHECKS:
        if check.name not in context.settings.checks:
            continue
        if context.deadline.passed and check.name != "vjp":
            left_out.append(check.name)
            continue
        context.tell(f"check {check.name}")
        context.off = [tensor for tensor in whole.tensors if tensor.verdict > Verdict.INCONCLUSIVE]
        if check.name == "second-order" and context.off:
            continue  # the derivative of a wrong gradient says nothing new
        found = check.run(context)
        whole.tensors += found.tensors
        whole.second_order += found.second_order
        whole.findings += found.findings
    if context.deadline.passed:
        whole.findings.append(_covered(context, whole.tensors, left_out))
    # A cause before its symptoms.
    whole.findings.sort(key=lambda finding: finding.kind != Mutation.name or finding.severity == "info")
    return whole


def _covered(context: Context, tensors: Sequence[TensorCheck], left_out: Sequence[str]) -> Finding:
    """What was seen before the budget ended, and what was not."""
    measured = [tensor for tensor in tensors if tensor.reason != "budget"]
    whole = sum(tensor.coverage == 1.0 for tensor in measured)
    said = f"the budget of {context.settings.budget:g} s ended"
    if tensors:
        said += (
            f": {len(measured)} of {len(tensors)} tensors were compared, {whole} of them element by element, the "
            f"others by projections or in part"
        )
    return Finding("budget", "warning", said + (f"; not run: {', '.join(left_out)}" if left_out else ""))


def _backward_raised(context: Context, error: Exception) -> Outcome:
    said = f"the backward raised {explained(error)}"
    checks = [
        TensorCheck(
            leaf.name, tuple(leaf.tensor.shape), float("nan"), float("inf"), Verdict.WRONG, None, 0.0, said, True
        )
        for leaf in context.subject.leaves
    ]
    written = of_raising(context) if Mutation.name in context.settings.checks else []
    return Outcome(tensors=checks, findings=[*written, Finding("backward-raised", "error", said)])


def _own_dtype(question: Question, resolved: Resolved) -> str:
    """The widest floating dtype among the subject's own parameters and inputs, before any cast."""
    found = [tensor for _, tensor in tree.tensors((list(question.inputs), dict(question.kwargs or {})))]
    owners = [resolved.module, *(value for _, value in resolved.captured)]
    found += [tensor for owner in owners if isinstance(owner, torch.nn.Module) for tensor in owner.parameters()]
    widths = {tensor.dtype for tensor in found if tensor.is_floating_point()}
    names = [name for name in DEFAULT_EPS if getattr(torch, name) in widths]
    return names[0] if names else "float64"
