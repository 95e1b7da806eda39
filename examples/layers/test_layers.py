"""Gradient checks of the layers beside this file.

pytest --gradcheck examples/layers
"""

from __future__ import annotations

import pytest
import torch
from layers import BatchNorm, GatedLinear, Sign, Swish

from pytest_gradcheck import GradientMismatch


def test_swish(gradcheck):
    """The fixture: raises on a mismatch, returns the report."""
    report = gradcheck(Swish, torch.randn(4, 5))
    assert report.verdict == "GOOD"
    assert report.second_order, "a custom Function is checked to second order too"


@pytest.mark.gradcheck((8, 16))
def test_gated_linear():
    """The marker: the test returns the subject, the marker names the shapes to draw."""
    return GatedLinear(16, 4)


@pytest.mark.gradcheck((6, 5))
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training):
    """Buffers are held still between evaluations, so running statistics never move under the check."""
    return BatchNorm(5).train(training)


@pytest.mark.gradcheck
def test_batch_norm_with_weights_of_its_own():
    """Parameters away from their initial ones and zeros: a wrong factor of the weight cannot hide."""
    layer = BatchNorm(5)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    return layer, 3 * torch.randn(6, 5) + 1


@pytest.mark.xfail(raises=GradientMismatch, strict=True)
@pytest.mark.gradcheck((20,))
def test_straight_through_estimator():
    """Wrong on purpose, and said so: if it ever agreed, this test would fail."""
    return Sign
