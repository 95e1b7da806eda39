"""Smoke runs: a few training steps under a sentinel, and what to blame when they fail."""

from pytest_gradcheck.training.smoke import train_smoke

__all__ = ["train_smoke"]
