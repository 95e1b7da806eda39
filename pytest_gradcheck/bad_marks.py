"""A mark that cannot be read is an error of collection at what it stands on; the rest of the file is collected."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.failures import line_of


class BadMark(pytest.Collector.CollectError):
    """A mark of one test, layer or class is wrong; the text has the node id."""


class Refused(pytest.Collector):
    """Stands in the collection where the items of a bad mark would, and fails there: its siblings are collected."""

    target: Any
    problem: BadMark

    @classmethod
    def of(cls, collector: Any, name: str, target: Any, problem: BadMark) -> list[Refused]:
        """What takes the place of a thing of that name in a module or class.

        Its items may be asked for by `name[...]`, but which there would be is not known: each that is asked for fails.
        """
        nodes: list[Refused] = [cls.from_parent(collector, name=each) for each in _asked(collector, name) or [name]]
        for node in nodes:
            node.target, node.problem = target, problem
        return nodes

    def collect(self) -> Iterator[pytest.Item]:
        """Fails with the mark's error.

        Raises:
            BadMark: Always.
        """
        raise self.problem

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The error, and the line of what carries the mark; pytest-xdist knows two workers' errors by equal strings."""
        del style
        line = line_of(self.target)
        place = os.path.relpath(self.path, self.config.invocation_params.dir)
        return str(excinfo.value) + (f"\n\n{place}:{line}: {UsageProblem.__name__}" if line is not None else "")


class BadMarks:
    """The hook that puts `Refused` in the place of a test whose mark is bad."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> Generator[None, Any, Any]:
        """Catches what is raised for one name of a module or class."""
        try:
            return (yield)
        except BadMark as problem:
            return Refused.of(collector, name, obj, problem)


def _asked(collector: pytest.Collector, name: str) -> list[str]:
    """The names of parametrized items of a thing, by which the command line asks for them."""
    above = collector.listchain()
    classes = [node.name for node in above if isinstance(node, pytest.Class)]
    found = []
    for argument in collector.config.args:
        node_id, bracket, parameters = str(argument).partition("[")
        path, *names = node_id.split("::")
        if bracket and names == [*classes, name] and _is_file(collector, path):
            found.append(f"{name}[{parameters}")
    return list(dict.fromkeys(found))


def _is_file(collector: pytest.Collector, path: str) -> bool:
    """Whether a path of the command line, or with --pyargs a module's name, is the file that is collected."""
    if collector.config.getoption("pyargs") and path.rpartition(".")[2] == collector.path.stem:
        return True
    return (collector.config.invocation_params.dir / path).resolve() == collector.path.resolve()


def refusal(test: pytest.Item, mark: pytest.Mark, problem: UsageProblem) -> pytest.Collector.CollectError:
    """The error of a bad mark of a test: of the test alone, or of the class or module whose mark it is."""
    above = [other for node in test.listchain()[:-1] for other in node.own_markers]
    inherited = any(mark is other for other in above)
    # Raised out of the collection of the class or module it is said once, not for each of their tests.
    return (pytest.Collector.CollectError if inherited else BadMark)(f"{test.nodeid}: {problem}")
