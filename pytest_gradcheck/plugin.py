"""The pytest plugin: hooks and fixtures only. Nothing here imports torch or numpy until a check really runs."""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gradcheck import bad_marks, collect, failures, github, hooks, launch, options, smoke_marks, summary, workers
from pytest_gradcheck.errors import GradcheckError, GradcheckWarning, UsageProblem
from pytest_gradcheck.lazy import load
from pytest_gradcheck.options import KEY
from pytest_gradcheck.training_fixtures import configured_root, fashion_mnist, gradient_flow, smoke_train

if TYPE_CHECKING:
    from pytest_gradcheck.checking import Checker

#: Fixtures that pytest finds in this module's namespace.
__all__ = ["fashion_mnist", "gradcheck", "gradcheck_device", "gradient_flow", "smoke_train"]

MARK_HELP = (
    "gradcheck(*inputs, init=(), init_kwargs=None, inputs=None, kwargs=None, domain=None, wrt=None, **settings): "
    "check the gradients of the subject that this test returns, or of this layer or Function; runs under --gradcheck"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers the options and their ini twins."""
    options.add(parser)
    smoke_marks.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declares the hooks that others may implement."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and parses the options once."""
    config.addinivalue_line("markers", MARK_HELP)
    config.addinivalue_line("markers", smoke_marks.HELP)
    config.pluginmanager.register(smoke_marks.SmokeMarks(), "gradcheck-smoke")
    config.pluginmanager.register(bad_marks.BadMarks(), "gradcheck-bad-marks")
    config.stash[KEY] = parsed = options.parse(config)
    if parsed.enabled or parsed.records:
        workers.set_up(config)
        workers.divide_threads()
    if parsed.records and launch.rank() == 0:
        from pytest_gradcheck.reporting import Reporter

        config.pluginmanager.register(Reporter(config, parsed.reports, parsed.tensorboard), "gradcheck-report")
    if github.running() and not hasattr(config, "workerinput") and launch.rank() == 0:
        annotator = github.Annotator(config.rootpath, config.invocation_params.dir)
        config.pluginmanager.register(annotator, "gradcheck-github")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Downloads Fashion-MNIST where that is allowed and needed, before pytest-xdist starts its workers."""
    if session.config.stash[KEY].download:
        from pytest_gradcheck.fetching import fetch_fashion_mnist

        fetch_fashion_mnist(session.config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """One line that says how gradients will be checked; none where they are not."""
    parsed = config.stash[KEY]
    if not parsed.enabled:
        return None
    chosen = [" ".join(parsed.spelled()) or "defaults"]
    if parsed.devices and not parsed.asked_devices:
        chosen.append(f"devices {', '.join(parsed.devices)}")
    return f"gradcheck: {', '.join(chosen)}"


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    """One line that says which Fashion-MNIST will be used; none where no test asks for it."""
    if not any("fashion_mnist" in getattr(item, "fixturenames", ()) for item in items):
        return None
    from pytest_gradcheck.data.roots import summary

    return summary(configured_root(config))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects marked layers of ordinary modules, where --gradcheck-modules asks for it."""
    return collect.collect_file(file_path, parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> Any:
    """Makes items of marked layer classes; validates the marks of everything else."""
    items = collect.layer_items(collector, name, obj)
    if items is None:
        collect.check_marks(collector, name, obj)
    nested = collect.nested_items(collector, name, obj)
    return [*(items or ()), *nested] if nested else items


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, Any, Any]:
    """One item per gradcheck mark and per device, after every other parametrization: parameters may carry marks."""
    result = yield
    collect.generate(metafunc)
    return result


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips what is marked where gradient checks are off."""
    collect.skip_unless_enabled(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    """Seeds an item that checks gradients before its fixtures run, and puts the generators back after it."""
    checks = item.get_closest_marker(collect.MARK) or "gradcheck" in getattr(item, "fixturenames", ())
    if not checks or item.get_closest_marker("skip"):
        return (yield)
    try:
        marker = collect.marker_of(item)
    except UsageProblem:
        return (yield)  # the item itself will raise it, where it is reported as its failure
    with _checking().seeded(item, marker):
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuses a mark on a unittest method: unittest drops what it returns, so the check would silently never run."""
    if item.get_closest_marker(collect.MARK) and type(item).__name__ == "TestCaseFunction":
        raise UsageProblem(
            f"{item.name} is a method of a unittest.TestCase, whose return value is dropped: mark a plain function"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Checks what a marked test returns; what it returns is the subject, so pytest has nothing to complain about."""
    __tracebackhide__ = True
    marker = collect.marker_of(pyfuncitem)
    if marker is None:
        return None
    checking = _checking()
    device = _available(collect.device_of(pyfuncitem))
    _available(marker.options.get("device"))  # the mark's own device skips like the command line's
    if isinstance(pyfuncitem, collect.LayerItem):
        subject = load("pytest_gradcheck.subjects.draw", "construct", checking.CHECK)(pyfuncitem.target, marker)
        checking.Checker(pyfuncitem, marker, device, marked=True)(subject)
        return True
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    fixture = pyfuncitem.funcargs.get("gradcheck")
    result = pyfuncitem.obj(**arguments)
    used = isinstance(fixture, checking.Checker) and fixture.calls > 0
    checker = checking.Checker(pyfuncitem, marker, device, marked=True)
    checking.check_returned(pyfuncitem, marker, result, checker, used)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Shows the report of a marked item instead of a traceback through the plugin."""
    report = yield
    if (
        call.excinfo is not None
        and call.excinfo.errisinstance((GradcheckError, GradcheckWarning))  # the latter under -W error
        and item.get_closest_marker(collect.MARK)
    ):
        report.longrepr = failures.located(item, call.excinfo) if report.failed else report.longrepr
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Counts the verdicts, and lists the slowest checks where that was asked for."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    tests = [report for report in reports if isinstance(report, pytest.TestReport)]
    for line in summary.lines(tests, config.stash[KEY].durations):
        terminalreporter.write_line(line)


@pytest.fixture
def gradcheck_device(request: pytest.FixtureRequest) -> str:
    """The device under test: what `--gradcheck-device` asks for, else "cpu". Skips where this machine lacks it."""
    workers.divide_threads()
    asked = request.config.stash[KEY].devices
    return _available(getattr(request, "param", asked[0] if asked else None)) or "cpu"


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Iterator[Checker]:
    """Checks gradients: `gradcheck(subject, *inputs, **options)` returns the report, or raises GradientMismatch."""
    device = request.getfixturevalue("gradcheck_device") if request.config.stash[KEY].devices else None
    yield _checking().Checker(request.node, collect.marker_of(request.node), device)


@pytest.fixture(name=collect.WHICH)
def _which_mark(request: pytest.FixtureRequest) -> int:
    """Tells the items of one function with several marks apart."""
    return int(getattr(request, "param", 0))


def _checking() -> ModuleType:
    """The module that runs checks: loaded by the first one, because the plugin is loaded by every pytest run."""
    return importlib.import_module("pytest_gradcheck.checking")


def _available(device: str | None) -> str | None:
    if device is None:
        return None
    find = load("pytest_gradcheck.subjects.devices", "find", "--gradcheck-device")
    try:
        return str(find(device))
    except UsageProblem as problem:
        pytest.skip(str(problem))
