"""A rule: a module whose docstring is its page and whose `@checks` functions look at nodes.

    '''One sentence: what the rule finds.

    ## What it does
    ...
    '''

    @checks(cst.Call)
    def check(call: cst.Call, ctx: Context) -> None:
        if ctx.names.full_name(call.func) == "torch.nn.Softmax" and not call.args:
            ctx.report(call, "...", fix=ctx.fix(Safety.SAFE, ctx.replace(call, "...")))

`@checks(cst.Module)` is called once a file, for rules that ask the semantics (`ctx.chains.all`) and not the nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import libcst as cst

from gradlint.model import Edit, Fix, Level, Position, Range, Related, RuleInfo, Safety, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradlint.bindings import Scopes
    from gradlint.names import Names
    from gradlint.semantics.autograd_function import AutogradFunctions
    from gradlint.semantics.grad_mode import GradMode
    from gradlint.semantics.graph_values import GraphValues
    from gradlint.semantics.init_function import InitFunctions
    from gradlint.semantics.init_reach import InitReach
    from gradlint.semantics.layer_chain import LayerChains
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.losses import Losses
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.semantics.origins import Origins
    from gradlint.semantics.training_loop import TrainingLoops
    from gradlint.settings import Settings
    from gradlint.source import Source
    from gradlint.unit import Unit
    from gradlint.walk import Tree

N_contra = TypeVar("N_contra", bound=cst.CSTNode, contravariant=True)
NodeKind = TypeVar("NodeKind", bound=cst.CSTNode)

SECTIONS: Final = ("What it does", "Why is this bad", "Example", "Use instead", "Fix safety", "References")


@dataclass(frozen=True)
class Check(Generic[N_contra]):
    """A function that looks at every node of one kind."""

    kind: type[cst.CSTNode]
    function: Callable[[N_contra, Context], None]


def checks(kind: type[NodeKind]) -> Callable[[Callable[[NodeKind, Context], None]], Check[NodeKind]]:
    """Mark a function of a rule module as a check of all nodes of exactly this kind."""
    return lambda function: Check(kind, function)


@dataclass(frozen=True)
class Page:
    """A rule's documentation, read from the docstring of its module: a summary and the text of each section."""

    summary: str
    sections: dict[str, str]

    @classmethod
    def parse(cls, docstring: str) -> Page:
        """Split at the `## ` headings."""
        summary, *parts = re.split(r"^## (.+)$", docstring.strip(), flags=re.MULTILINE)
        return cls(summary.strip(), {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)})


@dataclass(frozen=True)
class Rule:
    """A rule ready to run: its line in the registry, its page and its checks."""

    info: RuleInfo
    page: Page
    checks: tuple[Check[cst.CSTNode], ...]


class Context:
    """What a check sees of the file, and where it reports. One context serves one rule on one file."""

    def __init__(self, unit: Unit, info: RuleInfo, settings: Settings) -> None:
        self._unit = unit
        self._info = info
        self.settings = settings
        self.violations: list[Violation] = []

    @property
    def source(self) -> Source:
        """The text."""
        return self._unit.source

    @property
    def tree(self) -> Tree:
        """The nodes: by kind, parents, ancestors."""
        return self._unit.tree

    @property
    def names(self) -> Names:
        """Full names, references, `self.x`."""
        return self._unit.names

    @property
    def scopes(self) -> Scopes:
        """The scopes and their bindings."""
        return self._unit.names.scopes

    @property
    def classes(self) -> ModuleClasses:
        """The classes and what they register."""
        return self._unit.classes

    @property
    def chains(self) -> LayerChains:
        """The chains of layers."""
        return self._unit.chains

    @property
    def inits(self) -> InitFunctions:
        """The init calls, init functions and what they are applied to."""
        return self._unit.inits

    @property
    def reach(self) -> InitReach:
        """Which layers the init calls fill."""
        return self._unit.reach

    @property
    def functions(self) -> AutogradFunctions:
        """The classes derived from `autograd.Function`."""
        return self._unit.functions

    @property
    def calls(self) -> LocalCalls:
        """Which function of the file a call runs."""
        return self._unit.calls

    @property
    def origins(self) -> Origins:
        """Where values were made."""
        return self._unit.origins

    @property
    def mode(self) -> GradMode:
        """Where autograd records."""
        return self._unit.mode

    @property
    def losses(self) -> Losses:
        """Which calls compute a loss."""
        return self._unit.losses

    @property
    def graphs(self) -> GraphValues:
        """Which values carry a graph."""
        return self._unit.graphs

    @property
    def loops(self) -> TrainingLoops:
        """The training loops."""
        return self._unit.loops

    @property
    def options(self) -> dict[str, object]:
        """The options of this rule: as configured, else their defaults."""
        return {**dict(self._info.options), **self.settings.options.get(self._info.code, {})}

    def report(
        self,
        place: cst.CSTNode | Range,
        message: str,
        *,
        level: Level | None = None,
        fix: Fix | None = None,
        related: Iterable[tuple[cst.CSTNode, str]] = (),
    ) -> None:
        """Record a violation at a node or range; `related` are further nodes, each with what it is."""
        where = place if isinstance(place, Range) else self.range(place)
        path = self.source.path
        self.violations.append(
            Violation(
                self._info.code,
                self._info.name,
                level or self._info.level,
                message,
                path,
                where,
                fix,
                tuple(Related(text, path, self.range(node)) for node, text in related),
                statement=self._statement_lines(place, where),
            )
        )

    def _statement_lines(self, place: cst.CSTNode | Range, where: Range) -> tuple[int, int]:
        # A class or function is one statement of many lines; a comment belongs on the lines of its head.
        statement = place if isinstance(place, Range) else self.tree.statement(place)
        if isinstance(statement, cst.SimpleStatementLine):
            where = self.range(statement)
        elif isinstance(statement, cst.CSTNode) and not isinstance(statement, cst.Module):
            head = self.range(statement).start.line
            body = getattr(statement, "body", statement)
            return head, max(head, self.range(body).start.line - 1)
        return where.start.line, where.end.line

    def range(self, node: cst.CSTNode) -> Range:
        """Where a node stands. A class or function is marked by its name, a call or expression as a whole."""
        if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            return self._unit.positions.range(node.name)
        if isinstance(node, cst.Module):
            return Range(Position(1, 1), Position(1, 1))
        return self._unit.positions.range(node)

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.tree.module.code_for_node(node)

    def fix(self, safety: Safety, *edits: Edit | None) -> Fix | None:
        """A fix of these edits; None when one of them is None, that is, could not be made."""
        made = tuple(edit for edit in edits if edit is not None)
        return Fix(safety, made) if made and len(made) == len(edits) else None

    def replace(self, node: cst.CSTNode, text: str) -> Edit | None:
        """Replace a node's text; None when a comment in it would be lost."""
        span = self._unit.positions.range(node)
        return None if "#" in self.source.slice(span) and self._has_comment(node) else Edit(span, text)

    def _has_comment(self, node: cst.CSTNode) -> bool:
        return any("#" in line and not _only_in_string(line) for line in self.code(node).splitlines())

    def insert_before(self, node: cst.CSTNode, text: str) -> Edit:
        """Insert text before a node (outside of its parentheses)."""
        start = self._unit.positions.outer_range(node).start
        return Edit(Range(start, start), text)

    def insert_line_above(self, statement: cst.CSTNode, text: str) -> Edit:
        """Insert a line of code directly above a statement, with the statement's indentation."""
        start = self._unit.positions.range(statement).start
        indentation = self.source.line(start.line)[: start.column - 1]
        return Edit(Range(start, start), f"{text}{self.tree.module.default_newline}{indentation}")

    def insert_after(self, node: cst.CSTNode, text: str) -> Edit:
        """Insert text after a node (outside of its parentheses)."""
        end = self._unit.positions.outer_range(node).end
        return Edit(Range(end, end), text)

    def drop_argument(self, call: cst.Call, given: cst.Arg) -> Edit | None:
        """Take an argument out of a call, with the comma before it (the first: after it); None at a comment."""
        index = call.args.index(given)
        if index:
            start = self.insert_after(call.args[index - 1].value, "").range.start
            end = self.insert_after(given.value, "").range.start
        else:
            start = self._unit.positions.range(given).start
            later = call.args[1:2]
            end = (
                self._unit.positions.range(later[0]).start if later else self.insert_after(given.value, "").range.start
            )
        gone = Range(start, end)
        return None if "#" in self.source.slice(gone) else Edit(gone, "")

    def add_keyword(self, call: cst.Call, text: str) -> Edit | None:
        """Add `name=value` as the last argument of a call; None after a starred one or where a comment stands."""
        if any(given.star for given in call.args):
            return None
        if not call.args:
            _, end = self._unit.positions.span(call)
            start = end - 1
            return Edit(self._unit.positions.between(start, start), text)
        last = call.args[-1]
        if last.comma is not cst.MaybeSentinel.DEFAULT and self._has_comment(last):
            return None
        return self.insert_after(last.value, f", {text}")


def _only_in_string(line: str) -> bool:
    return bool(re.fullmatch(r"""(?:[^#'"]|'[^']*'|"[^"]*")*""", line))
