"""Is the backward itself differentiable, and rightly? A penalty on a gradient or a Hessian relies on it."""

from __future__ import annotations

from dataclasses import replace

import torch

from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.checks.vjp import check_leaves
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, TensorCheck, Verdict
from pytest_gradcheck.subjects.graph import nodes
from pytest_gradcheck.subjects.subject import Leaf, Subject


class SecondOrder:
    """Checks the derivative of the backward pass by its inputs and by its cotangent."""

    name = "second-order"

    def run(self, context: Context) -> Outcome:
        """Runs for order 2, and by default for custom Functions whose backward allows it.

        Raises:
            UsageProblem: Order 2 was asked for, and the backward cannot be differentiated.
        """
        asked = context.settings.order == 2
        wanted = asked or (context.settings.order is None and context.subject.function is not None)
        if not wanted or not any(context.gradients.reached):
            return Outcome()
        backward = derivative(context)
        try:
            outputs = backward.evaluate()
            if _refuses(outputs):
                raise RuntimeError("it is marked with @once_differentiable")
            allowed = any(output.requires_grad for output in outputs)
            second = Context(backward, context.settings, context.deadline)
            if allowed:
                _ = second.gradients
        except Exception as error:
            if asked:
                raise UsageProblem(
                    f"order=2 was asked for, but the backward of {context.subject.name} is not differentiable: {error}"
                ) from error
            return Outcome()
        if not allowed and not asked:
            return Outcome(findings=[_untracked(context.subject.name)])
        return _judged(second)


def _refuses(outputs: list[torch.Tensor]) -> bool:
    """Whether a node of the graph raises when it is reached: what @once_differentiable puts in place of a derivative.

    It has to be looked for, because it is connected to no input: a gradient through it comes back as None.
    """
    return any(type(node).__name__ == "Error" for node in nodes(outputs))


def derivative(context: Context) -> Subject:
    """The backward pass as a subject: from the first one's leaves and its cotangents to its gradients."""
    first = context.subject
    cotangents = [
        Leaf.of(f"cotangent{k}", cotangent.clone().requires_grad_(True), "cotangent")
        for k, cotangent in enumerate(context.cotangents)
    ]

    def compute() -> list[torch.Tensor]:
        return first.gradients([leaf.tensor for leaf in cotangents], create_graph=True).values

    leaves = [Leaf(leaf.name, leaf.tensor, leaf.origin, leaf.kind) for leaf in first.leaves]
    return Subject(f"the backward of {first.name}", [*leaves, *cotangents], compute, None, first.source, first.size)


def _judged(second: Context) -> Outcome:
    findings: list[Finding] = []
    reached = dict(zip((leaf.name for leaf in second.subject.leaves), second.gradients.reached, strict=True))
    checks = {name: _worded(check) if not reached[name] else check for name, check in check_leaves(second, findings)}
    outcome = Outcome(second_order=list(checks.values()))
    outcome.findings = [
        Finding(finding.kind, finding.severity, f"second order: {finding.message}")
        for finding in findings
        if finding.severity != "info" and finding.kind != "no-power"  # the backward of a linear Function is constant
    ]
    wrong = [name for name, check in checks.items() if check.verdict is Verdict.WRONG]
    if wrong:
        message = (
            f"double backward is wrong in {', '.join(wrong)}: the first derivative is right, but its own derivative is "
            f"not; use only inputs and outputs of forward, saved, and differentiable operations in backward (other "
            f"tensors that forward saves are constants there: compute them again), or mark it @once_differentiable"
        )
        outcome.findings.append(Finding("second-order", "error", message))
    return outcome


def _worded(check: TensorCheck) -> TensorCheck:
    """A check whose gradient is None, in the words of the backward: there the function is not the forward."""
    if check.diagnosis is None:
        return check
    said = (
        f"by autograd the backward's result does not depend on {check.name}, though its value does: it was taken from "
        f".detach(), .data, numpy or an attribute of ctx instead of ctx.saved_tensors"
    )
    return replace(check, diagnosis=said)


def _untracked(name: str) -> Finding:
    return Finding(
        "second-order",
        "warning",
        f"the backward of {name} returns tensors without a graph, so a double backward through it would silently miss "
        f"this layer; mark it with @once_differentiable, so that it raises instead",
    )
