"""Calls of a loss: which loss it is, what is judged and what is the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.layer_values import argument

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.semantics.origins import Origins

_FUNCTIONS: Final = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "kl_div": "KLDivLoss",
    "poisson_nll_loss": "PoissonNLLLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
    "multi_margin_loss": "MultiMarginLoss",
    "multilabel_margin_loss": "MultiLabelMarginLoss",
    "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss",
    "soft_margin_loss": "SoftMarginLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
}
_CLASSES: Final = {f"torch.nn.{name}": name for name in (*_FUNCTIONS.values(), "NLLLoss2d", "GaussianNLLLoss")}
_BY_FUNCTION: Final = {f"torch.nn.functional.{name}": loss for name, loss in _FUNCTIONS.items()}


@dataclass(frozen=True, eq=False)
class Loss:
    """One call: `name` is the class that torch has for it, `made` the call that constructs it, None for a function."""

    name: str
    call: cst.Call
    input: cst.BaseExpression | None
    target: cst.BaseExpression | None
    made: cst.Call | None = None


class Losses:
    """Answers for one file."""

    def __init__(self, names: Names, classes: ModuleClasses, origins: Origins) -> None:
        self._names, self._classes, self._origins = names, classes, origins
        self._known: dict[cst.Call, Loss | None] = {}

    def of(self, call: cst.Call) -> Loss | None:
        """The loss that a call surely computes: a function of torch, or a loss module however it is kept."""
        if call not in self._known:
            self._known[call] = self._find(call)
        return self._known[call]

    def _find(self, call: cst.Call) -> Loss | None:
        if any(given.star for given in call.args):
            return None
        given = argument(call, 0, "input"), argument(call, 1, "target")
        function = self._names.full_name(call.func) or ""
        if function in _BY_FUNCTION:
            return Loss(_BY_FUNCTION[function], call, *given)
        made = self._origins.of(call.func)
        handed = {self._names.full_name(each) for each in made if isinstance(each, (cst.Name, cst.Attribute))}
        if len(made) == len(handed) == 1 and (function := handed.pop() or "") in _BY_FUNCTION:
            return Loss(_BY_FUNCTION[function], call, *given)
        names = {self._classes.constructed(each) for each in made}
        name = names.pop() if len(names) == 1 else None
        settings = made[0] if len(made) == 1 and isinstance(made[0], cst.Call) else None
        return Loss(_CLASSES[name], call, *given, settings) if name in _CLASSES else None
