"""The command line itself: help, version, commands, wrong use, interrupts, and that nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import libcst as cst
import pytest
from gradlint import __version__
from gradlint.rules import RULES
from gradlint.selection import EVERY
from gradlint.source import Source
from gradlint.unit import Unit

from tests.lint.cli.code import TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version(option: str) -> None:
    done = subprocess.run([sys.executable, "-m", "gradlint", option], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"gradlint {__version__}\n" if option == "--version" else "usage: gradlint")


def test_the_version_is_that_of_the_distribution() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_explain_prints_the_pages_of_rules(cli: Cli) -> None:
    for given in ("GRD703", "grd703", "require-grad-typo"):
        found = cli("explain", given)
        assert found.status == 0
        assert found.out.startswith("# GRD703 require-grad-typo\n\n")
        assert "(error, safe fix, in the default set)" in found.out
        assert "## Why is this bad" in found.out
    assert cli("explain", "ALL").out.count("\n## Use instead\n") == len(EVERY)
    wrong = cli("explain", "GRD793")
    assert (wrong.status, wrong.err) == (2, "gradlint: explain: no rule is called 'GRD793'; did you mean 'GRD703'?\n")
    assert cli("explain").status == 2


def test_rules_lists_them_as_text_and_json(cli: Cli) -> None:
    lines = cli("rules").out.splitlines()
    assert len(lines) == 1 + len(EVERY)
    assert re.search(r"^GRD703  require-grad-typo +error +safe +yes$", "\n".join(lines), re.MULTILINE)
    listed = json.loads(cli("rules", "--output-format", "json").out)
    assert [each["code"] for each in listed] == [info.code for info in EVERY]
    assert {"code", "name", "level", "fix", "default"} <= listed[0].keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--selct", "GRD703"), "unknown option --selct; did you mean '--select'?"),
        (("--explain", "GRD503"), "unknown option --explain; it is a command: gradlint explain"),
        (("--output-format", "xml"), "invalid choice: 'xml'"),
        (("--jobs", "0"), "'0' is no number of processes"),
        (("--select",), "expected one argument"),
        (("rules", "x"), "unexpected argument x"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    found = cli(*arguments)
    assert (found.status, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_options_and_paths_in_any_order(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    write("b.py", TYPO)
    out = cli("a.py", "--output-format", "concise", "b.py", "--select=GRD703").out
    assert out.count("GRD703") == 2


def test_exit_zero(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    found = cli("a.py", "--exit-zero")
    assert found.status == 0
    assert "GRD703" in found.out
    assert cli("gone.py", "--exit-zero").status == 2


def test_an_internal_error_is_one_sentence_and_exit_2(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", TYPO)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("gradlint.worker.lint_source", fail)
    found = cli("a.py")
    assert (found.status, found.out) == (2, "")
    assert found.err == "gradlint: internal error in a.py: RuntimeError: boom\n"
    monkeypatch.setattr("gradlint.run.discover", fail)
    assert cli("a.py").err.startswith("gradlint: internal error: RuntimeError: boom")


def test_an_interrupt_is_one_word_and_exit_130(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gradlint.run.discover", interrupt)
    found = cli()
    assert (found.status, found.out, found.err) == (130, "", "gradlint: interrupted\n")


def test_a_file_is_parsed_and_asked_by_one_thread(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing for another thread was measured to take a tenth longer."""
    threads: list[threading.Thread] = []

    class Noted(Unit):
        def __init__(self, *arguments: Any) -> None:
            threads.append(threading.current_thread())
            super().__init__(*arguments)

    def parse(source: Source) -> cst.Module:
        threads.append(threading.current_thread())
        return cst.parse_module(source.text)

    monkeypatch.setattr("gradlint.parse._parse", parse)
    monkeypatch.setattr("gradlint.engine.Unit", Noted)
    for name in ("short.py", "long.py"):
        write(name, TYPO + "x = (1 + 2) * (3 - 4)\n" * (1000 * (name == "long.py")))
    assert cli(".", "--no-cache", "--jobs", "1").status == 1
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_run_ends_at_once_without_a_traceback(write: Write, jobs: str) -> None:
    for number in range(60):
        write(f"m{number}.py", TYPO + "def f(x):\n    return x.relu()\n" * 3000)
    command = [sys.executable, "-m", "gradlint", ".", "--no-cache", "--jobs", jobs]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "gradlint: interrupted\n")


ENDLESS = """
import os, signal, time
import gradlint.worker
from gradlint.__main__ import run

def never_done(job, store):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(0.01)

gradlint.worker.run = never_done
run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_run_does_not_wait_for_the_file_it_is_at(write: Write) -> None:
    write("a.py", TYPO)
    command = [sys.executable, "-c", ENDLESS, ".", "--no-cache", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "gradlint: interrupted\n")


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of what a program may reserve")
def test_a_run_without_room_for_a_thread_goes_on_without_one(write: Write) -> None:
    write("a.py", TYPO)
    code = (
        "import sys, threading\n"
        "from gradlint.cli import main\n"
        'def start(self): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = start\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code, "a.py", "--no-cache", "--output-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert [each["code"] for each in json.loads(done.stdout)] == ["GRD703"]


@pytest.mark.skipif(sys.platform != "linux", reason="a forked worker is a copy of this process")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_is_one_sentence(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(f"m{number}.py", TYPO)
    monkeypatch.setattr("gradlint.worker.run", lambda *_: os._exit(9))
    found = cli("--no-cache", "--jobs", "2")
    assert (found.status, found.out) == (2, "")
    assert found.err == "gradlint: internal error: a worker process died (out of memory?); try --jobs 1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a forked worker is a copy of this process")
def test_an_error_in_a_worker_names_its_file(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(f"m{number}.py", TYPO)

    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("gradlint.worker.lint_source", fail)
    found = cli("--no-cache", "--jobs", "2")
    assert (found.status, found.out) == (2, "")
    assert re.fullmatch(r"gradlint: internal error in m\d+\.py: RuntimeError: boom\n", found.err)


def test_a_reader_that_goes_away_is_no_error(write: Write) -> None:
    write("a.py", TYPO + "w.require_grad = True\n" * 5000)
    command = f"{sys.executable} -m gradlint a.py --no-cache | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a.py:4:3")
    assert done.stderr == ""


def test_gradlint_needs_neither_torch_nor_pytest_and_a_warm_run_no_libcst(write: Write) -> None:
    write("pkg/__init__.py", "from pkg.base import Base\n")
    write("pkg/base.py", "import torch.nn as nn\n\nclass Base(nn.Module):\n    pass\n")
    write("pkg/model.py", TYPO + "from pkg import Base\n\nclass Net(Base):\n    pass\n")
    write("pkg/model.ipynb", notebook(TYPO, "%time\nfrom pkg import Base"))
    write("pkg/model.md", f"```python\n{TYPO}```\n```{{.python .input}}\n%time\n```\n")
    code = (
        "import sys; from gradlint.cli import main; status = main(sys.argv[1:]);"
        "print(sorted({'libcst', 'torch', 'numpy', 'pytest', 'asyncio', 'concurrent'} & set(sys.modules)), status)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, "."], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[1].endswith("[] 1\n")
    assert "libcst" in runs[0].splitlines()[-1]
    assert runs[0].splitlines()[:-1] == runs[1].splitlines()[:-1]
    assert "torch'" not in runs[0].splitlines()[-1]


def test_every_rule_is_listed_once() -> None:
    assert len({info.code for info in EVERY}) == len(EVERY) == len(RULES) + 3


def test_every_bad_example_is_told_where_it_lies_and_no_trap_is(cli: Cli) -> None:
    """No rule is silent for the sake of a folder's name: the examples themselves lie under `tests`."""
    fixtures = ROOT / "tests" / "lint" / "fixtures"
    codes = [info.code for info in RULES]
    found = json.loads(cli(fixtures, "--no-cache", "--select", "ALL", "--output-format", "json").out)
    told = {(Path(each["path"]).parent.name, Path(each["path"]).name) for each in found if each["code"] in each["path"]}
    assert [code for code in codes if (code, "bad.py") not in told] == []
    assert sorted(pair for pair in told if pair[1] in ("traps.py", "good.py")) == []
