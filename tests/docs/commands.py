"""The commands and options that prose names between backticks, and the parsers that know them."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradlint.arguments import COMMANDS, command_parser, lint_parser, parsed
from gradlint.errors import UsageProblem

from pytest_gradcheck.cli.main import parser as check_parser
from tests.docs.fences import prose
from tests.docs.snippets import ROOT

_MODULE = re.compile(r"\btests(?:\.\w+)+")


def spans(document: str) -> list[str]:
    """What stands between backticks, outside of fenced blocks, each on one line."""
    return [re.sub(r"\s+", " ", span).strip() for span in re.findall(r"`([^`]+)`", prose(document))]


def names_of(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of its commands."""
    names = {name for action in parser._actions for name in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= {name for command in action.choices.values() for name in names_of(command)}
    return names


def pytest_options(config: Any, group: str | None = None) -> set[str]:
    """The options that pytest knows here, those of one group only if it is named."""
    groups = [each for each in (*config._parser._groups, config._parser._anonymous) if group in (None, each.name)]
    options = [option for each in groups for option in each.options]
    switched = {f"--no-{name[2:]}" for option in options for name in option.names() if _is_switch(option)}
    names = {name for option in options for name in option.names()} | switched
    return names if group else names | {"-n"}  # pytest-xdist's, which may be switched off


def _is_switch(option: Any) -> bool:
    return option.attrs().get("action") is argparse.BooleanOptionalAction


def ours() -> set[str]:
    """The options of this package's own command lines."""
    return names_of(lint_parser()) | names_of(command_parser("rules")) | names_of(check_parser())


def of_modules(document: str) -> set[str]:
    """The options in the source of the commands `python -m tests...` that a page names."""
    sources = [path.read_text(encoding="utf-8") for name in _MODULE.findall(document) for path in _sources(name)]
    return {option for source in sources for option in re.findall(r"\"(--[a-z-]+)\"", source)}


def _sources(name: str) -> list[Path]:
    path = ROOT.joinpath(*name.split("."))
    return [*path.glob("*.py"), *(file for file in [path.with_suffix(".py")] if file.is_file())]


def problem(span: str, config: Any, options: set[str]) -> str | None:
    """Why a command or option between backticks is none, or None; what is neither is no business of ours."""
    for part in re.split(r" && | / ", span):
        with contextlib.suppress(ValueError):  # no shell would read it: it is no command
            words = [word for word in shlex.split(part) if not re.match(r"\[|\.\.\.|\w+\]$|[A-Z_]+=", word)]
            if found := _wrong(words, config, options):
                return f"{part}: {found}"
    return None


def _wrong(words: list[str], config: Any, options: set[str]) -> str | None:
    if not words:
        return None
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "torchrun" and "-m" in rest:
        return _wrong(rest[rest.index("-m") + 1 :], config, options)
    if program == "python" and rest[:1] == ["-m"]:
        return _wrong_module(rest[1:], config, options)
    if program == "gradlint":
        return _wrong_lint(rest)
    if program == "pytest":
        return _unknown(rest, pytest_options(config))
    if program == "bash":
        return next((f"{path} is not there" for path in rest if not (ROOT / path).exists()), None)
    if program == "pip":
        return next((word for word in rest if "[" in word and not _is_extra(word)), None)
    if re.match(r"--?[a-z]", program) and program != "-inf":
        return (
            _wrong_module(rest, config, options)
            if program == "-m" and "." in "".join(rest[:1])
            else _unknown(words, options)
        )
    return None


def _wrong_module(words: list[str], config: Any, options: set[str]) -> str | None:
    name, rest = words[0], words[1:]
    if name == "pytest":
        return _unknown(rest, pytest_options(config))
    if name == "pytest_gradcheck":
        return _refused(check_parser(), rest) if rest[1:] else _unknown_command(rest)
    if importlib.util.find_spec(name) is None:
        return f"there is no module {name}"
    return _unknown(rest, options)


def _unknown_command(rest: list[str]) -> str | None:
    (commands,) = (each for each in check_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return next((f"no command {word}" for word in rest if word not in commands.choices), None)


def _wrong_lint(rest: list[str]) -> str | None:
    command = rest[0] if rest[:1] and rest[0] in COMMANDS else None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            parsed(command_parser(command) if command else lint_parser(), rest[1:] if command else rest)
    except UsageProblem as error:
        return str(error)
    except SystemExit:  # --version, which has said what it was asked
        return None
    return None


def _refused(parser: argparse.ArgumentParser, words: list[str]) -> str | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args([words[0], *(["module:Name"] if words[1].startswith("-") else []), *words[1:]])
    except SystemExit:
        return said.getvalue()
    return None


def _unknown(words: list[str], known: set[str]) -> str | None:
    named = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((f"there is no option {name}" for name in named if name not in known), None)


def _is_extra(word: str) -> bool:
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return all(extra in extras for extra in word.partition("[")[2].removesuffix("]").split(","))


def every_command(document: str) -> Iterator[str]:
    """Spans of prose, and the blocks that show a command without its output."""
    yield from spans(document)
    yield from (line for line in document.splitlines() if re.match(r"(FASHION_MNIST_ROOT=\S+ )?python -m ", line))
