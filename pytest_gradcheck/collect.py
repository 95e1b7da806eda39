"""Finding what is marked with gradcheck: test functions, and layers and Functions that carry the mark themselves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck import marks
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.marker import Marker, accepts_no_init, check_constructor, read
from pytest_gradcheck.options import KEY

MARK = "gradcheck"
#: Fixtures whose tests run once per device that was asked for.
PER_DEVICE = frozenset({"gradcheck", "gradcheck_device", "smoke_train", "fashion_mnist", "gradient_flow"})
#: Indirect parameter that tells the items of one function with several marks apart.
WHICH = "_gradcheck_mark"


class LayerItem(pytest.Function):
    """A layer or Function class that carries the mark: an item without a test function."""

    target: type
    marker: Marker
    device: str | None

    @classmethod
    def of(cls, collector: Any, name: str, target: type, marker: Marker, device: str | None) -> LayerItem:
        """The item of one mark on a class, for one device."""

        def layer() -> None:
            """Stands where a test function would, and carries the class's other marks."""

        layer.pytestmark = list(_all_marks(target))  # type: ignore[attr-defined]
        item: LayerItem = cls.from_parent(collector, name=name, callobj=layer)
        item.target, item.marker, item.device = target, marker, device
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the class stands."""
        try:
            line: int | None = inspect.getsourcelines(self.target)[1] - 1
        except (OSError, TypeError):
            line = None
        return self.path, line, self.name


class LayerModule(pytest.Module):
    """An ordinary module whose marked layers are collected; nothing else in it is."""

    def collect(self) -> Iterator[pytest.Item]:
        """Items of the marked classes that this module defines."""
        for name, value in list(vars(self.obj).items()):
            yield from layer_items(self, name, value) or ()


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


def layer_items(collector: Any, name: str, target: Any) -> list[LayerItem] | None:
    """The items of a class that carries the mark itself and is defined in the collected module, else None.

    Raises:
        pytest.Collector.CollectError: A mark's arguments are wrong; the text has the node id.
    """
    if not _is_layer(target) or target.__module__ != collector.getparent(pytest.Module).obj.__name__:
        return None
    own = [mark for mark in _all_marks(target) if mark.name == MARK]
    if not own or not _first_name(collector, target):
        return None
    node = f"{collector.nodeid}::{name}"
    markers = [_read(collector, node, mark) for mark in own]
    for marker in markers:
        _check_init(collector, node, target, marker)
    devices: list[str | None] = [*collector.config.stash[KEY].devices] or [None]
    items = []
    for label, marker in zip(labels(markers), markers, strict=True):
        for device in devices:
            parts = [part for part in (label, device if len(devices) > 1 else "") if part]
            full = f"{name}[{'-'.join(parts)}]" if parts else name
            items.append(LayerItem.of(collector, full, target, marker, device))
    return items


def check_marks(collector: Any, name: str, target: Any) -> None:
    """Validates the marks of a test function or test class, and turns production marks into pytest's.

    Raises:
        pytest.Collector.CollectError: A mark's arguments are wrong; the text has the node id.
    """
    if inspect.isfunction(target):
        if not collector.istestfunction(target, name):
            return
        for mark in vars(target).pop(marks.ATTRIBUTE, ()):
            pytest.mark.gradcheck(*mark.args, **mark.kwargs)(target)
    elif not (inspect.isclass(target) and collector.istestclass(target, name)):
        return
    for mark in _pytest_marks(target):
        if mark.name == MARK:
            _read(collector, f"{collector.nodeid}::{name}", mark)


def labels(markers: list[Marker]) -> list[str]:
    """Ids for the marks of one thing: none for a single mark, else its shapes, numbered where they repeat."""
    if len(markers) == 1:
        return [""]
    words = [marker.label() for marker in markers]
    return [word if words.count(word) == 1 else f"{word}-{i}" for i, word in enumerate(words)]


def generate(metafunc: pytest.Metafunc) -> None:
    """Makes one item per mark and per device of a test function."""
    own = [mark for mark in metafunc.definition.own_markers if mark.name == MARK]
    marked = next(metafunc.definition.iter_markers(MARK), None) is not None
    if len(own) > 1:
        metafunc.fixturenames.append(WHICH)
        ids = labels([read(mark.args, mark.kwargs) for mark in own])
        metafunc.parametrize(WHICH, range(len(own)), indirect=True, ids=ids)
    devices = metafunc.config.stash[KEY].devices
    if not devices or not (marked or PER_DEVICE & set(metafunc.fixturenames)):
        return
    if "gradcheck_device" not in metafunc.fixturenames:
        metafunc.fixturenames.append("gradcheck_device")
    if len(devices) > 1:
        metafunc.parametrize("gradcheck_device", devices, indirect=True, ids=list(devices))


def marker_of(item: pytest.Item) -> Marker | None:
    """The marker that an item is checked by: its own, else that of the nearest class or module, else None.

    Raises:
        UsageProblem: The mark's arguments are wrong.
    """
    if isinstance(item, LayerItem):
        return item.marker
    own = [mark for mark in item.own_markers if mark.name == MARK]
    which = getattr(item, "callspec", None)
    if len(own) > 1 and which is not None and WHICH in which.params:
        mark = own[which.params[WHICH]]
    else:
        found = own[-1] if own else item.get_closest_marker(MARK)
        if found is None:
            return None
        mark = found
    return read(mark.args, mark.kwargs)


def skip_unless_enabled(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Skips marked items, with a reason that names the option, where gradient checks are off."""
    if config.stash[KEY].enabled:
        return
    reason = pytest.mark.skip(reason="gradient checks are off; run them with --gradcheck")
    for item in items:
        if item.get_closest_marker(MARK):
            item.add_marker(reason)


def _is_layer(target: Any) -> bool:
    # A class cannot be a layer while torch was never imported, and finding out must not import it.
    torch = sys.modules.get("torch")
    if not isinstance(target, type) or torch is None:
        return False
    return issubclass(target, (torch.nn.Module, torch.autograd.Function))


def _first_name(collector: Any, target: type) -> bool:
    """Whether a class is met for the first time under this collector: an alias makes no second item."""
    seen = collector.stash.setdefault(_SEEN, set())
    if target in seen:
        return False
    seen.add(target)
    return True


_SEEN = pytest.StashKey[set[type]]()


def _all_marks(target: type) -> list[pytest.Mark]:
    """Every mark that stands on the class itself, whichever decorator wrote it; inherited marks do not count."""
    production = [pytest.mark.gradcheck(*m.args, **m.kwargs).mark for m in vars(target).get(marks.ATTRIBUTE, ())]
    return [*_pytest_marks(target), *production]


def _pytest_marks(target: Any) -> list[pytest.Mark]:
    found = vars(target).get("pytestmark", [])
    found = found if isinstance(found, (list, tuple)) else [found]
    return [mark.mark if isinstance(mark, pytest.MarkDecorator) else mark for mark in found]


def _read(collector: Any, node: str, mark: pytest.Mark) -> Marker:
    try:
        return read(mark.args, mark.kwargs)
    except UsageProblem as problem:
        raise collector.CollectError(f"{node}: {problem}") from None


def _check_init(collector: Any, node: str, target: type, marker: Marker) -> None:
    is_module = issubclass(target, sys.modules["torch"].nn.Module)
    try:
        accepts_no_init(marker, target, is_module)
        if is_module:
            check_constructor(marker, target)
    except UsageProblem as problem:
        raise collector.CollectError(f"{node}: {problem}") from None
