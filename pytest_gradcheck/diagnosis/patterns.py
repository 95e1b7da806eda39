"""Causes that hold over the whole tensor: nothing flows, the sign, a factor, a transposition."""

from __future__ import annotations

import math

import torch

from pytest_gradcheck.diagnosis.evidence import ENOUGH, Evidence


def not_finite(evidence: Evidence) -> str | None:
    """Autograd returned nan or inf where the function has a derivative."""
    broken = int((~evidence.autograd.isfinite()).sum())
    if not broken:
        return None
    return f"autograd returned nan or inf in {broken} of {len(evidence.autograd)} elements where the function is smooth"


def no_gradient(evidence: Evidence) -> str | None:
    """Zero or None where the function does depend on the tensor."""
    if evidence.autograd.any():
        return None
    if not evidence.reached:
        return (
            f"no gradient flows to {evidence.name}: backward returns None for it, or the graph is cut on the way "
            f"(.detach(), .data, torch.no_grad(), numpy), but the output does depend on it"
        )
    return f"backward returns zeros for {evidence.name}, but the output does depend on it"


def sign_flip(evidence: Evidence) -> str | None:
    """Every element has the opposite sign."""
    if len(evidence.numeric) < ENOUGH and evidence.numel > 1:
        return None
    return "the sign is flipped: autograd = -numeric" if evidence.explained(-evidence.numeric) else None


def constant_factor(evidence: Evidence) -> str | None:
    """Every element is off by one factor, with the likely origin of that factor."""
    square = float(evidence.numeric @ evidence.numeric)
    if len(evidence.numeric) < ENOUGH or not square:
        return None
    factor = float(evidence.autograd @ evidence.numeric) / square
    left = float((evidence.autograd - factor * evidence.numeric).norm())
    difference = float((evidence.autograd - evidence.numeric).norm())
    # A factor that leaves most of the difference explains nothing: something was added, or a part is wrong.
    if left > 0.01 * difference or not evidence.explained(factor * evidence.numeric):
        return None
    origin = _origin(factor, evidence)
    return f"every element is off by one factor: autograd = {factor:.6g} x numeric{origin}"


def _origin(factor: float, evidence: Evidence) -> str:
    sizes = {"the batch size": evidence.batch, "the number of elements": evidence.numel}
    sizes |= {f"the size of axis {axis}": size for axis, size in enumerate(evidence.shape)}
    known = {"a forgotten or doubled 2": 2.0, "a wrong sign and a 2": -2.0}
    for what, size in sizes.items():
        if size > 2:
            known |= {f"{what}, {size}": float(size), f"the root of {what}, {size}": math.sqrt(size)}
            known |= {f"N for N - 1, N = {what}, {size}": size / (size - 1)}
    for what, value in known.items():
        for candidate, said in ((value, what), (1 / value, f"1 / ({what})")):
            if math.isclose(factor, candidate, rel_tol=1e-5):
                return f" ({said}?)"
    return ""


def transposed(evidence: Evidence) -> str | None:
    """The gradient of a square matrix arrives transposed."""
    square = len(evidence.shape) >= 2 and evidence.shape[-1] == evidence.shape[-2] > 1
    if not square or len(evidence.positions) != evidence.numel:
        return None
    turned = evidence.numeric.reshape(evidence.shape).transpose(-1, -2).flatten()
    if torch.equal(turned, evidence.numeric) or not evidence.explained(turned):
        return None
    return "the gradient is transposed: autograd = numeric.transpose(-1, -2)"
