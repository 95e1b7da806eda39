"""Finding what is marked with gradcheck: test functions, and layers, Functions and functions that are the subject."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from pytest_gradcheck import marks
from pytest_gradcheck.bad_marks import BadMark, Refused, refusal
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.failures import line_of
from pytest_gradcheck.marker import Marker, accepts_no_init, check_call, check_constructor, read
from pytest_gradcheck.options import KEY

MARK = "gradcheck"
#: Fixtures whose tests run once per device that was asked for.
PER_DEVICE = frozenset({"gradcheck", "gradcheck_device", "smoke_train", "fashion_mnist", "gradient_flow"})
#: What stands for a method in a class.
_METHODS = (FunctionType, staticmethod, classmethod, property)
#: Indirect parameter that tells the items of one function with several marks apart.
WHICH = "_gradcheck_mark"


class LayerItem(pytest.Function):
    """A layer, Function or plain function that carries the mark: an item without a test function."""

    target: Any
    marker: Marker
    device: str | None

    @classmethod
    def of(cls, collector: Any, name: str, target: Any, marker: Marker, device: str | None) -> LayerItem:
        """The item of one mark, for one device."""

        def layer() -> None:
            """Stands where a test function would, and carries the other marks."""

        layer.pytestmark = list(_all_marks(target))  # type: ignore[attr-defined]
        item: LayerItem = cls.from_parent(collector, name=name, callobj=layer)
        item.target, item.marker, item.device = target, marker, device
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the layer stands."""
        line = line_of(self.target)
        # The terminal turns the dots at the end of a node id into "::", which would name no item to rerun.
        return self.path, None if line is None else line - 1, f"layer {self.name}" if "." in self.name else self.name


class LayerModule(pytest.Module):
    """An ordinary module whose marked layers are collected; nothing else in it is."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Items of what this module defines and marks."""
        for name, value in list(vars(self.obj).items()):
            yield from layer_items(self, name, value) or ()
            yield from nested_items(self, name, value)


def collect_file(file_path: Path, parent: pytest.Collector) -> LayerModule | None:
    """A collector for an ordinary module that mentions the mark; others are not imported."""
    options = parent.config.stash[KEY]
    if not options.modules or file_path.suffix != ".py" or file_path.name in {"conftest.py", "setup.py", "__main__.py"}:
        return None
    test_file = any(file_path.match(pattern) for pattern in parent.config.getini("python_files"))
    if test_file or parent.session.isinitpath(file_path):
        return None  # pytest collects it, and the marked classes with it
    if MARK.encode() not in file_path.read_bytes():
        return None
    module: LayerModule = LayerModule.from_parent(parent, path=file_path)
    return module


def layer_items(collector: Any, name: str, target: Any) -> list[LayerItem] | list[Refused] | None:
    """The items of a class or function that carries the mark itself and is defined in the collected module, else None.

    A marked function that is no test by its name is itself the subject. Bad arguments of a mark are an item's error.
    """
    a_function = inspect.isfunction(target) and not collector.istestfunction(target, name)
    if not (a_function or _is_layer(target)) or not _defined_in(collector, target):
        return None
    own = _own(_all_marks(target))
    if not own or not _first_name(collector, name, target):
        return None
    try:
        markers = [_read_of_layer(target, mark) for mark in own]
    except UsageProblem as problem:
        return _refused(collector, name, target, problem)
    devices: list[str | None] = [*collector.config.stash[KEY].devices] or [None]
    items = []
    for label, marker in zip(labels(markers), markers, strict=True):
        for device in devices:
            parts = [part for part in (label, device if len(devices) > 1 else "") if part]
            full = f"{name}[{'-'.join(parts)}]" if parts else name
            items.append(LayerItem.of(collector, full, target, marker, device))
    return items


def nested_items(collector: Any, name: str, target: Any) -> list[LayerItem | Refused]:
    """The items of marked classes inside of a class that pytest does not look into; a marked method is refused."""
    if not inspect.isclass(target) or not _defined_in(collector, target):
        return []
    if collector.istestclass(target, name) and not isinstance(collector, LayerModule):
        return []
    found: list[LayerItem | Refused] = []
    for inner, value in list(vars(target).items()):
        full = f"{name}.{inner}"
        if inspect.isclass(value) and value.__qualname__ == f"{target.__qualname__}.{inner}":
            found += layer_items(collector, full, value) or []
            found += nested_items(collector, full, value)
        elif isinstance(value, _METHODS) and any(_marks_method(target, part) for part in _parts(value)):
            said = f"gradcheck marks a method, which needs an object to be called on: mark the class {target.__name__}"
            if isinstance(value, staticmethod):
                said = f"gradcheck marks a static method: mark a function of the module, or the class {target.__name__}"
            problem = UsageProblem(f"{said} instead")
            found += _refused(collector, full, _parts(value)[-1], problem)
    return found


def _parts(method: Any) -> list[Any]:
    """An attribute of a class, and the function behind it: either may carry a mark. Those without attributes cannot."""
    behind = method.fget if isinstance(method, property) else getattr(method, "__func__", method)
    return [part for part in (method, behind) if hasattr(part, "__dict__")]


def _marks_method(target: type, part: Any) -> bool:
    """Whether a mark on a method is lost: pytest's own may wait on a mixin for the test class that inherits it."""
    return marks.ATTRIBUTE in vars(part) or (_is_layer(target) and bool(_own(_pytest_marks(part))))


def check_marks(collector: Any, name: str, target: Any) -> None:
    """Turns production marks on a test function or class into pytest's, and validates those of the class.

    Those of a function are validated by `generate`, which knows the marks of its module and of its parameters too.

    Raises:
        BadMark: A mark's arguments are wrong; the text has the node id.
    """
    a_class = inspect.isclass(target) and collector.istestclass(target, name)
    if not a_class and not (inspect.isfunction(target) and collector.istestfunction(target, name)):
        return
    if marks.ATTRIBUTE in vars(target):
        for mark in vars(target)[marks.ATTRIBUTE]:
            pytest.mark.gradcheck(*mark.args, **mark.kwargs)(target)
        delattr(target, marks.ATTRIBUTE)
    try:
        _ = [read(mark.args, mark.kwargs) for mark in _own(_pytest_marks(target)) if a_class]
    except UsageProblem as problem:
        raise BadMark(f"{collector.nodeid}::{name}: {problem}") from None


def labels(markers: list[Marker]) -> list[str]:
    """Ids for the marks of one thing: none for a single mark, else its shapes, numbered where they repeat."""
    if len(markers) == 1:
        return [""]
    words = [marker.label() for marker in markers]
    return [word if words.count(word) == 1 else f"{word}-{i}" for i, word in enumerate(words)]


def generate(metafunc: pytest.Metafunc) -> None:
    """Makes one item per mark and per device of a test function; knows the marks of the parameters made before.

    Raises:
        pytest.Collector.CollectError: A mark's arguments are wrong; the text has the node id.
    """
    markers = [_read_of(metafunc.definition, mark) for mark in _nearest(metafunc.definition)]
    of_parameters = [_read_of(metafunc.definition, mark) for call in metafunc._calls for mark in _own(call.marks)]
    if len(markers) > 1:
        metafunc.fixturenames.append(WHICH)
        metafunc.parametrize(WHICH, range(len(markers)), indirect=True, ids=labels(markers))
    devices = metafunc.config.stash[KEY].devices
    if len(devices) > 1 and (markers or of_parameters or PER_DEVICE & set(metafunc.fixturenames)):
        if "gradcheck_device" not in metafunc.fixturenames:
            metafunc.fixturenames.append("gradcheck_device")
        metafunc.parametrize("gradcheck_device", devices, indirect=True, ids=list(devices))


def marker_of(item: pytest.Item) -> Marker | None:
    """The marker that an item is checked by: its parameter's, its own, that of the nearest class or module, else None.

    Raises:
        UsageProblem: The mark's arguments are wrong.
    """
    if isinstance(item, LayerItem):
        return item.marker
    call = getattr(item, "callspec", None)
    found = (_own(call.marks) if call else []) or _nearest(item)
    if not found:
        return None
    which = call.params.get(WHICH, -1) if call else -1
    mark = found[which if which < len(found) else -1]
    return read(mark.args, mark.kwargs)


def device_of(item: pytest.Item) -> str | None:
    """The device that an item is asked to run on, or None where none was asked for."""
    if isinstance(item, LayerItem):
        return item.device
    devices = item.config.stash[KEY].devices
    call = getattr(item, "callspec", None)
    device: str | None = call.params.get("gradcheck_device") if call else None
    return device or (devices[0] if devices else None)


def skip_unless_enabled(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Skips marked items, with a reason that names the option, where gradient checks are off."""
    if config.stash[KEY].enabled:
        return
    reason = pytest.mark.skip(reason="gradient checks are off; run them with --gradcheck")
    for item in items:
        if item.get_closest_marker(MARK):
            item.add_marker(reason)


def _defined_in(collector: Any, target: Any) -> bool:
    """Whether the collected module defines this: what is imported is collected where it stands."""
    module: object = collector.getparent(pytest.Module).obj.__name__
    return bool(target.__module__ == module)


def _is_layer(target: Any) -> bool:
    # A class cannot be a layer while torch was never imported, and finding out must not import it.
    torch: Any = sys.modules.get("torch")
    if not isinstance(target, type) or torch is None:
        return False
    return issubclass(target, (torch.nn.Module, torch.autograd.Function))


def _first_name(collector: Any, name: str, target: Any) -> bool:
    """Whether something is met under its first name in this collector: an alias makes no second item."""
    names: dict[Any, str] = collector.stash.setdefault(_NAMES, {})
    return names.setdefault(target, name) == name


_NAMES = pytest.StashKey[dict[Any, str]]()


def _all_marks(target: Any) -> list[pytest.Mark]:
    """Every mark that stands on the thing itself, whichever decorator wrote it; inherited marks do not count."""
    production = [pytest.mark.gradcheck(*m.args, **m.kwargs).mark for m in vars(target).get(marks.ATTRIBUTE, ())]
    return [*_pytest_marks(target), *production]


def _pytest_marks(target: Any) -> list[pytest.Mark]:
    found = vars(target).get("pytestmark", [])
    found = found if isinstance(found, (list, tuple)) else [found]
    return [mark.mark if isinstance(mark, pytest.MarkDecorator) else mark for mark in found]


def _own(found: Iterable[pytest.Mark]) -> list[pytest.Mark]:
    """The gradcheck marks among others."""
    return [mark for mark in found if mark.name == MARK]


def _nearest(item: pytest.Item) -> list[pytest.Mark]:
    """The gradcheck marks of the nearest thing that has any: the test itself, its class, its module."""
    for node in reversed(item.listchain()):
        # A class node's own markers hold those of its bases too; the most derived class is the nearer one.
        owners = map(_pytest_marks, node.obj.__mro__) if isinstance(node, pytest.Class) else [node.own_markers]
        for found in map(_own, owners):
            if found:
                return found
    return []


def _read_of(test: pytest.Item, mark: pytest.Mark) -> Marker:
    try:
        return read(mark.args, mark.kwargs)
    except UsageProblem as problem:
        raise refusal(test, mark, problem) from None


def _read_of_layer(target: Any, mark: pytest.Mark) -> Marker:
    marker = read(mark.args, mark.kwargs)
    is_module = isinstance(target, type) and issubclass(target, sys.modules["torch"].nn.Module)
    accepts_no_init(marker, target, is_module)
    if not isinstance(target, type):
        check_call(marker, target)
    if is_module:
        check_constructor(marker, target)
    return marker


def _refused(collector: Any, name: str, target: Any, problem: UsageProblem) -> list[Refused]:
    return Refused.of(collector, name, target, BadMark(f"{collector.nodeid}::{name}: {problem}"))
