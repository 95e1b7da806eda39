"""Turns lines of the registry into rules: imports their modules, reads their pages, collects their checks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gradlint.rule import Check, Page, Rule
from gradlint.rules import module_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import RuleInfo


def load(infos: Iterable[RuleInfo]) -> tuple[Rule, ...]:
    """The rules of these lines, in their order; only their modules are imported."""
    return tuple(map(_load, infos))


def _load(info: RuleInfo) -> Rule:
    module = import_module(module_name(info))
    checks = tuple(value for value in vars(module).values() if isinstance(value, Check))
    return Rule(info, Page.parse(module.__doc__ or ""), checks)
