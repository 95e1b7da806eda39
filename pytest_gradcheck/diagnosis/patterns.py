"""Causes that hold over the whole tensor, element by element: nan, no flow, no change, the sign, a factor."""

from __future__ import annotations

from pytest_gradcheck.diagnosis.evidence import Cause, Evidence
from pytest_gradcheck.diagnosis.factors import factor, origin


def not_finite(evidence: Evidence) -> Cause | None:
    """Autograd returned nan or inf where the function has a derivative."""
    if bool(evidence.autograd.isfinite().all()):
        return None
    broken = int((~evidence.whole.isfinite()).sum())
    said = f"autograd returned nan or inf in {broken} of {evidence.numel} elements where the function is smooth"
    return Cause(said, 1.0)


def no_gradient(evidence: Evidence) -> Cause | None:
    """Zero or None where the function does depend on the tensor."""
    if evidence.whole.any():
        return None
    if evidence.reached:
        return Cause(f"backward returns zeros for {evidence.name}, but the output does depend on it", 1.0)
    return Cause(
        f"no gradient flows to {evidence.name}: backward returns None for it, or the graph is cut on the way "
        f"(.detach(), .data, torch.no_grad(), numpy), but the output does depend on it",
        1.0,
    )


def flat(evidence: Evidence) -> Cause | None:
    """Autograd has a gradient where the output does not change with the tensor: a straight-through estimator."""
    measured = evidence.numeric.numel()
    partly = evidence.complete and measured < evidence.numel  # the others are right: there it does change, as ReLU
    if not measured or partly or evidence.numeric.any() or not evidence.autograd.all():
        return None
    return Cause(
        f"the output does not change with {evidence.name}: numeric is 0 in all {measured} elements measured, as behind "
        f"round, sign or a threshold; if a straight-through estimator is meant, mark the test "
        f"xfail(raises=GradientMismatch, strict=True)",
        1.0,
    )


def sign_flip(evidence: Evidence) -> Cause | None:
    """Every element has the opposite sign."""
    return evidence.cause("the sign is flipped: autograd = -numeric", -evidence.numeric)


def constant_factor(evidence: Evidence) -> Cause | None:
    """Every element is off by one factor, with the likely origin of that factor."""
    found = factor(evidence.autograd, evidence.numeric)
    if found is None:
        return None
    where = origin(found, evidence.sizes)
    # A factor of known origin was not fitted: one element bears it out.
    free, tried = (0, 1) if where else (1, 1)
    said = f"every element is off by one factor: autograd = {found:.6g} x numeric{where}"
    return evidence.cause(said, found * evidence.numeric, free, tried)
