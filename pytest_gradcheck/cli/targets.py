"""From `package.module:Name` or `path/file.py:Name` to the object; what is misspelt is named, with the nearest word."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.lazy import INSTALL
from pytest_gradcheck.settings import suggestion


def find(target: str) -> Any:
    """The object that a command line names.

    Modules are looked for where `python` would, in the working directory, and in `src/` below it.

    Raises:
        UsageProblem: The module or the name is not there, or importing the module failed; says what was found instead.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageProblem(f"{target!r} names nothing: write package.module:Name, or path/file.py:Name")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [word for word in vars(found) if not word.startswith("_")] if hasattr(found, "__dict__") else []
            own = [word for word in public if getattr(vars(found)[word], "__module__", None) == module.__name__]
            near = suggestion(part, public)
            known = f"; it defines {', '.join(own[:12])}" if own and not near else ""
            raise UsageProblem(f"{place} has no {part!r}{near}{known}")
        found = getattr(found, part)
    return found


def _module(name: str, said: str | None = None) -> ModuleType:
    """The module of that name, which a message calls `said` where the user did."""
    said = said or name
    for folder in (Path.cwd() / "src", Path.cwd()):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _broken(said, error) from error
        parent, _, missing = error.name.rpartition(".")
        raise UsageProblem(
            f"there is no module {error.name!r}{suggestion(missing, _siblings(parent))}; modules are looked for in "
            f"{Path.cwd()}, its src/, and where packages are installed"
        ) from error
    except (Exception, SystemExit) as error:
        raise _broken(said, error) from error


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        others = [str(other) for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UsageProblem(f"there is no file {path}{suggestion(str(path), others)}")
    if (path.parent / "__init__.py").is_file():
        return _of_package(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageProblem(f"{path} cannot be imported")
    sys.path.insert(0, str(path.parent.absolute()))
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[path.stem]
        raise _broken(str(path), error) from error
    return module


def _of_package(path: Path) -> ModuleType:
    """A file of a package, imported by its full name: it may import relatively."""
    names = [] if path.name == "__init__.py" else [path.stem]
    folder = path.absolute().parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = _module(".".join(names), str(path))
    if module.__file__ is None or not path.samefile(module.__file__):
        raise UsageProblem(
            f"{path} is the module {module.__name__}, but that name imports {module.__file__}: run from another folder"
        )
    return module


def _siblings(parent: str) -> list[str]:
    """Names of the modules beside one that is missing."""
    package = sys.modules.get(parent) if parent else None
    folders = list(getattr(package, "__path__", [])) if parent else [str(Path.cwd()), str(Path.cwd() / "src")]
    return [module.name for module in pkgutil.iter_modules(folders)]


def _broken(name: str, error: BaseException) -> UsageProblem:
    if isinstance(error, ModuleNotFoundError) and error.name in {"torch", "numpy"}:
        return UsageProblem(f"{name} needs {error.name}, which is not installed: {INSTALL}")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return UsageProblem(f"importing {name} raised {type(error).__name__}: {error} ({last.filename}:{last.lineno})")
