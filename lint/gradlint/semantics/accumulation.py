"""What loops collect: `total += loss`, `total = total + criterion(y, t)`, `losses.append(loss)`, and its fate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.receiver_places import place_of
from gradlint.semantics.shown import SHOWING, SHOWN_BY
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.receiver_places import ReceiverPlace
    from gradlint.walk import Tree

# Methods that keep the graph, so that what they give is as good as the tensor itself.
_KEEPING: Final = words("mean sum clone view squeeze reshape")
_COUNT: Final = re.compile(r"n|bs|b|count|size|length|(?:n|num)_\w+|(?:batch|mini_?batch)_?(?:size|len)")
_EMPTYING: Final = words("clear pop popleft detach_")
# Functions whose result is shown where what they are given is: `print(sum(losses) / len(losses))`.
_REDUCING: Final = words(
    "builtins.sum builtins.max builtins.min numpy.mean numpy.sum numpy.average numpy.array numpy.asarray torch.stack"
    " torch.mean torch.sum torch.cat torch.tensor statistics.mean statistics.fmean"
)


@dataclass(frozen=True, eq=False)
class Accumulation:
    """One statement: `target` is what grows, `value` the variable or call that is added, `loop` the loop around."""

    node: cst.CSTNode
    target: cst.BaseExpression
    place: ReceiverPlace
    value: cst.Name | cst.Call
    loop: cst.For | cst.While
    is_sum: bool


def accumulations(tree: Tree, names: Names) -> Iterator[Accumulation]:
    """All of a file, where the target lives longer than a round of the loop and is not emptied in it."""
    for node, target, value, is_sum in _statements(tree):
        added = added_value(value)
        place = place_of(target, names, {})
        loop = tree.enclosing(node, cst.For, cst.While, cst.FunctionDef, cst.ClassDef, cst.Lambda)
        if added is None or place is None or not isinstance(loop, (cst.For, cst.While)):
            continue
        found = Accumulation(node, target, place, added, loop, is_sum)
        itself = isinstance(added, cst.Name) and added.value == getattr(target, "value", None)
        if not itself and not _is_renewed(found, tree, names):
            yield found


def _statements(tree: Tree) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression, cst.BaseExpression, bool]]:
    for augmented in tree.nodes(cst.AugAssign):
        if isinstance(augmented.operator, cst.AddAssign):
            yield augmented, augmented.target, augmented.value, True
    for assign in tree.nodes(cst.Assign):
        target, value = assign.targets[0].target, assign.value
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
            if value.left.deep_equals(target):
                yield assign, target, value.right, True
            elif value.right.deep_equals(target):
                yield assign, target, value.left, True
    for call in tree.nodes(cst.Call):
        method = call.func if isinstance(call.func, cst.Attribute) else None
        if method is not None and method.attr.value == "append" and len(call.args) == 1:
            yield call, method.value, call.args[0].value, False


def added_value(value: cst.BaseExpression) -> cst.Name | cst.Call | None:
    """What a collected value has its graph from: `loss`, `loss * n`, `n * loss`, `loss.mean()`, `criterion(y, t)`."""
    while True:
        if isinstance(value, cst.Name):
            return value
        if isinstance(value, cst.UnaryOperation):
            value = value.expression
        elif isinstance(value, cst.BinaryOperation) and isinstance(value.operator, (cst.Multiply, cst.Divide)):
            sides = value.left, value.right
            named = [side for side in sides if _is_loss_like(side)] or [side for side in sides if not _is_count(side)]
            if len(named) != 1:
                return None
            value = named[0]
        elif isinstance(value, cst.Call):
            method = value.func if isinstance(value.func, cst.Attribute) and not value.args else None
            if method is None or method.attr.value not in _KEEPING:
                return value
            value = method.value
        else:
            return None


def _is_loss_like(side: cst.BaseExpression) -> bool:
    added = added_value(side)
    called = added.func if isinstance(added, cst.Call) else added
    last = called.attr if isinstance(called, cst.Attribute) else called
    name = last.value.lower() if isinstance(last, cst.Name) else ""
    return "loss" in name or name in ("cost", "err", "error", "l", "criterion")


def _is_count(side: cst.BaseExpression) -> bool:
    """Whether an expression says how many there are: `64`, `len(x)`, `x.size(0)`, `x.shape[0]`, `batch_size`."""
    if isinstance(side, cst.Call):
        called = side.func.attr if isinstance(side.func, cst.Attribute) else side.func
        return isinstance(called, cst.Name) and called.value in ("len", "size", "numel", "item", "int", "float")
    if isinstance(side, cst.Subscript):
        return isinstance(side.value, cst.Attribute) and side.value.attr.value == "shape"
    named = side.attr if isinstance(side, cst.Attribute) else side
    return isinstance(side, cst.BaseNumber) or (
        isinstance(named, cst.Name) and _COUNT.fullmatch(named.value) is not None
    )


def _is_renewed(each: Accumulation, tree: Tree, names: Names) -> bool:
    """Whether the target is bound anew, emptied or cut off from its graph within the loop, or bounded in length."""
    binding = names.reference(each.target).binding if isinstance(each.target, cst.Name) else None
    if binding is not None and binding.kind is BindingKind.PARAMETER:
        return True
    body = each.loop.body
    assigns = (assign for assign in tree.below(body, cst.Assign) if assign is not each.node)
    changed = (
        *(target.target for assign in assigns for target in assign.targets),
        *(method.value for method in tree.below(body, cst.Attribute) if method.attr.value in _EMPTYING),
        *(part for deletion in tree.below(body, cst.Del) for part in tree.walk(deletion)),
    )
    return any(place_of(part, names, {}) == each.place for part in changed) or _is_bounded(each, names)


def _is_bounded(each: Accumulation, names: Names) -> bool:
    bindings = names.reference(each.target).bindings if isinstance(each.target, cst.Name) else ()
    made = [binding.value for binding in bindings if isinstance(binding.value, cst.Call)]
    return any((names.full_name(call.func) or "").endswith("deque") and len(call.args) > 1 for call in made)


def _uses(each: Accumulation, tree: Tree, names: Names) -> Iterator[cst.CSTNode]:
    """The reads of the target in the file, without those of the statement itself."""
    last = each.place.last
    written = tree.named(last)
    ends = ((name, tree.parent(name)) for name in written)
    reached = [above for name, above in ends if isinstance(above, cst.Attribute) and above.attr is name]
    for node in written if written and isinstance(each.target, cst.Name) else reached:
        above = tree.parent(node)
        if (isinstance(above, cst.Attribute) and above.attr is node) or getattr(above, "keyword", None) is node:
            continue
        bound = _is_bound(node, tree)
        own = any(one is each.node for one in (node, *tree.ancestors(node)))
        if not bound and not own and place_of(node, names, {}) == each.place:
            yield node


def _is_bound(node: cst.CSTNode, tree: Tree) -> bool:
    """Whether a name is a target, also one of several: `total, count = 0.0, 0`."""
    above = tree.parent(node)
    several = tree.parent(above) if isinstance(above, cst.Element) else None
    if isinstance(several, (cst.Tuple, cst.List)):
        node, above = several, tree.parent(several)
    return isinstance(above, (cst.AssignTarget, cst.AnnAssign)) and above.target is node


def is_differentiated(each: Accumulation, tree: Tree, names: Names) -> bool:
    """Whether anything that is computed from the target is differentiated, by `backward()` or `autograd.grad`."""
    waiting, seen = list(_uses(each, tree, names)), set[str]()
    while waiting:
        use = waiting.pop()
        for above in tree.ancestors(use):
            if isinstance(above, cst.Attribute) and above.attr.value == "backward":
                return True
            if isinstance(above, cst.Call) and (names.full_name(above.func) or "").startswith("torch.autograd."):
                return True
            if isinstance(above, (cst.Assign, cst.AugAssign)):
                targets = [target.target for target in above.targets] if isinstance(above, cst.Assign) else []
                for target in targets:
                    if isinstance(target, cst.Name) and target.value not in seen:
                        seen.add(target.value)
                        scope = names.reference(target).scope
                        same = tree.named(target.value)
                        waiting += [name for name in same if names.reference(name).scope is scope]
            if isinstance(above, cst.BaseSuite):
                break
    return False


def is_only_shown(each: Accumulation, tree: Tree, names: Names) -> bool:
    """Whether the target is a local variable that is only printed, compared, divided or turned into a number."""
    if not isinstance(each.target, cst.Name):
        return False
    uses = list(_uses(each, tree, names))
    return bool(uses) and all(_shows(use, tree, names, frozenset({each.target.value})) for use in uses)


def _shows(use: cst.CSTNode, tree: Tree, names: Names, seen: frozenset[str]) -> bool:
    child = use
    for above in tree.ancestors(use):
        if isinstance(above, (cst.FormattedStringExpression, cst.Comparison)):
            return True
        if isinstance(above, cst.Call):
            method = above.func.attr.value if isinstance(above.func, cst.Attribute) else ""
            name = names.full_name(above.func)
            if name not in _REDUCING and (method not in _KEEPING or child is not above.func):
                return method in SHOWING or name in SHOWN_BY
        if isinstance(above, cst.AugAssign) and above.target is child:
            return True
        if isinstance(above, cst.Assign):
            return _is_shown_later(above, tree, names, seen)
        if isinstance(above, (cst.Return, cst.Yield, cst.BaseSuite)):
            return False
        child = above
    return False


def _is_shown_later(assign: cst.Assign, tree: Tree, names: Names, seen: frozenset[str]) -> bool:
    """Whether a value is kept in a local variable that is only shown: `mean = sum(losses) / len(losses)`."""
    target = assign.targets[0].target
    if len(assign.targets) != 1 or not isinstance(target, cst.Name):
        return False
    if target.value in seen:
        return True  # `total = total / n`: its other uses are asked, too
    scope = names.reference(target).scope
    same = [name for name in tree.named(target.value) if names.reference(name).scope is scope]
    reads = [name for name in same if not _is_bound(name, tree)]
    return bool(reads) and all(_shows(read, tree, names, seen | {target.value}) for read in reads)
