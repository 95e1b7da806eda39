"""The texts of `gradlint rules` and `gradlint explain`, and of the settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradlint.selection import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import RuleInfo
    from gradlint.selection import Selection
    from gradlint.settings import Config


def rules_as_text() -> str:
    """A line a rule."""
    names = max(len(info.name) for info in EVERY)
    lines = [
        f"{info.code}  {info.name:<{names}}  {info.level.value:<8}  {_fix(info):<6}  {_state(info)}".rstrip()
        for info in EVERY
    ]
    head = f"{'code':<6}  {'name':<{names}}  {'level':<8}  fix     default set"
    return "\n".join([head, *lines])


def _fix(info: RuleInfo) -> str:
    return info.fix.value if info.fix else "-"


def _state(info: RuleInfo) -> str:
    return "yes" if info.default else "-"


def rules_as_json() -> str:
    """One array."""
    return json.dumps([_described(info) for info in EVERY], indent=2)


def _described(info: RuleInfo) -> dict[str, object]:
    return {
        "code": info.code,
        "name": info.name,
        "level": info.level.value,
        "fix": info.fix.value if info.fix else None,
        "default": info.default,
        "options": dict(info.options),
    }


def pages(infos: Iterable[RuleInfo]) -> str:
    """The pages of rules, one after the other."""
    from gradlint.loader import load

    texts = []
    for rule in load(infos):
        info = rule.info
        facts = [info.level.value, f"{info.fix.value} fix" if info.fix else "no fix"]
        facts += ["in the default set" if info.default else "off until selected"]
        facts += [f"option {name} = {value!r}" for name, value in info.options]
        sections = [f"## {title}\n{text}" for title, text in rule.page.sections.items()]
        texts.append("\n\n".join([f"# {info.code} {info.name}", rule.page.summary, f"({', '.join(facts)})", *sections]))
    return "\n\n\n".join(texts)


def settings_as_text(path: str, config: Config, selection: Selection) -> str:
    """The settings for one path, as TOML."""
    target = ".".join(map(str, config.target_torch)) if config.target_torch else None
    values = {
        "rules": sorted(selection.active),
        "shown-below-warning": sorted(selection.explicit),
        "per-file-ignores": {pattern: list(codes) for pattern, codes in config.per_file_ignores.items()},
        "exclude": list(config.exclude),
        "target-torch": target,
        "profile": config.profile,
        "options": {code: dict(options) for code, options in config.options.items()},
    }
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    where = config.file or "no pyproject.toml with [tool.gradlint]: defaults"
    return "\n".join([f"# {path}", f"# from {where}", *lines])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
