"""Smoke runs: a few training steps under a sentinel, and what to blame when they fail."""

from pytest_gradcheck.training.flow import gradient_flow
from pytest_gradcheck.training.smoke import train_smoke

__all__ = ["gradient_flow", "train_smoke"]
