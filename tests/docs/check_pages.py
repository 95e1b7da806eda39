"""The pages of the checks: examples that run and print what stands below them, and pages made of the code itself.

`python -m tests.docs.check_pages` writes the index, the table of diagnoses and the present output of every example into
the pages; look at the change.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
from pathlib import Path

from pytest_gradcheck.checks import CHECKS
from pytest_gradcheck.diagnosis import CAUSES

PAGES = Path(__file__).parents[2] / "docs" / "checks"
EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```text\n(?P<printed>.*?)```", re.DOTALL)
#: Pages that are made of the code alone, or are no check's.
MADE = ("README", "diagnosis")
RESULTS = ("kill-matrix", "false-alarms")
WORDS = ("findings",)


def examples(page: Path) -> list[tuple[str, str]]:
    """Code and the output that stands below it."""
    return [(found["code"], found["printed"]) for found in EXAMPLE.finditer(page.read_text(encoding="utf-8"))]


def printed(code: str) -> str:
    """What an example prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "example", "exec"), {"__name__": "example"})
    return output.getvalue()


def made() -> dict[str, str]:
    """The pages that are made of the code, by file name."""
    rows = "\n".join(f"| [`{check.name}`]({check.name}.md) | {_question(check)} |" for check in CHECKS)
    causes = "\n".join(f"| `{cause.__name__}` | {_sentence(cause.__doc__)} |" for cause in CAUSES)
    index = f"""# The checks

In the order in which they run. `vjp` is the number of record; each of the others asks one more question about what
custom Functions get wrong in practice, and none of them needs to be asked for.

| check | question |
|---|---|
{rows}

A gradient that is wrong comes with its likely cause where one is sure: [the diagnoses](diagnosis.md). What a report
says besides is a [finding](findings.md), each kind with what to do. What the checks
catch and what they leave alone is measured: [the kill matrix](kill-matrix.md), [the false alarms](false-alarms.md).
"""
    diagnosis = f"""# Diagnoses

A tensor whose gradient is wrong comes with its likely cause, where one fits and nothing else would: each cause is a
hypothesis about the whole measurement, and a gradient that is wrong in another way must not agree with it by accident.
An element that agrees by accident is taken to be rare (one in a thousand), equal numbers count once, and what an error
bar covers counts for nothing; below a confidence of 0.995 nothing is said. `check.diagnosis` is the sentence,
`check.confidence` the number.

Of large tensors the wrong elements are found by bisection along random directions (three of a million in some three
hundred forward calls); where a third of a tensor is wrong, 64 elements in a grid and lines through a wrong one are
measured instead. What the outputs have to say comes from some columns of the Jacobian, also by finite differences.

From the first that is tried to the last:

| cause | what it says |
|---|---|
{causes}
"""
    return {"README.md": index, "diagnosis.md": diagnosis}


def write() -> None:
    """Writes the made pages, and the present output of each example below it."""
    for name, text in made().items():
        (PAGES / name).write_text(text, encoding="utf-8")
    for path in sorted(PAGES.glob("*.md")):
        _rewrite(path)


def _rewrite(page: Path) -> None:
    def renewed(found: re.Match[str]) -> str:
        return f"```python\n{found['code']}```\n\n```text\n{printed(found['code'])}```"

    page.write_text(EXAMPLE.sub(renewed, page.read_text(encoding="utf-8")), encoding="utf-8")


def _question(check: object) -> str:
    return _sentence(importlib.import_module(type(check).__module__).__doc__)


def _sentence(text: str | None) -> str:
    """The first line of a docstring."""
    return inspect.cleandoc(text or "").splitlines()[0].replace("|", "\\|")


if __name__ == "__main__":
    write()
