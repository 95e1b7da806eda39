"""Values that autograd has saved as the output of the operation that made them, and what then overwrites them.

The derivative of `y = sigmoid(x)` is computed from `y`, so `y` is kept and may not change before `backward`. Two ways
to overwrite it are followed: the next layer of a chain works in place, or a statement after it does. The input of the
operation must surely carry a graph: it has passed a layer or a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import constant
from gradlint.semantics.layer_values import argument
from gradlint.semantics.layers import Link, LinkKind, function_kind
from gradlint.walk import Tree
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.held_modules import HeldModules
    from gradlint.semantics.layer_chain import Chain, LayerChains
    from gradlint.semantics.module_class import ModuleClasses

# Operations whose backward reads their own output; those below do so only when they work in place themselves.
SAVING: Final = words(
    "sigmoid tanh exp exp2 expm1 relu sqrt rsqrt reciprocal softmax log_softmax softmin tan logsumexp"
)
SAVING_IN_PLACE: Final = words("elu leaky_relu celu selu rrelu")
_VIEWING: Final = words("view flatten unflatten squeeze unsqueeze transpose permute Flatten Unflatten Identity")
# Where `inplace` stands when it is given by position.
_POSITIONS: Final = {"ReLU": 0, "ReLU6": 0, "Dropout": 1, "LeakyReLU": 1, "ELU": 1, "relu": 1, "leaky_relu": 2}
_BINDING: Final[tuple[type[cst.CSTNode], ...]] = (
    cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.For, cst.Del, cst.NamedExpr, cst.AsName,
)  # fmt: skip
_DEEPEST: Final = 12
_FARTHEST: Final = 200  # statements of a block that are looked back through


@dataclass(frozen=True, eq=False)
class Overwrite:
    """`node` overwrites what `saver` gave; `word` is the saving operation, `name` the variable, if one is changed.

    `is_view` says that the variable is another name for the saved value, or a view of it.
    """

    node: cst.CSTNode
    saver: cst.CSTNode
    word: str
    name: str | None = None
    is_view: bool = False


def works_in_place(link: Link, names: Names) -> bool:
    """Whether a link changes the tensor that it gets: `nn.ReLU(inplace=True)`, `F.relu_(x)`, `x.relu_()`."""
    short = (link.name or "").rpartition(".")[2]
    if short.endswith("_"):
        return True
    flag = in_place_flag(link.node)
    return flag is not None and constant(flag, names) is True


def in_place_flag(node: cst.CSTNode) -> cst.BaseExpression | None:
    """What a call gives for `inplace`."""
    if not isinstance(node, cst.Call):
        return None
    function = node.func
    short = function.attr.value if isinstance(function, cst.Attribute) else getattr(function, "value", "")
    return argument(node, _POSITIONS.get(short, -1), "inplace")


class SavedOutputs:
    """Answers for one file."""

    def __init__(
        self, tree: Tree, names: Names, classes: ModuleClasses, chains: LayerChains, held: HeldModules
    ) -> None:
        self._tree, self._names, self._classes, self._chains, self._held = tree, names, classes, chains, held
        self._places: dict[cst.CSTNode, dict[cst.CSTNode, int]] = {}
        self._bindings: dict[cst.CSTNode, frozenset[str]] = {}

    def by_layers(self, chain: Chain) -> Iterator[Overwrite]:
        """The links of a chain that overwrite what the link before has saved."""
        carries, saver = False, None
        for link in chain.links:
            if link.kind in (LinkKind.ACTIVATION, LinkKind.DROPOUT):
                in_place = works_in_place(link, self._names)
                if in_place and carries and saver is not None:
                    yield Overwrite(link.node, saver.node, saver.activation or "")
                saving = SAVING | SAVING_IN_PLACE if in_place else SAVING
                saver = link if link.activation in saving else None
            elif not (link.kind is LinkKind.RESHAPE and (link.name or "").rpartition(".")[2] in _VIEWING):
                saver = None
            carries = (carries or link.has_weight) and link.kind is not LinkKind.OPAQUE

    def by_statement(self, changed: cst.Name) -> Overwrite | None:
        """What a statement overwrites that changes this variable in place; None where nothing surely is saved."""
        value = first = self._definition(changed)
        for _ in range(_DEEPEST):
            if isinstance(value, cst.Name):
                value = self._definition(value)
            elif isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and self._views(value.func):
                value = value.func.value
        found = self._saving(value) if isinstance(value, cst.Call) else None
        if found is None or value is None or not (self._holds_weight(value) or self._carries(found[1], 0)):
            return None
        return Overwrite(self._tree.statement(changed), value, found[0], changed.value, value is not first)

    def _views(self, function: cst.Attribute) -> bool:
        return function.attr.value in _VIEWING and self._names.full_name(function) is None

    def _holds_weight(self, value: cst.BaseExpression) -> bool:
        """Whether a layer that is called here has weights before its last activation."""
        return isinstance(value, cst.Call) and any(link.has_weight for link in self._registered(value.func))

    def _saving(self, call: cst.Call) -> tuple[str, cst.BaseExpression] | None:
        """The operation of a call that saves its output, and what goes in."""
        name = self._names.full_name(call.func)
        if name is not None:
            module, _, short = name.rpartition(".")
            known = module == "torch" or function_kind(name) is not None
            given = argument(call, 0, "input")
            return (short, given) if known and short in SAVING and given is not None else None
        links = self._registered(call.func)
        if links:
            given = argument(call, 0, "input")
            last = links[-1].activation
            return (last, given) if last in SAVING and given is not None else None
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in SAVING:
            return call.func.attr.value, call.func.value
        return None

    def _registered(self, function: cst.BaseExpression) -> tuple[Link, ...]:
        place = self._attribute(function)
        return self._chains.values.layer(place) if isinstance(place, cst.Call) else ()

    def _attribute(self, expression: cst.BaseExpression) -> cst.BaseExpression | None:
        """The value of `self.name`, where the class sets it once."""
        name = self._names.self_attribute(expression)
        owner = self._classes.enclosing(expression) if name is not None else None
        place = owner.attribute(name) if owner is not None and name is not None else None
        return place.value if place is not None else None

    # Graph

    def _carries(self, value: cst.CSTNode, depth: int) -> bool:
        """Whether a value has surely passed a layer with parameters, a parameter or a tensor that requires grad."""
        if depth > _DEEPEST:
            return False
        if isinstance(value, cst.Name):
            definition = self._definition(value)
            return definition is not None and self._carries(definition, depth + 1)
        if isinstance(value, cst.BinaryOperation):
            return self._carries(value.left, depth + 1) or self._carries(value.right, depth + 1)
        if isinstance(value, cst.UnaryOperation):
            return self._carries(value.expression, depth + 1)
        if isinstance(value, cst.Subscript):
            return self._carries(value.value, depth + 1)
        if isinstance(value, cst.Call):
            return self._call_carries(value, depth)
        made = self._attribute(value) if isinstance(value, cst.Attribute) else None
        return isinstance(made, cst.Call) and self._names.full_name(made.func) == "torch.nn.Parameter"

    def _call_carries(self, call: cst.Call, depth: int) -> bool:
        name = self._names.full_name(call.func)
        if name is not None:
            required = argument(call, -1, "requires_grad")
            if required is not None:
                return name.startswith("torch.") and constant(required, self._names) is True
            known = function_kind(name) is not None or name.rpartition(".")[2] in SAVING
            return known and any(self._carries(given.value, depth + 1) for given in call.args[:2])
        made = self._attribute(call.func) if isinstance(call.func, cst.Attribute) else self._module(call.func)
        if made is not None:
            whole = self._held.has_parameters(made)
            return whole or (bool(self._registered(call.func)) and self._arguments_carry(call, depth))
        passing = isinstance(call.func, cst.Attribute) and call.func.attr.value in SAVING | _VIEWING
        return passing and isinstance(call.func, cst.Attribute) and self._carries(call.func.value, depth + 1)

    def _arguments_carry(self, call: cst.Call, depth: int) -> bool:
        return any(self._carries(given.value, depth + 1) for given in call.args[:1])

    def _module(self, function: cst.BaseExpression) -> cst.BaseExpression | None:
        binding = self._names.reference(function).binding if isinstance(function, cst.Name) else None
        return binding.value if binding is not None else None

    # Definitions

    def _definition(self, use: cst.Name) -> cst.BaseExpression | None:
        """The value that the nearest statement before a use assigns to its name; None where another way is open."""
        child: cst.CSTNode = use
        for above in self._tree.ancestors(use):
            if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
                return None
            for count, statement in enumerate(self._before(child, above)):
                if count > _FARTHEST:
                    return None
                if use.value in self._bound(statement):
                    return _assigned(statement, use.value)
            child = above
        return None

    def _before(self, child: cst.CSTNode, block: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The statements before one in its block, nearest first."""
        if isinstance(block, (cst.IndentedBlock, cst.Module)):
            if block not in self._places:
                self._places[block] = {statement: index for index, statement in enumerate(block.body)}
            place = self._places[block].get(child, 0)
            for index in range(place - 1, -1, -1):
                yield block.body[index]

    def _bound(self, statement: cst.CSTNode) -> frozenset[str]:
        if statement not in self._bindings:
            self._bindings[statement] = frozenset(self._names_bound(statement))
        return self._bindings[statement]

    def _names_bound(self, statement: cst.CSTNode) -> Iterator[str]:
        """The names that a statement may bind or change in place, anywhere within it."""
        for kind in _BINDING:
            for node in self._tree.below(statement, kind):
                target = getattr(node, "target", node)
                yield from (name.value for name in self._tree.below(target, cst.Name))


def _assigned(statement: cst.CSTNode, name: str) -> cst.BaseExpression | None:
    """The value of `name = value`, where the statement is that and nothing else."""
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1 else None
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return None
    target = small.targets[0].target
    return small.value if isinstance(target, cst.Name) and target.value == name else None
