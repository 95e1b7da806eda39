"""The pages under docs/rules: one a rule, made of its line in the registry and its docstring, and an index.

`python -m tests.docs.rule_pages` writes them all anew and removes those of rules that are gone; `table()` is the same
list of rules as Markdown for the README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.loader import load
from gradlint.rules import OWN, RULES

from tests.docs.snippets import ROOT
from tests.lint.corpora.labels import read
from tests.lint.corpora.page import measured

if TYPE_CHECKING:
    from pathlib import Path

    from gradlint.model import RuleInfo
    from gradlint.rule import Rule

FOLDER = ROOT / "docs" / "rules"
ABOUT = {
    "GRD0": "the linter's own",
    "GRD1": "initialisation",
    "GRD2": "saturation, activation, architecture",
    "GRD3": "autograd.Function",
    "GRD4": "training loop",
    "GRD5": "numerics",
    "GRD6": "registration and state",
    "GRD7": "names and typos",
}
HEAD = "| code | name | level | fix | default |\n|---|---|---|---|---|\n"
WRITTEN = "<!-- written by `python -m tests.docs.rule_pages` from the rule's docstring -->\n"


def page(rule: Rule) -> str:
    """The page of one rule."""
    info = rule.info
    sections = "\n".join(f"## {title}\n\n{text}\n" for title, text in rule.page.sections.items())
    facts = f"{HEAD}{_row(info, info.code)}\n"
    precision = f"Measured: {measured(info, read())}\n\n" if info in RULES else ""
    return (
        f"{WRITTEN}# {info.code} {info.name}\n\n{rule.page.summary}\n\n{facts}\n{precision}{_options(info)}{sections}"
    )


def table(folder: str = "docs/rules/") -> str:
    """All rules, by the thing they are about, each with a link to its page: `folder` is where the pages lie."""
    parts = []
    for prefix, about in ABOUT.items():
        rules = [rule for rule in _rules() if rule.info.code.startswith(prefix)]
        rows = "".join(f"{_row(one.info, _link(one.info, folder))} {_first_words(one)} |\n" for one in rules)
        head = "| code | name | level | fix | default | what it finds |\n|---|---|---|---|---|---|\n"
        if rows:
            parts.append(f"**{prefix}xx: {about}**\n\n{head}{rows}")
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Every file of the folder by name."""
    index = (
        f"{WRITTEN}# Rules\n\nErrors and warnings are in the default set unless the table says otherwise; "
        "info and pedantic are shown\nwhen selected by code. A safe fix keeps what the code was meant to do, an unsafe "
        f"one needs your eye.\n\n{table('')}"
    )
    return {"README.md": index, **{f"{rule.info.code}.md": page(rule) for rule in _rules()}}


def _rules() -> tuple[Rule, ...]:
    return load(sorted((*OWN, *RULES), key=lambda info: info.code))


def _row(info: RuleInfo, code: str) -> str:
    fix = info.fix.value if info.fix is not None else "none"
    return f"| {code} | {info.name} | {info.level.value} | {fix} | {'yes' if info.default else 'no'} |"


def _link(info: RuleInfo, folder: str) -> str:
    return f"[{info.code}]({folder}{info.code}.md)"


def _first_words(rule: Rule) -> str:
    return " ".join(rule.page.summary.split()).removesuffix(".").replace("|", "\\|")


def _options(info: RuleInfo) -> str:
    if not info.options:
        return ""
    lines = "\n".join(f"- `{name}`: {value!r} by default" for name, value in info.options)
    return f"Options, under `[tool.gradlint.rules.{info.code}]`:\n\n{lines}\n\n"


def write(folder: Path = FOLDER) -> None:
    """Write all pages and remove those without a rule."""
    wanted = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
