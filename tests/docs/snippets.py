"""The examples of the README and of docs/: written to files, run as said, their output compared or written back.

A fenced block under `<!-- file: NAME -->` is a file; one under `<!-- output: COMMAND -->` is what the command prints in
the directory of the files above it (a `console` block starts with the command itself). `python -m tests.docs.snippets`
writes the present output into every page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
#: Every page whose examples run here; `fences` knows who runs those of the others.
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "explanation").glob("*.md")))
BLOCK = re.compile(
    r"<!-- (?P<kind>file|output): (?P<what>[^\n]+?) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One marked block: `kind` is "file" or "output", `what` its name or command, `span` where its text stands."""

    kind: str
    what: str
    text: str
    span: tuple[int, int]
    language: str = ""


def blocks(document: str) -> list[Block]:
    """Every marked block in order."""
    return [Block(m["kind"], m["what"], m["text"], m.span("text"), m["language"]) for m in BLOCK.finditer(document)]


def outputs(document: str, folder: Path) -> Iterator[tuple[Block, str]]:
    """Runs every command in `folder`, where the files that precede it lie; yields what it printed."""
    for block in blocks(document):
        if block.kind == "file":
            (folder / block.what).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.what).write_text(block.text)
        else:
            printed = run(block.what, folder)
            yield block, f"$ {block.what}\n{printed}" if block.language == "console" else printed


def run(command: str, folder: Path) -> str:
    """What a command prints, with this environment's scripts and without colours, caches or this machine's data."""
    drop = ("FASHION_MNIST_ROOT", "PYTEST_ADDOPTS", "CI", "GITHUB_ACTIONS", "FORCE_COLOR")
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    scripts = sysconfig.get_path("scripts")
    environment |= {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1", "COLUMNS": "100"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = sys.executable
    found = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return shown(found.stdout + found.stderr)


def shown(output: str) -> str:
    """The part of a terminal's output that the README shows: no banner of this machine, no trailing blanks."""
    output = re.sub(rf"{re.escape(str(ROOT))}/|\S*/site-packages/", "", output)
    lines = [line.rstrip() for line in output.splitlines()]
    dull = re.compile(r"platform |rootdir: |configfile: |plugins: |cachedir: |=+ test session starts|collected ")
    kept = [line for line in lines if not dull.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n") + "\n"


def normal(output: str) -> str:
    """Output with what differs between machines and runs made equal: times, and the last digits of tiny errors."""
    output = re.sub(r"\d+(\.\d+)?( ?m?s\b)", r"#\2", output)
    output = re.sub(r"\d+ forward calls", "# forward calls", output)
    output = re.sub(r"0x[0-9a-f]+", "0x#", output)
    output = re.sub(r"\d+(\.\d+)?% of the rest", "#% of the rest", output)
    # Another number of threads sums in another order, which several steps of training make visible.
    output = re.sub(r"loss \S+ -> \S+ in", "loss # -> # in", output)
    output = re.sub(r" \(0:\d\d:\d\d\)", "", output)  # pytest writes a long time twice
    output = re.sub(r"^ +\^+\n", "", output, flags=re.MULTILINE)  # Python 3.10 does not point into a line
    output = re.sub(r"\d\.\de[-+]\d\d", "#e#", output)
    return re.sub(r"=+", "=", output)


def main() -> None:
    """Writes the present output of every command into the pages that are named, or into all of them."""
    for page in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        document = rewritten(page.read_text())
        page.write_text(with_rules(document) if page == README else document)


def rewritten(document: str) -> str:
    """The document with the present output of its commands."""
    with tempfile.TemporaryDirectory() as folder:
        for block, output in reversed(list(outputs(document, Path(folder)))):
            start, end = block.span
            document = document[:start] + output + document[end:]
    return document


def with_rules(document: str) -> str:
    """The document with the present table of gradlint's rules between its two marks."""
    from tests.docs.rule_pages import table

    before, _, rest = document.partition("<!-- rules -->")
    return f"{before}<!-- rules -->\n{table()}<!-- /rules -->{rest.partition('<!-- /rules -->')[2]}"


if __name__ == "__main__":
    main()
