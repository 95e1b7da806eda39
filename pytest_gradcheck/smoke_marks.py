"""The `smoke_train` marker: on a test that returns a model, or on a model's class. Needs neither torch nor numpy."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from pytest_gradcheck.bad_marks import refusal
from pytest_gradcheck.errors import GradcheckError, UsageProblem
from pytest_gradcheck.failures import located
from pytest_gradcheck.marker import Marker, check_constructor
from pytest_gradcheck.settings import suggestion

MARK = "smoke_train"
HELP = (
    "smoke_train(batches=None, *, init=(), init_kwargs=None, batch_size=32, size=28, split='train', scale=True, "
    "**options): train the model that this test returns, or this nn.Module class, for a few steps; batches default to "
    "Fashion-MNIST, options are those of train_smoke"
)
#: What the marker takes besides the batches: for the class, for the data, and for the run.
BUILD = ("init", "init_kwargs")
DATA = ("batch_size", "size", "split", "scale", "shuffle")
RUN = (
    "loss", "optimizer", "lr", "steps", "device", "clip", "amp", "seed", "seeds", "remedies", "overfit",
    "max_overhead", "bundle", "limits",
)  # fmt: skip
_FIXTURES = ("smoke_train", "fashion_mnist")


def add_options(parser: pytest.Parser) -> None:
    """Registers the option and its ini twin."""
    said = "try every remedy on every failing smoke run, whatever it asks for and however long it takes"
    group = parser.getgroup("gradcheck")
    group.addoption("--smoke-remedies", action="store_true", dest="smoke_remedies", default=None, help=said)
    parser.addini("smoke_remedies", said, type="bool", default=None)


def forced_remedies(config: pytest.Config) -> dict[str, str]:
    """The option that `--smoke-remedies` puts before a call's own."""
    return {"remedies": "all"} if config.getoption("smoke_remedies") or config.getini("smoke_remedies") else {}


class SmokeMarks:
    """The hooks of the marker, registered by the plugin."""

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> Generator[None, Any, Any]:
        """Makes a test of a marked class of the collected module, beside what else it may be."""
        made = yield
        marks = _own_marks(obj)
        if not marks or not _is_model(obj) or obj.__module__ != collector.getparent(pytest.Module).obj.__name__:
            return made
        items = _items(collector, name, _test_of(obj, marks))
        return [*(made if isinstance(made, list) else [made] if made is not None else []), *items]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Validates the mark, and asks for the fixtures that make a marked test run once per device."""
        mark = metafunc.definition.get_closest_marker(MARK)
        if mark is not None:
            try:
                check(mark.args, mark.kwargs)
                target = getattr(metafunc.function, "place_as", None)
                if target is not None:
                    _check_constructor(target, mark.kwargs)
                if metafunc.definition.get_closest_marker("gradcheck"):
                    raise UsageProblem(f"a test takes either a {MARK} mark or a gradcheck mark: write two tests")
            except UsageProblem as problem:
                raise refusal(metafunc.definition, mark, problem) from None
            metafunc.fixturenames.extend(name for name in _FIXTURES if name not in metafunc.fixturenames)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object:
        """Trains what a marked test returns."""
        __tracebackhide__ = True
        mark = pyfuncitem.get_closest_marker(MARK)
        if mark is None or hasattr(pyfuncitem, "target"):
            return None  # the gradient check of a class with both marks carries this one too
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        train(pyfuncitem, mark, pyfuncitem.obj(**arguments))
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Shows the run's text of a marked item instead of a traceback through the plugin."""
        report = yield
        marked = item.get_closest_marker(MARK) is not None
        if marked and report.failed and call.excinfo is not None and call.excinfo.errisinstance(GradcheckError):
            report.longrepr = located(item, call.excinfo)
        return report


def check(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Checks the marker's arguments as far as that goes without torch.

    Raises:
        UsageProblem: An argument is misspelt, given twice or of the wrong kind; the message names it.
    """
    known = ("batches", *BUILD, *DATA, *RUN)
    for name in kwargs:
        if name not in known:
            raise UsageProblem(f"{MARK} has no argument {name!r}{suggestion(name, known)}; it takes {', '.join(known)}")
    if len(args) > 1:
        raise UsageProblem(f"{MARK} takes the batches by position and everything else by name, but got {len(args)}")
    given = [name for name in DATA if name in kwargs]
    if given and (args or "batches" in kwargs):
        raise UsageProblem(f"{MARK}: {given[0]}= is about Fashion-MNIST, but batches are given")
    if not isinstance(kwargs.get("init", ()), (tuple, list)):
        raise UsageProblem(f"{MARK}: init= takes a tuple of constructor arguments, not {kwargs['init']!r}")
    if not isinstance(kwargs.get("init_kwargs") or {}, Mapping):
        raise UsageProblem(f"{MARK}: init_kwargs= takes a dict, not {kwargs['init_kwargs']!r}")


def _check_constructor(target: Any, kwargs: Mapping[str, Any]) -> None:
    """Refuses a model's class that cannot be built with the marker's arguments.

    Raises:
        UsageProblem: They do not fit the signature.
    """
    marker = Marker(init=tuple(kwargs.get("init", ())), init_kwargs=kwargs.get("init_kwargs"))
    try:
        check_constructor(marker, target)
    except UsageProblem as problem:
        raise UsageProblem(f"{MARK}{str(problem).removeprefix('gradcheck')}") from None


def train(item: pytest.Function, mark: pytest.Mark, returned: Any) -> None:
    """Trains the model that a marked test returned: a module, a class or factory of one, or `(model, batches)`.

    Raises:
        TrainingFailure: The run did not pass.
        UsageProblem: The test returned nothing, or batches came from two sides.
    """
    __tracebackhide__ = True
    fixture = item._request.getfixturevalue
    options = {name: value for name, value in mark.kwargs.items() if name in RUN}
    data = {name: value for name, value in mark.kwargs.items() if name in DATA}
    batches = mark.args[0] if mark.args else mark.kwargs.get("batches")
    model: Any
    own: Any
    model, own = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
    if inspect.iscoroutine(model):
        model.close()
        raise UsageProblem(f"{item.name} is an async test: a {MARK} mark takes the model that a plain test returns")
    if model is None:
        raise UsageProblem(f"{item.name} is marked with {MARK} but returned None: return the model or a factory of it")
    if own is not None and (batches is not None or data):
        raise UsageProblem(f"{item.name} returned batches, but its {MARK} mark names data too: give them in one place")
    if _is_model(model):
        _check_constructor(model, mark.kwargs)
    if isinstance(model, type) and (mark.kwargs.get("init") or mark.kwargs.get("init_kwargs")):
        model = functools.partial(model, *mark.kwargs.get("init", ()), **(mark.kwargs.get("init_kwargs") or {}))
    chosen: Any = own if own is not None else batches
    if callable(chosen) and not hasattr(chosen, "__iter__"):
        chosen = chosen()
    if chosen is None:
        chosen = fixture("fashion_mnist")(**data)
    fixture("smoke_train")(model, chosen, **options)


def _items(collector: Any, name: str, test: Callable[[], type]) -> list[pytest.Item]:
    """The items that pytest makes of a test function, which stands in for the class while they are made."""
    standing = getattr(collector.obj, name)
    setattr(collector.obj, name, test)
    try:
        return list(collector._genfunctions(name, test))
    finally:
        setattr(collector.obj, name, standing)


def _test_of(target: type, marks: list[pytest.Mark]) -> Callable[[], type]:
    """A test function that returns the class, and carries its marks and its place."""

    def model() -> type:
        return target

    model.pytestmark = marks  # type: ignore[attr-defined]
    model.__doc__, model.__module__ = target.__doc__, target.__module__
    model.place_as = target  # type: ignore[attr-defined]  # where pytest looks for the line of the item
    return model


def _own_marks(obj: object) -> list[pytest.Mark]:
    """Every pytest mark of a class itself, where one of them is this marker; inherited ones do not count."""
    found = vars(obj).get("pytestmark", []) if isinstance(obj, type) else []
    listed = found if isinstance(found, (list, tuple)) else [found]
    marks = [mark.mark if isinstance(mark, pytest.MarkDecorator) else mark for mark in listed]
    kept = [mark for mark in marks if mark.name != "gradcheck"]
    return kept if any(mark.name == MARK for mark in kept) else []


def _is_model(obj: object) -> bool:
    # A class cannot be a module while torch was never imported, and finding out must not import it.
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(obj, type) and issubclass(obj, torch.nn.Module)
