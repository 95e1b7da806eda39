"""Command-line options and their ini twins, parsed once into one object; unset is None."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.settings import DEVICES, MODES, validate

#: Options of a check: name in `Settings`, ini type, placeholder, help.
OPTIONS: tuple[tuple[str, Any, str, str], ...] = (
    ("eps", "float", "EPS", "central step, and first step of a sweep (default 1e-5)"),
    (
        "bands",
        "string",
        "GOOD,SUSPICIOUS",
        "relative errors up to which a gradient is GOOD, SUSPICIOUS (default 1e-5,1e-3)",
    ),
    ("mode", "string", "MODE", f"one of {', '.join(MODES)} (default auto)"),
    (
        "order",
        "int",
        "ORDER",
        "2 to check double backward too, 1 not to (default: 2 for custom Functions that allow it)",
    ),
    ("dtype", "string", "DTYPE", "floating dtype of the check (default float64)"),
    ("seed", "int", "SEED", "seed of every random draw (default: from the test's node id)"),
    ("budget", "float", "SECONDS", "per check: start no new measurement after this time (default: none)"),
    ("checks", "string", "NAMES", "comma-separated names of the checks to run (default: all)"),
)


@dataclass(frozen=True)
class Options:
    """What the command line and the ini file ask for.

    Attributes:
        enabled: Whether marked items run.
        devices: Devices asked for, in their order; empty for none.
        command_line: Options of a check by their name in `Settings`.
        ini: The same from the ini file.
        modules: Whether marked layers of ordinary modules are collected.
        asked_devices: Whether the devices stand on the command line.
        reports: Files to write a report of the session to.
        tensorboard: Folder for event files of training runs, or None.
        durations: How many of the slowest checks to list: 0 for all, None for no list.
        download: Whether Fashion-MNIST may be downloaded.
    """

    enabled: bool
    devices: tuple[str, ...]
    command_line: Mapping[str, Any]
    ini: Mapping[str, Any]
    modules: bool
    asked_devices: bool = False
    reports: tuple[Path, ...] = ()
    tensorboard: Path | None = None
    durations: int | None = None
    download: bool = False

    @property
    def records(self) -> bool:
        """Whether something is written at the end that needs every report."""
        return bool(self.reports) or self.tensorboard is not None

    def spelled(self) -> list[str]:
        """The command-line options that a rerun must repeat, quoted for a shell."""
        words = [_word(name, value) for name, value in self.command_line.items() if name != "seed"]
        words += [_word("device", device) for device in self.devices if self.asked_devices]
        return [shlex.quote(word) for word in words]


KEY = pytest.StashKey[Options]()


def add(parser: pytest.Parser) -> None:
    """Registers every option and its ini twin."""
    group = parser.getgroup("gradcheck", "gradient checks and smoke training")
    group.addoption(
        "--gradcheck",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="run the tests, layers and Functions marked with gradcheck; --no-gradcheck overrides the ini",
    )
    parser.addini("gradcheck", "run what is marked with gradcheck, as --gradcheck does", type="bool", default=None)
    for name, kind, placeholder, said in OPTIONS:
        group.addoption(f"--gradcheck-{name}", dest=f"gradcheck_{name}", metavar=placeholder, default=None, help=said)
        parser.addini(f"gradcheck_{name}", said, type=kind, default=None)
    strict = "anything but GOOD fails"
    group.addoption(
        "--gradcheck-strict", action=argparse.BooleanOptionalAction, dest="gradcheck_strict", default=None, help=strict
    )
    parser.addini("gradcheck_strict", strict, type="bool", default=None)
    devices = f"device to check and train on: {', '.join(DEVICES)}; repeat it to run once per device"
    group.addoption("--gradcheck-device", action="append", dest="gradcheck_device", metavar="DEVICE", help=devices)
    parser.addini("gradcheck_device", devices, type="args", default=None)
    modules = "collect marked layers of ordinary modules too, as --doctest-modules does with docstrings"
    group.addoption("--gradcheck-modules", action="store_true", dest="gradcheck_modules", default=None, help=modules)
    parser.addini("gradcheck_modules", modules, type="bool", default=None)
    durations = "list the N slowest gradient checks and smoke runs at the end (0: all of them)"
    group.addoption("--gradcheck-durations", dest="gradcheck_durations", metavar="N", default=None, help=durations)
    parser.addini("gradcheck_durations", durations, type="int", default=None)
    report = "write a report of all checks and runs to this file, .html or .json; repeat it for several"
    group.addoption("--gradcheck-report", action="append", dest="gradcheck_report", metavar="PATH", help=report)
    parser.addini("gradcheck_report", report, type="paths", default=None)
    events = "write event files of all training runs into this folder, for TensorBoard"
    group.addoption("--gradcheck-tensorboard", dest="gradcheck_tensorboard", metavar="DIR", default=None, help=events)
    parser.addini("gradcheck_tensorboard", events, type="string", default=None)
    root = "folder that holds FashionMNIST/raw/ with the IDX files (also: environment variable FASHION_MNIST_ROOT)"
    group.addoption("--fashion-mnist-root", dest="fashion_mnist_root", metavar="DIR", default=None, help=root)
    parser.addini("fashion_mnist_root", root, type="string", default=None)
    download = "download Fashion-MNIST into the user's cache directory where no root is named and it is not there yet"
    group.addoption(
        "--fashion-mnist-download",
        action=argparse.BooleanOptionalAction,
        dest="fashion_mnist_download",
        default=None,
        help=download,
    )
    parser.addini("fashion_mnist_download", download, type="bool", default=None)


def parse(config: pytest.Config) -> Options:
    """The options of this run.

    Raises:
        pytest.UsageError: A value is of the wrong kind; the message names the option or the ini key.
    """
    try:
        command_line = {name: config.getoption(f"gradcheck_{name}") for name, *_ in OPTIONS}
        command_line["strict"] = config.getoption("gradcheck_strict")
        ini = {name: _ini(config, f"gradcheck_{name}") for name in command_line}
        asked = config.getoption("gradcheck_device")
        spelled = "--gradcheck-device" if asked else "ini option gradcheck_device"
        named = asked or _ini(config, "gradcheck_device") or []
        devices = dict.fromkeys(validate({"device": device}, lambda _: spelled)["device"] for device in named)
        return Options(
            enabled=_enabled(config),
            devices=tuple(devices),
            command_line=validate(command_line, lambda name: f"--gradcheck-{name}"),
            ini=validate(ini, lambda name: f"ini option gradcheck_{name}"),
            modules=bool(config.getoption("gradcheck_modules") or _ini(config, "gradcheck_modules")),
            asked_devices=bool(asked),
            reports=_reports(config),
            tensorboard=_folder(config, "gradcheck_tensorboard"),
            durations=_durations(config),
            download=_switch(config, "fashion_mnist_download"),
        )
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from None


def _enabled(config: pytest.Config) -> bool:
    asked = config.getoption("gradcheck")
    if asked is not None:
        return bool(asked)
    named = re.search(r"\bgradcheck\b", config.getoption("markexpr", "") or "")
    return bool(named) or bool(_ini(config, "gradcheck"))


def _switch(config: pytest.Config, name: str) -> bool:
    """An option that may be switched off again: the command line's word, else the ini's."""
    asked = config.getoption(name)
    return bool(_ini(config, name) if asked is None else asked)


def _durations(config: pytest.Config) -> int | None:
    asked = config.getoption("gradcheck_durations")
    value = _ini(config, "gradcheck_durations") if asked is None else asked
    if value is None:
        return None
    if not re.fullmatch(r"\d+", str(value)):
        spelled = "ini option gradcheck_durations" if asked is None else "--gradcheck-durations"
        raise UsageProblem(f"{spelled} is {value!r}, but it must be a whole number, 0 for all")
    return int(value)


def _folder(config: pytest.Config, name: str) -> Path | None:
    """A folder: relative to where pytest was called if it stands on the command line, else to the ini file's."""
    asked = config.getoption(name)
    if asked:
        return config.invocation_params.dir / Path(asked).expanduser()
    ini = _ini(config, name)
    return config.rootpath / Path(ini).expanduser() if ini else None


def _reports(config: pytest.Config) -> tuple[Path, ...]:
    """The files of the command line, which count from where pytest was called, else those of the ini file."""
    asked = config.getoption("gradcheck_report")
    spelled = "--gradcheck-report" if asked else "ini option gradcheck_report"
    here = config.invocation_params.dir
    paths = [here / Path(path).expanduser() for path in asked or _ini(config, "gradcheck_report") or []]
    if not paths or hasattr(config, "workerinput"):
        return tuple(paths)
    from pytest_gradcheck.render.document import check_path

    return tuple(check_path(path, spelled) for path in dict.fromkeys(paths))


def _ini(config: pytest.Config, name: str) -> Any:
    """The ini value, or None; pytest's own message for a bad value does not say which option it belongs to."""
    try:
        value = config.getini(name)
    except (TypeError, ValueError, pytest.UsageError) as error:  # which of them depends on the pytest
        raise UsageProblem(f"ini option {name}: {error}") from None
    return None if value in ("", []) else value


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--gradcheck-{name}" if value else f"--no-gradcheck-{name}"
    return f"--gradcheck-{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
