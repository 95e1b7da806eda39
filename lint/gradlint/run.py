"""One run: find the files, take from the cache what is known, lint the rest, and write what was fixed.

A run in which nothing is new imports neither the engine nor libcst.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.cache import Cache, key_of
from gradlint.config import Configs, project_root
from gradlint.discovery import STDIN, Found, discover
from gradlint.edits import is_fixable
from gradlint.errors import UnreadableFile
from gradlint.explain import settings_as_text
from gradlint.job import Job, Outcome
from gradlint.own import unreadable
from gradlint.project_files import FactsStore, Folders, Place, place_of
from gradlint.settings import CodeLists, Config, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gradlint.model import Safety, Violation
    from gradlint.selection import Selection


@dataclass(frozen=True)
class Request:
    """What a run is asked to do. `fix` is the weakest safety to apply, None to change nothing."""

    paths: tuple[str, ...] = (".",)
    codes: CodeLists = field(default_factory=CodeLists)
    fix: Safety | None = None
    jobs: int = 1
    use_cache: bool = True
    config: Path | None = None
    stdin_filename: str | None = None
    force_exclude: bool = False


@dataclass(frozen=True)
class Changed:
    """A file that fixes changed: what it is called in the output, and its bytes before and after."""

    path: Path | None
    name: str
    old: bytes
    new: bytes
    fixes: int


@dataclass(frozen=True)
class Report:
    """What a run found. `contents` holds the bytes of the files with violations by name, as they will be on disk.

    `linted` says of each file what was looked for.
    """

    violations: tuple[Violation, ...]
    changed: tuple[Changed, ...] = ()
    files: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    linted: dict[str, Selection] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    path: Path
    shown: str
    root: Path
    data: bytes
    place: Place
    plan: Plan
    is_stdin: bool = False

    @property
    def name(self) -> str:
        """The path from the project: what fingerprints and cache entries are made of."""
        return _relative(self.path, self.root)


class Run:
    """Configuration and files of one request; `report` lints them."""

    def __init__(self, request: Request, stdin: Callable[[], bytes], cwd: Path) -> None:
        self._request = request
        self._stdin = stdin
        self._cwd = cwd
        self._configs = Configs(request.config, cwd)
        self._selections: dict[int, tuple[Config, Selection]] = {}
        self._roots: dict[Path, Path] = {}
        self._folders = Folders()
        self._store = FactsStore(self._folders)

    def names(self) -> list[str]:
        """The files that would be linted."""
        found = self._discover()
        return [self._shown(path) for path in found.files] + ["-"] * found.stdin

    def settings_texts(self) -> list[str]:
        """The settings of each path that was asked for."""
        self._discover()  # a path that does not exist is an error here, too
        texts = []
        for text in self._request.paths:
            path = self._cwd / (text if text != STDIN else self._request.stdin_filename or STDIN)
            config = self._configs.of(path if path.is_dir() else path.parent)
            plan = config.plan(path, self._selection_of(config)) if not path.is_dir() else None
            selection = plan.selection if plan else self._selection_of(config)
            texts.append(settings_as_text(text, config, selection))
        return texts

    def _discover(self) -> Found:
        request = self._request
        return discover(request.paths, self._configs, self._cwd, force_exclude=request.force_exclude)

    def _selection_of(self, config: Config) -> Selection:
        if id(config) not in self._selections:
            self._selections[id(config)] = config, config.selection(self._request.codes)
        return self._selections[id(config)][1]

    def report(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Lint everything that was asked for. Raises UsageProblem and InternalError."""
        request = self._request
        self._selection_of(self._configs.of(self._cwd))  # wrong codes are said even when there is nothing to lint
        found = self._discover()
        violations = [self._unreadable(path, UnreadableFile(reason)) for path, reason in found.unreadable]
        files: list[_File] = []
        for path in found.files:
            data = _bytes(path)
            if isinstance(data, bytes):
                files.append(self._file(path, data))
            else:
                violations.append(self._unreadable(path, data))
        if found.stdin:
            shown = request.stdin_filename or STDIN
            files.append(replace(self._file(self._cwd / shown, self._stdin()), shown=shown, is_stdin=True))
        outcomes = self._outcomes(files, lambda done: progress(done, len(files)) if progress else None)
        return self._reported(violations, files, outcomes)

    def _file(self, path: Path, data: bytes) -> _File:
        folder = path.parent
        config = self._configs.of(folder)
        if folder not in self._roots:
            self._roots[folder] = config.root if config.file and not self._request.config else project_root(folder)
        root = self._roots[folder]
        place = place_of(path, root, self._folders)
        return _File(path, self._shown(path), root, data, place, config.plan(path, self._selection_of(config)))

    def _shown(self, path: Path) -> str:
        return _relative(path, self._cwd)

    def _unreadable(self, path: Path, problem: UnreadableFile) -> Violation:
        name = _relative(path, project_root(path.parent))
        return replace(unreadable(name, problem), path=self._shown(path))

    def _outcomes(self, files: Sequence[_File], done: Callable[[int], None]) -> list[Outcome]:
        """What is known of each file from the cache, else what comes of its job."""
        caches: dict[Path, Cache] = {}
        cached = files if self._request.use_cache else []
        keys = [key_of(file.data, file.name, file.place, file.plan) for file in cached]
        results: list[Outcome | None] = [None] * len(files)
        for index, file in enumerate(cached):
            if file.root not in caches:
                caches[file.root] = Cache(file.root, self._store.known)
            results[index] = self._known(caches[file.root], keys[index], file)
        missing = [index for index, result in enumerate(results) if result is None]
        if missing:
            self._lint(files, missing, results, done)
            for index in missing:
                outcome = results[index]
                if files[index].root in caches and outcome is not None:
                    key = keys[index]
                    if outcome.fixed is not None:
                        key = key_of(outcome.fixed, files[index].name, files[index].place, files[index].plan)
                    caches[files[index].root].put(key, outcome.needs, outcome.violations)
        for cache in caches.values():
            cache.save()
        return [result for result in results if result is not None]

    def _known(self, cache: Cache, key: str, file: _File) -> Outcome | None:
        found = cache.get(key, lambda module: self._store.digest(file.place, module))
        most = self._request.fix
        if found is not None and most is not None and any(is_fixable(violation, most) for violation in found):
            return None
        return None if found is None else Outcome(found)

    def _lint(
        self,
        files: Sequence[_File],
        missing: Sequence[int],
        results: list[Outcome | None],
        done: Callable[[int], None],
    ) -> None:
        from gradlint.pool import do

        known = len(files) - len(missing)
        chosen = [files[index] for index in missing]
        fix, is_kept = self._request.fix, self._request.use_cache
        jobs = [Job(file.name, file.data, file.place, file.plan, fix, is_kept) for file in chosen]
        outcomes = do(jobs, self._request.jobs, self._store, lambda count: done(known + count))
        for index, outcome in zip(missing, outcomes, strict=True):
            results[index] = outcome

    def _reported(
        self,
        violations: list[Violation],
        files: Sequence[_File],
        outcomes: Iterable[Outcome],
    ) -> Report:
        changed: list[Changed] = []
        contents: dict[str, bytes] = {}
        for file, outcome in zip(files, outcomes, strict=True):
            if outcome.fixed is not None:
                path = None if file.is_stdin else file.path
                changed.append(Changed(path, file.shown, file.data, outcome.fixed, outcome.fixes))
            if outcome.violations:
                contents[file.shown] = file.data if outcome.fixed is None else outcome.fixed
                violations += [self._renamed(violation, file) for violation in outcome.violations]
        ordered = sorted(violations, key=lambda violation: violation.sort_key)
        stdin = b"".join(file.data for file in files if file.is_stdin)
        linted = {file.shown: file.plan.selection for file in files}
        return Report(tuple(ordered), tuple(changed), len(files), contents, stdin, linted)

    def _renamed(self, violation: Violation, file: _File) -> Violation:
        """The violation with paths as the output shows them."""
        related = tuple(
            replace(each, path=file.shown if each.path == violation.path else self._shown(file.root / each.path))
            for each in violation.related
        )
        return replace(violation, path=file.shown, related=related)


def _bytes(path: Path) -> bytes | UnreadableFile:
    try:
        return path.read_bytes()
    except OSError as problem:
        return UnreadableFile(f"cannot be read: {problem.strerror}")


def _relative(path: Path, folder: Path) -> str:
    base = f"{folder}{os.sep}"
    text = str(path)
    if text.startswith(base):
        return text[len(base) :].replace(os.sep, "/")
    try:
        return os.path.relpath(text, folder).replace(os.sep, "/")
    except ValueError:  # another drive
        return text.replace(os.sep, "/")
