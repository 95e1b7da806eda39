"""Lints one file: decode, prefilter, parse, run the rules, order what they report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.errors import UnreadableFile
from gradlint.own import own_violation
from gradlint.own import unreadable as unreadable
from gradlint.own import with_fingerprints as with_fingerprints
from gradlint.parse import check_syntax, collector_paused, parse
from gradlint.rule import Context, Rule
from gradlint.rules import CRASH
from gradlint.semantics.module_free import is_module_free
from gradlint.semantics.project import ProjectIndex
from gradlint.source import Source
from gradlint.triggers import TORCH, code_of
from gradlint.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlint.model import Violation
    from gradlint.settings import Settings

_NAMED = b"nn.Module"  # a file that says so is worth no look at its bases


def lint_bytes(
    data: bytes, path: str, settings: Settings, rules: Sequence[Rule], project: ProjectIndex | None = None
) -> list[Violation]:
    """Lint the bytes of a file; one that cannot be decoded is a GRD001."""
    try:
        source = Source.decode(data, path)
    except UnreadableFile as problem:
        return [unreadable(path, problem)]
    return lint_source(source, settings, rules, project)


def lint_source(
    source: Source, settings: Settings, rules: Sequence[Rule], project: ProjectIndex | None = None
) -> list[Violation]:
    """Lint one file: its violations by line, column and code, with fingerprints, before any suppression.

    Rules whose triggers are not in the text do not run; a rule that crashes is one GRD002, the others go on.
    """
    project = project or ProjectIndex()
    try:
        able = able_rules(source, rules, project)
        if not able:
            return []
        with collector_paused():  # the tree is gone, or at least unused, when collecting begins again
            found = _found(source, settings, able, project)
    except UnreadableFile as problem:
        return [unreadable(source.path, problem)]
    except RecursionError:
        return [unreadable(source.path, UnreadableFile("nested too deeply to be analysed"))]
    return with_fingerprints(sorted(dict.fromkeys(found), key=lambda violation: violation.sort_key), source)


def able_rules(source: Source, rules: Sequence[Rule], project: ProjectIndex) -> list[Rule]:
    """The rules that may fire in a file: none without their triggers, nor where all need a module and there is none.

    A file for which there is none is checked to be Python. Raises UnreadableFile.
    """
    data = source.text.encode(errors="replace")
    data = code_of(data) if TORCH in data else b""
    able = [rule for rule in rules if rule.info.may_fire(data)]
    if not able:
        check_syntax(source)
    elif _NAMED not in data and all(rule.info.needs_modules(data) for rule in able):
        return [] if is_module_free(source, project) else able
    return able


def _found(source: Source, settings: Settings, rules: Sequence[Rule], project: ProjectIndex) -> list[Violation]:
    unit = Unit(source, parse(source), project)
    try:
        return [violation for rule in rules for violation in _run(rule, unit, settings)]
    finally:
        unit.let_go()


def _run(rule: Rule, unit: Unit, settings: Settings) -> list[Violation]:
    context = Context(unit, rule.info, settings)
    try:
        for check in rule.checks:
            for node in unit.tree.nodes(check.kind):
                check.function(node, context)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a rule does wrong is its own violation
        where = f"{type(error).__name__}: {error}"
        return [own_violation(CRASH, unit.source.path, f"{rule.info.code} {rule.info.name} crashed here: {where}")]
    return context.violations
