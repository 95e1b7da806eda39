"""The checks: one question a file, all of one Protocol. This tuple is the one registry; its order is their order."""

from pytest_gradcheck.checks.base import Check
from pytest_gradcheck.checks.contract import Contract
from pytest_gradcheck.checks.cotangent import CotangentLayouts
from pytest_gradcheck.checks.determinism import Determinism
from pytest_gradcheck.checks.jvp import Jvp
from pytest_gradcheck.checks.leak import Leak
from pytest_gradcheck.checks.mutation import Mutation
from pytest_gradcheck.checks.native_forward import NativeForward
from pytest_gradcheck.checks.needs_input_grad import NeedsInputGrad
from pytest_gradcheck.checks.outputs import Outputs
from pytest_gradcheck.checks.precision import Precision
from pytest_gradcheck.checks.reentrant import Reentrant
from pytest_gradcheck.checks.second_order import SecondOrder
from pytest_gradcheck.checks.vjp import Vjp
from pytest_gradcheck.checks.vmap_rule import VmapRule

CHECKS: tuple[Check, ...] = (
    Determinism(),
    Vjp(),
    CotangentLayouts(),
    Contract(),
    NeedsInputGrad(),
    Mutation(),
    Reentrant(),
    Outputs(),
    Leak(),
    Jvp(),
    VmapRule(),
    NativeForward(),
    Precision(),
    SecondOrder(),
)

__all__ = ["CHECKS", "Check"]
