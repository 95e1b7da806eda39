"""What the linter's tests share: build a unit from text, lint text, find nodes by their text."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, TypeVar

import libcst as cst
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.parse import parse
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source
from gradlint.unit import Unit

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.semantics.project import ProjectIndex

Node = TypeVar("Node", bound=cst.CSTNode)


def unit(text: str, *, module: str = "__main__", is_package: bool = False, project: ProjectIndex | None = None) -> Unit:
    source = Source("model.py", dedent(text).lstrip("\n"), module=module, is_package=is_package)
    return Unit(source, parse(source), project)


def lint(text: str, *codes: str) -> list[Violation]:
    rules = load(info for info in RULES if not codes or info.code in codes)
    return lint_source(Source("model.py", dedent(text).lstrip("\n")), Settings(), rules)


def node(of: Unit, text: str, kind: type[Node]) -> Node:
    """The last node of a kind with this text."""
    return [found for found in of.tree.nodes(kind) if of.tree.module.code_for_node(found) == text][-1]
