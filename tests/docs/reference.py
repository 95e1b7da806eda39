"""The reference of pytest_gradcheck, from its signatures, docstrings and options.

`python -m tests.docs.reference` writes docs/reference.md; a test holds that the page is the present one.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

from _pytest.config.argparsing import Parser

import pytest_gradcheck
from pytest_gradcheck import hooks, plugin, smoke_marks
from tests.docs.snippets import ROOT

PAGE = ROOT / "docs" / "reference.md"
_SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Yields")
_HEAD = """# Reference

Written by `python -m tests.docs.reference` from the code. The command line of gradlint is in
[gradlint.md](gradlint.md), its rules are in [rules](rules), the checks in [checks](checks).
"""


def document() -> str:
    """The page."""
    functions = {name: thing for name, thing in _public() if inspect.isfunction(thing)}
    classes = {name: thing for name, thing in _public() if inspect.isclass(thing)}
    data = {name: thing for name, thing in classes.items() if not issubclass(thing, BaseException)}
    errors = {name: thing for name, thing in classes.items() if issubclass(thing, BaseException)}
    parts = [
        _HEAD,
        _chapter("Functions", functions),
        _chapter("What they return", data),
        _chapter("Errors and warnings", errors),
        "## Markers\n",
        *(f"```text\n{textwrap.fill(line, 100)}\n```\n" for line in _markers()),
        f"`pytest_gradcheck.marks`: {_first_paragraph(pytest_gradcheck.marks)}\n",
        _chapter("Fixtures", dict(_fixtures())),
        _chapter("Hooks", {hooks.pytest_gradcheck_findings.__name__: hooks.pytest_gradcheck_findings}),
        "## Options of pytest\n",
        "| option | ini | |\n|---|---|---|\n" + "\n".join(_options()) + "\n",
    ]
    return "\n".join(parts)


def _public() -> Iterator[tuple[str, Any]]:
    for name in sorted(pytest_gradcheck.__all__, key=str.lower):
        thing = getattr(pytest_gradcheck, name)
        if not isinstance(thing, ModuleType):
            yield name, thing


def _chapter(title: str, things: dict[str, Any]) -> str:
    entries = "\n".join(f"### `{name}`\n\n{_signature(name, thing)}{_prose(thing)}" for name, thing in things.items())
    return f"## {title}\n\n{entries}"


def _signature(name: str, thing: Any) -> str:
    if isinstance(thing, _Documented):
        return ""
    if inspect.isclass(thing):
        return (
            ""
            if thing.__mro__[1] is object
            else f"A {' and '.join(f'`{base.__name__}`' for base in thing.__bases__)}. "
        )
    parameters = inspect.signature(thing).parameters.values()
    words = ", ".join(_parameter(each, list(parameters)) for each in parameters)
    lines = textwrap.fill(f"{name}({words})", 100, subsequent_indent="    ", break_long_words=False)
    return f"```text\n{lines}\n```\n\n"


def _parameter(parameter: inspect.Parameter, every: list[inspect.Parameter]) -> str:
    """`name=default`, with the star that starts keyword-only parameters."""
    star = (
        "*" if parameter.kind is parameter.VAR_POSITIONAL else "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    )
    default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
    keyword_only = [each for each in every if each.kind is parameter.KEYWORD_ONLY]
    has_star = any(each.kind is parameter.VAR_POSITIONAL for each in every)
    first = bool(keyword_only) and keyword_only[0] is parameter and not has_star
    return f"{'*, ' if first else ''}{star}{parameter.name}{default}"


def _prose(thing: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    text = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and issubclass(thing, Enum):
        text += "\n\nMembers: " + ", ".join(f"`{member.name}`" for member in thing)
    parts = re.split(rf"^({'|'.join(_SECTIONS)}):\n", text, flags=re.MULTILINE)
    written = [parts[0].strip() + "\n"]
    for section, body in zip(parts[1::2], parts[2::2], strict=True):
        inside, _, after = body.partition("\n\n") if not body.startswith("    ") else (*_indented(body),)
        written.append(f"**{section}**\n\n{_listed(inside, section)}")
        if after.strip():
            written.append(after.strip() + "\n")
    return "\n".join(written)


def _indented(body: str) -> tuple[str, str, str]:
    """The indented block at the start of a section's body, and what follows it."""
    lines = body.splitlines()
    end = next((at for at, line in enumerate(lines) if line and not line.startswith("    ")), len(lines))
    return "\n".join(lines[:end]), "", "\n".join(lines[end:])


def _listed(body: str, section: str) -> str:
    text = textwrap.dedent(body).strip()
    if section in {"Returns", "Yields"}:
        return text + "\n"
    items = [re.sub(r"\s+", " ", item) for item in re.split(r"\n(?=\S)", text)]
    return "\n".join("- " + re.sub(r"^([\w*, ]+):", r"`\1`:", item) for item in items) + "\n"


def _markers() -> list[str]:
    """Every marker line that the plugin registers."""
    return [plugin.MARK_HELP, smoke_marks.HELP]


def _fixtures() -> Iterator[tuple[str, Any]]:
    for name in sorted(plugin.__all__):
        function = getattr(plugin, name)
        yield (
            name,
            _Documented(inspect.getdoc(getattr(function, "_get_wrapped_function", lambda f=function: f)()) or ""),
        )


class _Documented:
    """A fixture: a name with a docstring, and no signature that a user would call."""

    def __init__(self, text: str) -> None:
        self.__doc__ = text


def _options() -> Iterator[str]:
    parser = Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    group: Any = parser.getgroup("gradcheck")
    for option in group.options:
        attributes = option.attrs()
        names = " / ".join(f"`{name}`" for name in option.names())
        action = attributes.get("action")
        switch = isinstance(action, type) and action.__name__ == "BooleanOptionalAction"
        off = f" / `--no-{option.names()[0][2:]}`" if switch else ""
        metavar = attributes.get("metavar")
        shown = names[:-1] + f" {metavar}`" if metavar else names
        ini = attributes["dest"] if attributes["dest"] in parser._inidict else ""
        yield f"| {shown}{off} | {f'`{ini}`' if ini else ''} | {attributes['help'].replace('|', '&#124;')} |"


def _first_paragraph(thing: Any) -> str:
    return re.sub(r"\s+", " ", (inspect.getdoc(thing) or "").partition("\n\n")[0])


if __name__ == "__main__":
    PAGE.write_text(document())
