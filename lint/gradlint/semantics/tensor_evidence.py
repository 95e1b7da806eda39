"""Whether an expression is surely one tensor, or surely no tensor at all; where neither is sure, both say no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import Binding, BindingKind
from gradlint.semantics.layers import LinkKind, function_kind
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names

# Methods and functions of torch that give exactly one tensor, whatever their arguments.
TENSOR_METHODS: Final = words(
    "abs acos add addmm argmax argmin asin atan baddbmm bernoulli bitwise_and bitwise_not bitwise_or bmm bool ceil"
    " clamp clamp_max clamp_min clip clone contiguous conj cos cosh cpu cross cuda cumprod cumsum detach diag diagonal"
    " digamma div divide dot double einsum empty empty_like eq erf exp expand expand_as expm1 fft flatten flip float"
    " floor full full_like gather ge gt half histc index_add index_fill index_select inverse isfinite isinf isnan"
    " kron le lerp lgamma log log10 log1p log2 log_softmax logical_and logical_not logical_or logit lt masked_fill"
    " masked_scatter masked_select matmul mm movedim mul multiply mv narrow ne neg negative new_empty new_full"
    " new_ones new_tensor new_zeros nonzero norm ones ones_like outer permute pow prod rand rand_like randn randn_like"
    " reciprocal relu remainder repeat repeat_interleave reshape reshape_as roll round rsqrt scatter scatter_add select"
    " sigmoid sign sin sinh softmax sqrt square squeeze stack std sub subtract sum swapaxes t tan tanh tensordot"
    " tensor to trace transpose tril triu true_divide trunc type type_as unflatten unfold unsqueeze view view_as vstack"
    " where xlogy zeros zeros_like cat hstack mean"
)
_WITH_ARGUMENTS: Final = words("nonzero where")  # `nonzero(as_tuple=True)` and `where(mask)` give tuples
_NUMBERS: Final = words("int float bool str")
_MAKING_OTHERS: Final = frozenset(
    f"builtins.{name}" for name in words("int float bool str len range list tuple dict set isinstance type id")
)
_ASKING: Final = words("size dim numel item tolist nelement ndimension element_size stride data_ptr is_contiguous")
_TOLD: Final = words("shape dtype device ndim is_cuda requires_grad layout")
_LITERALS: Final = (
    cst.BaseNumber, cst.BaseString, cst.List, cst.Tuple, cst.Dict, cst.Set, cst.ListComp, cst.DictComp, cst.SetComp,
    cst.Lambda,
)  # fmt: skip


class TensorEvidence:
    """Answers for one file. `tensors` are parameters and unpacked names that the caller knows to be tensors."""

    def __init__(self, names: Names, tensors: frozenset[str] = frozenset()) -> None:
        self._names, self._tensors = names, tensors
        self._asked: list[cst.CSTNode] = []

    def is_tensor(self, value: cst.CSTNode | None) -> bool:
        """Whether an expression is surely one tensor."""
        if value is None or value in self._asked:
            return value is not None  # `g = g * 2` is what the other bindings of `g` make it
        self._asked.append(value)
        try:
            return self._is_tensor(value)
        finally:
            self._asked.pop()

    def _is_tensor(self, value: cst.CSTNode) -> bool:
        if isinstance(value, cst.Name):
            return self._is_tensor_name(value)
        if isinstance(value, cst.BinaryOperation):
            return self.is_tensor(value.left) or self.is_tensor(value.right)
        if isinstance(value, cst.UnaryOperation):
            return not isinstance(value.operator, cst.Not) and self.is_tensor(value.expression)
        if isinstance(value, cst.IfExp):
            return self.is_tensor(value.body) and self.is_tensor(value.orelse)
        if isinstance(value, cst.Subscript):
            return self.is_tensor(value.value)
        if isinstance(value, cst.Attribute):
            return value.attr.value in ("T", "mT", "H", "mH", "data", "grad") and self.is_tensor(value.value)
        return isinstance(value, cst.Call) and self._is_tensor_call(value)

    def _is_tensor_name(self, name: cst.Name) -> bool:
        bindings = self._names.reference(name).bindings
        return bool(bindings) and all(map(self._binds_tensor, bindings))

    def _binds_tensor(self, binding: Binding) -> bool:
        if binding.kind in (BindingKind.PARAMETER, BindingKind.UNPACKING):
            return binding.name in self._tensors
        if binding.kind is BindingKind.AUGMENTED:  # stays what another binding made it
            return len(binding.scope.bindings[binding.name]) > 1
        return binding.kind is BindingKind.ASSIGNMENT and self.is_tensor(binding.value)

    def _is_tensor_call(self, call: cst.Call) -> bool:
        name = self._names.full_name(call.func)
        if name is not None:
            module, _, short = name.rpartition(".")
            kind = function_kind(name)
            if kind is not None and kind[0] is not LinkKind.POOL:
                return True
            return module == "torch" and self._gives_one(short, len(call.args) - 1)
        if isinstance(call.func, cst.Attribute):
            plain = call.func.attr.value.rstrip("_")
            return self._gives_one(plain, len(call.args)) and self.is_tensor(call.func.value)
        return False

    @staticmethod
    def _gives_one(name: str, arguments: int) -> bool:
        plain = name.rstrip("_")
        return plain in TENSOR_METHODS and (plain not in _WITH_ARGUMENTS or (plain == "where" and arguments > 1))

    def is_other(self, value: cst.CSTNode | None) -> bool:
        """Whether an expression is surely no tensor, and not None."""
        if value is None or value in self._asked:
            return value is not None
        self._asked.append(value)
        try:
            return self._is_other(value)
        finally:
            self._asked.pop()

    def _is_other(self, value: cst.CSTNode) -> bool:
        if isinstance(value, _LITERALS):
            return True
        if isinstance(value, cst.Name):
            return value.value in ("True", "False") or self._is_other_name(value)
        if isinstance(value, cst.BinaryOperation):
            return self.is_other(value.left) and self.is_other(value.right)
        if isinstance(value, cst.Attribute):
            return value.attr.value in _TOLD and self._names.full_name(value) is None
        if isinstance(value, cst.Subscript):
            return isinstance(value.value, cst.Attribute) and value.value.attr.value == "shape"
        if not isinstance(value, cst.Call):
            return False
        if self._names.full_name(value.func) in _MAKING_OTHERS:
            return True
        return isinstance(value.func, cst.Attribute) and value.func.attr.value in _ASKING

    def _is_other_name(self, name: cst.Name) -> bool:
        bindings = self._names.reference(name).bindings
        return bool(bindings) and all(map(self._binds_other, bindings))

    def _binds_other(self, binding: Binding) -> bool:
        if binding.kind is BindingKind.PARAMETER and isinstance(binding.node, cst.Param):
            told = binding.node.annotation
            return told is not None and isinstance(told.annotation, cst.Name) and told.annotation.value in _NUMBERS
        return binding.kind is BindingKind.ASSIGNMENT and self.is_other(binding.value)
