"""Lints a package with the default rules, each file in the light of all others."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gradlint.engine import lint_source
from gradlint.errors import UnreadableFile
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.project import ProjectIndex
from gradlint.settings import Settings
from gradlint.source import Source

from tests.lint.corpora.packages import sources

if TYPE_CHECKING:
    from pathlib import Path

    from gradlint.model import Violation
    from gradlint.semantics.file_facts import FileFacts


@dataclass(frozen=True)
class Linted:
    """What one package's run gave."""

    violations: tuple[Violation, ...]
    lines: int


def lint_package(folder: Path, codes: frozenset[str], processes: int) -> Linted:
    """Lint every file with the default rules, or those named."""
    files = [str(path.relative_to(folder)) for path in sources(folder)]
    with ProcessPoolExecutor(processes) as pool:
        facts = pool.map(partial(_facts, folder), files, chunksize=16)
        index = ProjectIndex.of(one for one in facts if one is not None)
        work = partial(_lint, folder, index, codes)
        shares = [files[start::64] for start in range(64)]
        results = list(pool.map(work, shares))
    found = sorted((one for violations, _ in results for one in violations), key=lambda one: one.sort_key)
    return Linted(tuple(found), sum(lines for _, lines in results))


def _decoded(folder: Path, name: str) -> Source:
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    data = (folder / name).read_bytes()
    return Source.decode(data, name, module=module, is_package=name.endswith("__init__.py"))


def _facts(folder: Path, name: str) -> FileFacts | None:
    try:
        source = _decoded(folder, name)
    except UnreadableFile:
        return None
    return file_facts(source.text, source.module, is_package=source.is_package)


def _lint(folder: Path, index: ProjectIndex, codes: frozenset[str], files: list[str]) -> tuple[list[Violation], int]:
    rules = load(info for info in RULES if (info.code in codes if codes else info.default))
    violations: list[Violation] = []
    lines = 0
    for name in files:
        source = _decoded(folder, name)
        lines += len(source.line_starts) - 1
        shown = lint_source(source, Settings(), rules, index)
        violations += [one for one in shown if codes or one.level.value in ("error", "warning")]
    return violations, lines
