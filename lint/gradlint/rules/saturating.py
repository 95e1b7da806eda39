"""What the rules about sigmoid and tanh share: is the gain minded, and putting a ReLU in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import libcst as cst

if TYPE_CHECKING:
    from gradlint.model import Edit
    from gradlint.rule import Context
    from gradlint.semantics.init_function import InitCall

_RELU: Final = {
    "Sigmoid": "ReLU", "Tanh": "ReLU", "sigmoid": "relu", "tanh": "relu", "sigmoid_": "relu_", "tanh_": "relu_",
}  # fmt: skip

_GAIN_AWARE = re.compile(r"^(xavier|orthogonal|kaiming)")


def minds_gain(call: InitCall) -> bool:
    """Whether an init call chooses a scale for the activation: then tanh stacks keep their gradient."""
    return _GAIN_AWARE.match(call.scheme) is not None


def relu_instead(node: cst.CSTNode, ctx: Context) -> Edit | None:
    """The edit of `Sigmoid` in `nn.Sigmoid()`; a bare imported name would need an import as well."""
    function = node.func if isinstance(node, cst.Call) else None
    if not isinstance(function, cst.Attribute) or function.attr.value not in _RELU:
        return None
    return ctx.replace(function.attr, _RELU[function.attr.value])
