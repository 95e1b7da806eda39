"""Smoke runs: a few training steps under a sentinel, and what to blame when they fail."""

from pytest_gradcheck.training.flow import gradient_flow
from pytest_gradcheck.training.smoke import train_smoke
from pytest_gradcheck.training.watch import watch

__all__ = ["gradient_flow", "train_smoke", "watch"]
