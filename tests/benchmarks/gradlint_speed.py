"""gradlint beside other linters on two pinned packages, unpacked from the package index, measured in one run.

    python -m tests.benchmarks.gradlint_speed                        # timm and torchvision, with every tool
    python -m tests.benchmarks.gradlint_speed --only torchvision --tools ruff --repeat 1
    python -m tests.benchmarks.gradlint_speed --write                # the table into docs/gradlint-speed.md

Every row is a process of its own, started again for each repetition, gradlint's rows and "parse alone" in turn, and the
best of each counts: processor seconds of it and its children, so that other processes of the machine do not, with the
wall clock beside. "parse alone" is `libcst.parse_module`, with the collector off, on exactly the files that reach
gradlint's rules: what a linter on libcst cannot go below. The other tools run with their default rules, without their
caches, each in an environment of its own under `--cache`; one that cannot be installed is left out and named. gradlint
"warm" has run before, with a cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tests.benchmarks import page
from tests.lint.corpora.packages import PINNED, fetch, sources

PAGE: Final = Path(__file__).parents[2] / "docs" / "gradlint-speed.md"
PACKAGES: Final = ("torchvision", "timm")
PARSE: Final = "libcst.parse_module alone"
COLD: Final = "gradlint cold, one process"


@dataclass(frozen=True)
class Tool:
    """Another linter: what pip installs, and how it is started on a folder."""

    requirements: tuple[str, ...]
    command: tuple[str, ...]


TOOLS: Final = {
    "ruff": Tool(("ruff==0.11.13",), ("ruff", "check", "--no-cache", "--isolated", "--quiet", "--select", "F,B,NPY")),
    "TorchFix": Tool(("torchfix==0.7.0",), ("torchfix", "-j", "1")),
    "torch-preflight": Tool(("torch-preflight==0.5.0",), ("torch-preflight", "check")),
}


class Taken(NamedTuple):
    """What a process took, in seconds."""

    processor: float
    wall: float


@dataclass(frozen=True)
class Way:
    """A command and the folder it is started in; `fills_cache`: gradlint finds an empty cache of its own."""

    command: Sequence[str]
    folder: Path
    fills_cache: bool = False

    def run(self) -> Taken:
        """Start it once. Raises RuntimeError if it fails; 1 only says that it found something.

        Every tool may keep its bytecode, as it does where nothing forbids that: what compiling takes is not measured.
        """
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with tempfile.TemporaryDirectory() as empty:
            environment = {**kept, "GRADLINT_CACHE_DIR": empty} if self.fills_cache else kept
            before, started = os.times(), time.perf_counter()
            done = subprocess.run(
                self.command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
            )
            wall, after = time.perf_counter() - started, os.times()
        if done.returncode not in (0, 1) or "Traceback" in done.stderr:
            raise RuntimeError(f"{' '.join(self.command)}: {(done.stderr or done.stdout).strip()[-300:]}")
        processor = after.children_user + after.children_system - before.children_user - before.children_system
        return Taken(processor, wall)


def installed(name: str, cache: Path) -> Path:
    """The folder of the programs of a tool's environment, made when first asked. Raises CalledProcessError."""
    home = cache / "tools" / name
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *TOOLS[name].requirements], check=True, capture_output=True)
        (home / "done").touch()
    return programs


def reaching(folder: Path) -> list[str]:
    """The files that gradlint parses with libcst, as its engine says: in others no rule of the default set fires."""
    from gradlint.engine import able_rules
    from gradlint.loader import load
    from gradlint.project_files import AskedFiles, FactsStore, Folders, place_of
    from gradlint.rules import RULES
    from gradlint.semantics.project import ProjectIndex
    from gradlint.source import Source

    rules = load(rule for rule in RULES if rule.default)
    folders = Folders()
    store = FactsStore(folders)
    found = []
    for path in sources(folder):
        place = place_of(path, folder, folders)
        source = Source.decode(path.read_bytes(), str(path), module=place.module, is_package=place.is_package)
        if source.text.strip() and able_rules(source, rules, ProjectIndex(AskedFiles(store, place), place.module)):
            found.append(str(path))
    return found


def parse(listed: Path) -> None:
    """Parse the files of a list, one after the other: the process that `PARSE` measures."""
    import gc

    import libcst

    gc.disable()
    for name in listed.read_text().splitlines():
        libcst.parse_module(Path(name).read_bytes())


def rows(folder: Path, options: argparse.Namespace) -> dict[str, Taken]:
    """Each way and the best that it took on one package; gradlint's and parsing take turns: machines change."""
    own = [sys.executable, "-m", "gradlint", "."]
    listed = options.cache / "listed.txt"
    listed.write_text("\n".join(reaching(folder)))
    here = [sys.executable, "-m", "tests.benchmarks.gradlint_speed", "--parse", str(listed)]
    ways = {
        PARSE: Way(here, Path.cwd()),
        COLD: Way([*own, "--no-cache", "--jobs", "1"], folder),
        "gradlint cold, one process, filling its cache": Way([*own, "--jobs", "1"], folder, fills_cache=True),
        "gradlint cold, two processes": Way([*own, "--no-cache", "--jobs", "2"], folder),
        "gradlint warm, one process": Way([*own, "--jobs", "1"], folder),
        "gradlint warm, two processes": Way([*own, "--jobs", "2"], folder),
    }
    Way([*own, "--jobs", "2"], folder).run()  # fills the cache
    turns = [{name: way.run() for name, way in ways.items()} for _ in range(options.repeat)]
    found = {name: min(turn[name] for turn in turns) for name in ways}
    for name in options.tools.split(",") if options.tools else TOOLS:
        taken = other(name, folder, options)
        if taken is not None:
            found[name] = taken
    return found


def other(name: str, folder: Path, options: argparse.Namespace) -> Taken | None:
    """What another tool took, started once where it needs a minute; None, said on stderr, where it cannot be had."""
    program, *arguments = TOOLS[name].command
    try:
        way = Way([str(installed(name, options.cache) / program), *arguments, "."], folder)
        return min(way.run() for _ in range(options.repeat if name == "ruff" else 1))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as problem:
        print(f"{name} left out: {problem}", file=sys.stderr)
        return None


def table(package: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """A package's rows, with their ratios to parsing alone and to gradlint."""
    files = sources(folder)
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    found = rows(folder, options)
    text = [f"## {package}: {len(files)} files, {lines / 1000:.0f} thousand lines", ""]
    text += ["| | processor s | wall s | / parse alone | / gradlint cold |", "|---|---:|---:|---:|---:|"]
    for name, taken in found.items():
        ratios = [taken.processor / found[beside].processor for beside in (PARSE, COLD)]
        text.append(f"| {name} | {taken.processor:.2f} | {taken.wall:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return text


def main() -> int:
    """Measure and print; with `--write` into the page."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.gradlint_speed", description=(__doc__ or "").split("\n")[0])
    default = Path(tempfile.gettempdir()) / "gradlint-corpora"
    parser.add_argument("--cache", type=Path, default=default, help="where wheels and other tools are unpacked")
    parser.add_argument("--only", choices=PACKAGES, help="one package")
    parser.add_argument("--tools", default="", help=f"of {','.join(TOOLS)}; default: all")
    parser.add_argument("--repeat", type=int, default=3, help="starts, of which the best counts")
    parser.add_argument("--write", action="store_true", help=f"the table into docs/{PAGE.name}")
    parser.add_argument("--parse", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parse:
        parse(options.parse)
        return 0
    pinned = {requirement.partition("==")[0]: requirement for requirement in PINNED}
    text: list[str] = []
    for package in PACKAGES:
        if options.only in (None, package):
            one = table(pinned[package].replace("==", " "), fetch(pinned[package], options.cache), options)
            print("\n".join(one), flush=True)
            text += ["", *one]
    if options.write:
        page.put(PAGE, "measured", [page.machine(), *text])
    return 0


if __name__ == "__main__":
    sys.exit(main())
