"""The checks: one question a file, all of one Protocol. This tuple is the one registry; its order is their order."""

from pytest_gradcheck.checks.base import Check
from pytest_gradcheck.checks.cotangent import CotangentLayouts
from pytest_gradcheck.checks.determinism import Determinism
from pytest_gradcheck.checks.second_order import SecondOrder
from pytest_gradcheck.checks.vjp import Vjp

CHECKS: tuple[Check, ...] = (Determinism(), Vjp(), CotangentLayouts(), SecondOrder())

__all__ = ["CHECKS", "Check"]
