"""The layers and functions of torch that chains are made of: what each is, by full name or by tensor method."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from gradlint.words import words

if TYPE_CHECKING:
    import libcst as cst


class LinkKind(str, Enum):
    """What a link does to the signal."""

    LINEAR = "linear"
    CONV = "conv"
    RNN = "rnn"
    NORM = "norm"
    ACTIVATION = "activation"
    DROPOUT = "dropout"
    POOL = "pool"
    RESHAPE = "reshape"  # moves numbers, keeps them: flatten, view, Identity
    RESIDUAL = "residual"  # the sum that closes a skip connection
    OTHER = "other"  # a torch layer of another kind: embedding, attention, padding
    OPAQUE = "opaque"  # cannot be known: nothing may be said across it


@dataclass(frozen=True, eq=False)
class Link:
    """One step of a chain; a layer that runs three times gives three links with one `node`.

    `node` is the call where a violation about it stands, `name` its full torch name, `activation` a word such as
    "sigmoid". Dims and bias are None where they are not literal. `bypassed`: a skip connection leads around it.
    """

    kind: LinkKind
    node: cst.CSTNode
    name: str | None = None
    activation: str | None = None
    in_features: int | None = None
    out_features: int | None = None
    bias: bool | None = None
    bypassed: bool = False

    @property
    def has_weight(self) -> bool:
        """Whether it is a linear or convolutional layer."""
        return self.kind in (LinkKind.LINEAR, LinkKind.CONV)

    def again(self, *, bypassed: bool | None = None) -> Link:
        """The same step at another place of a chain."""
        is_bypassed = self.bypassed if bypassed is None else bypassed
        dims = self.in_features, self.out_features, self.bias
        return Link(self.kind, self.node, self.name, self.activation, *dims, is_bypassed)


_ACTIVATIONS: Final = {
    "celu": "CELU", "elu": "ELU", "gelu": "GELU", "glu": "GLU", "hardshrink": "Hardshrink",
    "hardsigmoid": "Hardsigmoid", "hardswish": "Hardswish", "hardtanh": "Hardtanh", "leaky_relu": "LeakyReLU",
    "log_softmax": "LogSoftmax", "logsigmoid": "LogSigmoid", "mish": "Mish", "prelu": "PReLU", "relu": "ReLU",
    "relu6": "ReLU6", "rrelu": "RReLU", "selu": "SELU", "sigmoid": "Sigmoid", "silu": "SiLU", "softmax": "Softmax",
    "softmin": "Softmin", "softplus": "Softplus", "softshrink": "Softshrink", "softsign": "Softsign", "tanh": "Tanh",
    "tanhshrink": "Tanhshrink", "threshold": "Threshold",
}  # fmt: skip
_ACTIVATION_OF_CLASS: Final = {class_name: word for word, class_name in _ACTIVATIONS.items()} | {"Softmax2d": "softmax"}
_IN_TORCH: Final = frozenset({"sigmoid", "tanh", "relu", "softmax", "log_softmax", "selu", "celu", "rrelu", "prelu"})
_IN_TENSOR: Final = frozenset({"sigmoid", "tanh", "relu", "softmax", "log_softmax", "hardshrink", "prelu"})
_RESHAPING: Final = words(
    "clone contiguous cuda cpu double expand flatten float half movedim permute repeat reshape squeeze swapaxes to"
    " transpose type unflatten unsqueeze view view_as bfloat16 t"
)
_OF_CLASS: Final[dict[str, LinkKind]] = {
    **dict.fromkeys(("Linear", "LazyLinear"), LinkKind.LINEAR),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"), LinkKind.RNN),
    **dict.fromkeys(("Identity", "Flatten", "Unflatten", "PixelShuffle", "PixelUnshuffle"), LinkKind.RESHAPE),
    **dict.fromkeys(("LayerNorm", "GroupNorm", "SyncBatchNorm", "RMSNorm", "LocalResponseNorm"), LinkKind.NORM),
    **dict.fromkeys(("AlphaDropout", "FeatureAlphaDropout"), LinkKind.DROPOUT),
}
_BY_PART: Final = (
    ("ConvTranspose", LinkKind.CONV), ("Conv", LinkKind.CONV), ("BatchNorm", LinkKind.NORM),
    ("InstanceNorm", LinkKind.NORM), ("Dropout", LinkKind.DROPOUT), ("Pool", LinkKind.POOL),
)  # fmt: skip
_OF_FUNCTION: Final = (
    ("linear", LinkKind.LINEAR), ("conv", LinkKind.CONV), ("_norm", LinkKind.NORM), ("dropout", LinkKind.DROPOUT),
    ("_pool", LinkKind.POOL),
)  # fmt: skip


def layer_kind(name: str) -> tuple[LinkKind, str | None] | None:
    """What a `torch.nn` class makes, and the activation's word; None for anything that is no torch layer."""
    module, _, short = name.rpartition(".")
    if module != "torch.nn" or not short[:1].isupper():
        return None
    if short in _ACTIVATION_OF_CLASS:
        return LinkKind.ACTIVATION, _ACTIVATION_OF_CLASS[short]
    if short in _OF_CLASS:
        return _OF_CLASS[short], None
    return next((kind for part, kind in _BY_PART if part in short), LinkKind.OTHER), None


def function_kind(name: str) -> tuple[LinkKind, str | None] | None:
    """What a function of torch does to its first argument; None when that is not known."""
    module, _, short = name.rpartition(".")
    plain = short.rstrip("_")
    functional = module == "torch.nn.functional"
    if name == "torch.special.expit":
        return LinkKind.ACTIVATION, "sigmoid"
    if (functional and plain in _ACTIVATIONS) or (module == "torch" and plain in _IN_TORCH):
        return LinkKind.ACTIVATION, plain
    if module == "torch" and short in _RESHAPING:
        return LinkKind.RESHAPE, None
    if not functional or short == "bilinear":
        return None
    found = next((kind for part, kind in _OF_FUNCTION if part in short), None)
    return None if found is None else (found, None)


def method_kind(method: str) -> tuple[LinkKind, str | None] | None:
    """What a method of a tensor does to it; None when that is not known."""
    plain = method.rstrip("_")
    if plain in _IN_TENSOR:
        return LinkKind.ACTIVATION, plain
    return (LinkKind.RESHAPE, None) if method in _RESHAPING else None
