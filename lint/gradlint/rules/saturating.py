"""What the rules about stacks share: whether anything initialises them, and putting a ReLU in a sigmoid's place."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import libcst as cst

if TYPE_CHECKING:
    from gradlint.model import Edit
    from gradlint.rule import Context
    from gradlint.semantics.layer_chain import Chain

_RELU: Final = {
    "Sigmoid": "ReLU", "Tanh": "ReLU", "sigmoid": "relu", "tanh": "relu", "sigmoid_": "relu_", "tanh_": "relu_",
}  # fmt: skip

# Any of these says that the weights may come from elsewhere.
_ELSEWHERE = re.compile(
    r"reset_parameters|state_dict|pretrained|checkpoint|torch\.load|\bhub\b|\.weight\b|\.apply\(|nn\.init\b"
    r"|(?<!_)_?init(?:_\w|ialis|ializ)|(?:normal|uniform|orthogonal|eye|dirac|copy)_\(|_norm\b"
)


def is_initialised(chain: Chain, ctx: Context) -> bool:
    """Whether the layers of a chain may start from anything but torch's default."""
    owner = chain.owner or ctx.classes.enclosing(chain.node)
    unknown = owner is not None and not all((base or "").startswith("torch.nn.") for base in owner.bases)
    return unknown or bool(ctx.inits.calls) or _comes_from_elsewhere(ctx.source.text)


@lru_cache(maxsize=1)  # asked of every chain of a file
def _comes_from_elsewhere(text: str) -> bool:
    return _ELSEWHERE.search(text) is not None


def relu_instead(node: cst.CSTNode, ctx: Context) -> Edit | None:
    """The edit of `Sigmoid` in `nn.Sigmoid()`; a bare imported name would need an import as well."""
    function = node.func if isinstance(node, cst.Call) else None
    if not isinstance(function, cst.Attribute) or function.attr.value not in _RELU:
        return None
    return ctx.replace(function.attr, _RELU[function.attr.value])
