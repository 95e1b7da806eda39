"""A gradient report as terminal text: what, where, how big, against which bound, which seed, the next command."""

from __future__ import annotations

import math

from pytest_gradcheck.model import Report, TensorCheck, Verdict

#: Rows of GOOD tensors beyond which only the others are listed.
ROWS = 12


def render_report(report: Report) -> str:
    """The text that a failure prints."""
    lines = [headline(report), "", *_table(report.tensors)]
    for check in report.tensors:
        lines += _detail(check)
    if report.second_order:
        lines += ["", "second order (the derivative of the backward):", *_table(report.second_order)]
        for check in report.second_order:
            lines += _detail(check)
    if any(check.worst and _failed(check) for check in (*report.tensors, *report.second_order)):
        lines += [
            "",
            "(autograd and numeric: derivatives of sum(v * output), v a random cotangent; 1 for a single number)",
        ]
    if report.findings:
        lines += ["", *(f"{finding.severity}: {finding.message}" for finding in report.findings)]
    return "\n".join([*lines, "", *_footer(report)])


def headline(report: Report) -> str:
    """One line: the verdict, and on how many tensors."""
    first_order = [check for check in report.tensors if check.verdict is report.verdict]
    checks = report.tensors if first_order else report.second_order
    bad = first_order or [check for check in checks if check.verdict is report.verdict]
    if report.verdict is Verdict.GOOD:
        return f"gradients of {report.subject} are GOOD: {_tensors(len(report.tensors))} checked, no difference found"
    errors = [finding for finding in report.findings if finding.severity == "error"]
    raised = [finding for finding in errors if finding.kind == "backward-raised"]
    # What is written into behind autograd's back explains whatever else is wrong.
    written = [finding for finding in report.findings if finding.kind == "mutation" and finding.severity != "info"]
    cause = (written if report.verdict is Verdict.WRONG else []) or raised or (errors if not bad else [])
    if cause:
        return f"gradients of {report.subject} are WRONG: {cause[0].message}"
    one, many = {
        Verdict.WRONG: ("differs from finite differences", "differ from finite differences"),
        Verdict.SUSPICIOUS: ("lies between the bands", "lie between the bands"),
        Verdict.INCONCLUSIVE: ("could not be certified", "could not be certified"),
    }[report.verdict]
    share = f"{len(bad)} of {_tensors(len(checks))} {many if len(bad) > 1 else one}"
    order = "" if first_order else " to second order"
    return f"gradients of {report.subject} are {report.verdict}{order}: {share}"


def _tensors(count: int) -> str:
    return f"{count} tensor{'s' if count != 1 else ''}"


def _table(checks: tuple[TensorCheck, ...]) -> list[str]:
    shown = [c for c in checks if c.verdict is not Verdict.GOOD] if len(checks) > ROWS else list(checks)
    shown = shown or [max(checks, key=lambda check: check.relative_error)] if checks else []
    rows = [("tensor", "shape", "relative error", "error bar", "verdict")]
    rows += [
        (c.name, "x".join(map(str, c.shape)) or "scalar", f"{c.relative_error:.1e}", f"{c.error_bar:.1e}", _verdict(c))
        for c in shown
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    if len(shown) < len(checks):
        lines.append(f"  ... and {_tensors(len(checks) - len(shown))} GOOD")
    return lines


def _verdict(check: TensorCheck) -> str:
    how = "" if check.coverage else " (projected)"
    if 0 < check.coverage < 1:
        how = f" ({check.coverage:.0%} of elements)"
    if math.isnan(check.relative_error) and not check.coverage:
        how = ""  # nothing was compared at all
    why = (
        f": {check.reason}"
        if check.reason
        else ", unproven"
        if check.verdict is Verdict.SUSPICIOUS and not check.proven
        else ""
    )
    return f"{check.verdict}{why}{how}"


def _failed(check: TensorCheck) -> bool:
    return check.verdict not in (Verdict.GOOD, Verdict.INCONCLUSIVE)


def _detail(check: TensorCheck) -> list[str]:
    if not _failed(check):
        return []
    lines = []
    if check.worst is not None:
        where = f"{check.name}{list(check.worst.index) if check.worst.index else ''}"
        part = f".{check.worst.part}" if check.worst.part else ""
        autograd, numeric = check.worst.autograd, check.worst.numeric
        scale = abs(autograd) + abs(numeric)
        ratio = abs(autograd - numeric) / scale if scale else 0.0
        lines += ["", f"{where}{part}: autograd {autograd:.9g}, numeric {numeric:.9g} (relative error {ratio:.1e})"]
    if check.diagnosis:
        lines.append(f"likely cause: {check.diagnosis}" if lines else f"{check.name}: {check.diagnosis}")
    return lines


def _footer(report: Report) -> list[str]:
    good, suspicious = report.settings.bands
    lines = [
        f"bands: at most {good:g} GOOD, at most {suspicious:g} SUSPICIOUS, above WRONG",
        f"computed in {report.dtype} on {report.device}, eps {report.settings.eps:g}, mode {report.settings.mode}, "
        f"seed {report.seed}; {report.forward_calls} forward calls in {report.seconds:.2f} s",
    ]
    if report.settings.strict:
        lines.append("strict: anything but GOOD fails")
    if report.source:
        lines.append(f"source: {report.source}")
    if report.rerun:
        lines.append(f"rerun: {report.rerun}")
    return lines
