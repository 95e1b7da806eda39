"""One file from bytes to what is shown of it: lint, suppress, judge and, when asked, fix. Imports libcst."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from gradlint.documents import read
from gradlint.engine import lint_source
from gradlint.errors import UnreadableFile
from gradlint.fix import fix_all
from gradlint.job import Outcome
from gradlint.loader import load
from gradlint.own import unreadable, with_fingerprints
from gradlint.project_files import AskedFiles
from gradlint.rules import RULES, UNREADABLE
from gradlint.semantics.project import ProjectIndex
from gradlint.suppress import apply, skips_file

if TYPE_CHECKING:
    from gradlint.documents.document import Document
    from gradlint.job import Job
    from gradlint.model import Violation
    from gradlint.project_files import FactsStore
    from gradlint.rule import Rule
    from gradlint.settings import Plan


def run(job: Job, store: FactsStore) -> Outcome:
    """Do one job. Errors of gradlint itself pass."""
    files = AskedFiles(store, job.place)
    place = job.place
    try:
        document = read(job.data, job.name, module=place.module, is_package=place.is_package)
        source = document.source
    except UnreadableFile as problem:
        return Outcome((unreadable(job.name, problem),))
    if not source.text.strip() or skips_file(source.text):
        return Outcome(())

    def lint(version: Document) -> list[Violation]:
        return _lint(version, job.plan, ProjectIndex(files, place.module, files.gives, files.outline))

    def needs() -> dict[str, str | None]:
        return files.needs() if job.is_kept else {}

    if job.fix is None or document.encode() != job.data:
        return Outcome(tuple(lint(document)), needs())
    changed, left, count = fix_all(document, job.fix, lint)
    new = changed.encode() if changed.shown.text != document.shown.text else None
    return Outcome(tuple(left), needs(), new, count)


def _lint(document: Document, plan: Plan, project: ProjectIndex) -> list[Violation]:
    source = document.source
    found = lint_source(source, plan.settings, _rules(plan.selection.active), project)
    left = document.reported(with_fingerprints(apply(found, source, plan.selection), source))
    judged = [violation if violation.code == UNREADABLE.code else plan.judged(violation) for violation in left]
    return sorted(filter(plan.shows, judged), key=lambda violation: violation.sort_key)


@lru_cache(maxsize=64)
def _rules(active: frozenset[str]) -> tuple[Rule, ...]:
    return load(info for info in RULES if info.code in active)
