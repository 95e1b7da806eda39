"""A value that leaves the graph on its way through `forward`.

## What it does
Reports `.numpy()`, `.item()`, `.tolist()`, `.data`, functions of numpy and `torch.tensor(...)` on what a layer of the
module has computed, where the result goes into the value that `forward` returns. Silent for `detach()`, which says that
it is meant, without gradients, in branches for evaluation or export, for numbers used as sizes or indices, for those
returned beside the value itself, and where the class has a `backward` of its own.

## Why is this bad
Behind the break there is no graph: every layer before it gets no gradient, stays as it was initialised, and nothing is
said. A network whose features pass through numpy trains 2 of its 4 parameter tensors. `.numpy()` on a tensor that
needs a gradient raises RuntimeError, so it stands behind `.data` or `.detach()`.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.tanh(self.body(x)).data
        return self.head(h)
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.head(h)
```

## Fix safety
There is no fix: a function of torch has to take the place of the break. Where the gradient is to stop, `detach()`
says so.

## References
- https://docs.pytorch.org/docs/stable/notes/autograd.html
- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
"""

from __future__ import annotations

import re

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.returned import returned_parts, value_before

_DEEPEST = 20
_ASKING = re.compile(r"(?:new(?:_\w+)?|size|shape|type|dtype|device|dim|ndim|numel|is_cuda)$")
_DRAWING = frozenset({"sample", "multinomial", "bernoulli"})  # what is drawn has no gradient to lose
_METHODS = ("numpy", "item", "tolist")
_WRAPPING = frozenset({"torch.tensor", "torch.Tensor", "torch.FloatTensor"})
_ELSEWHERE = re.compile(r"train|eval|export|trac|script|onnx|infer|debug|log|grad", re.IGNORECASE)
# Inside of these a value decides on shapes, places and branches, and is no part of the result itself.
_STEERING = re.compile(
    r"^(?:range|int|len|bool|str|print|max|min|view|reshape|expand|repeat|split|chunk|zeros|ones|full|empty|arange"
    r"|new_\w+|narrow|unfold|topk|pad|interpolate|format|warn\w*|info|debug|append|isinstance|where|masked_fill)$"
)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what goes into the value that `forward` returns, in every module class."""
    for owner in ctx.classes.modules:
        forward = owner.methods.get("forward")
        if forward is None or "backward" in owner.methods:
            continue  # a method `backward` says that the gradient comes from elsewhere
        seen: set[cst.CSTNode] = set()
        for part in returned_parts(forward, ctx.tree, ctx.names):
            for node in ctx.tree.below(part, cst.Attribute, cst.Call):
                found = _broken(node, ctx)
                if found is None or node in seen or not _is_on_the_way(node, part, forward, ctx):
                    continue
                if _is_asked(node, ctx) or _is_told(node, part, forward, ctx):
                    continue
                if ctx.mode.at(node) is Mode.ON and _carries(found[0], ctx):
                    seen.update(ctx.tree.walk(node))
                    _report(node, found[1], ctx)


def _broken(node: cst.CSTNode, ctx: Context) -> tuple[cst.BaseExpression, str] | None:
    """The value that leaves the graph at a node, and how."""
    if isinstance(node, cst.Attribute):
        if node.attr.value != "data" or ctx.names.self_attribute(node.value) is not None:
            return None  # the values of a parameter are taken on purpose
        return node.value, ".data"
    if not isinstance(node, cst.Call):
        return None
    method, name = node.func, ctx.names.full_name(node.func) or ""
    if isinstance(method, cst.Attribute) and method.attr.value in _METHODS and not node.args:
        return _undetached(method.value), f".{method.attr.value}()"
    first = node.args[0].value if node.args and not node.args[0].star else None
    if first is not None and (name in _WRAPPING or name.startswith("numpy.")):
        return first, name
    return None


def _is_asked(node: cst.CSTNode, ctx: Context) -> bool:
    """Whether `x.data` is only asked for its form: `x.data.new(3)`, `x.data.size()`."""
    above = ctx.tree.parent(node)
    return isinstance(above, cst.Attribute) and _ASKING.match(above.attr.value) is not None


def _is_told(node: cst.CSTNode, part: cst.CSTNode, forward: cst.FunctionDef, ctx: Context) -> bool:
    """Whether a number or array is returned beside the value itself, to be told: `return loss, kl.item()`."""
    asked = node.func if isinstance(node, cst.Call) and not node.args else node
    if not isinstance(asked, cst.Attribute):
        return False
    if node is not part:
        return isinstance(part, cst.Tuple) and _is_beside(node, ctx)
    assign = ctx.tree.parent(node)
    target = assign.targets[0].target if isinstance(assign, cst.Assign) and len(assign.targets) == 1 else None
    if not isinstance(target, cst.Name):
        return False
    uses = [
        each for each in ctx.tree.below(forward.body, cst.Name) if each.value == target.value and each is not target
    ]
    return bool(uses) and all(_is_beside(use, ctx) for use in uses)


def _is_beside(value: cst.CSTNode, ctx: Context) -> bool:
    """Whether a value is returned in a tuple, and not as the first."""
    element = ctx.tree.parent(value)
    several = ctx.tree.parent(element) if isinstance(element, cst.Element) else None
    returned = isinstance(several, cst.Tuple) and isinstance(ctx.tree.parent(several), cst.Return)
    return returned and isinstance(several, cst.Tuple) and element in several.elements[1:]


def _undetached(value: cst.BaseExpression) -> cst.BaseExpression:
    """`x` of `x.detach().cpu()`: before numpy, detaching is no wish of its own."""
    while isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and not value.args:
        if value.func.attr.value not in ("detach", "cpu", "clone", "contiguous"):
            break
        value = value.func.value
    return value


def _is_on_the_way(node: cst.CSTNode, part: cst.CSTNode, forward: cst.FunctionDef, ctx: Context) -> bool:
    """Whether what leaves the graph becomes a part of the result, in every run, and nothing goes around it."""
    child = node
    inside = True
    for above in ctx.tree.ancestors(node):
        if above is forward:
            return True
        if inside and (_steers(above, child) or _goes_around(above, child, ctx)):
            return False
        if (
            isinstance(above, (cst.If, cst.IfExp))
            and child is not above.test
            and _ELSEWHERE.search(ctx.code(above.test))
        ):
            return False
        if isinstance(above, (cst.FunctionDef, cst.Lambda)):
            return False
        inside = inside and child is not part
        child = above
    return False


def _steers(above: cst.CSTNode, child: cst.CSTNode) -> bool:
    if isinstance(above, (cst.Comparison, cst.SubscriptElement, cst.Index, cst.Slice)):
        return True
    if isinstance(above, cst.Call) and child is not above.func:
        last = above.func.attr if isinstance(above.func, cst.Attribute) else above.func
        return isinstance(last, cst.Name) and _STEERING.match(last.value) is not None
    return isinstance(above, cst.IfExp) and child is above.test


def _goes_around(above: cst.CSTNode, child: cst.CSTNode, ctx: Context) -> bool:
    """Whether the other operand carries the graph on: `x + (q - x).data` stops one gradient on purpose."""
    if not isinstance(above, cst.BinaryOperation):
        return False
    other = above.right if child is above.left else above.left
    return _carries(other, ctx)


def _carries(value: cst.BaseExpression, ctx: Context, depth: int = 0) -> bool:
    """Whether a value surely carries a graph, also where a variable that was a parameter has been assigned again."""
    if ctx.graphs.is_free(value) or depth > _DEEPEST:
        return False
    if _is_drawn(value):
        return False
    if ctx.graphs.carries(value):
        return True
    if isinstance(value, cst.Name):
        before = value_before(value, ctx.tree, ctx.names)
        return before is not None and _carries(before, ctx, depth + 1)
    below: list[cst.BaseExpression] = []
    if isinstance(value, cst.BinaryOperation):
        below = [value.left, value.right]
    elif isinstance(value, cst.Subscript):
        below = [value.value]
    elif isinstance(value, cst.Call) and (ctx.names.full_name(value.func) or "").startswith("torch."):
        below = [given.value for given in value.args if not given.star]
    elif isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
        below = [value.func.value]
    return any(_carries(one, ctx, depth + 1) for one in below)


def _is_drawn(value: cst.BaseExpression) -> bool:
    method = value.func if isinstance(value, cst.Call) else None
    return isinstance(method, cst.Attribute) and method.attr.value in _DRAWING


def _report(node: cst.CSTNode, how: str, ctx: Context) -> None:
    ctx.report(
        node,
        f"`{how}` leaves the graph on the way to what `forward` returns: the layers before it get no gradient and are "
        "never trained; use functions of torch, or `detach()` where that is meant",
    )
