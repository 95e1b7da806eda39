"""Names that files of a project hand on to each other lead to where a thing is defined, and always to an end."""

from __future__ import annotations

import pytest
from gradlint.semantics.file_facts import FileFacts
from gradlint.semantics.project import ProjectIndex


def index(**files: dict[str, str]) -> ProjectIndex:
    return ProjectIndex.of(FileFacts(module.replace("__", "."), imports) for module, imports in files.items())


def test_a_name_is_followed_through_several_files() -> None:
    project = index(pkg={"net": "pkg.a.net"}, pkg__a={"net": "pkg.b.net"}, pkg__b={})
    assert project.resolve("pkg.net") == "pkg.b.net"


@pytest.mark.parametrize("name", ["pkg.roi.roi", "pkg.roi"])
def test_a_function_with_the_name_of_its_module_ends(name: str) -> None:
    """While `pkg/roi.py` is linted, it is no file of its own index."""
    assert index(pkg={"roi": "pkg.roi.roi"}).resolve(name) == name


def test_files_that_import_from_each_other_define_nothing() -> None:
    circle = index(a={"x": "b.x"}, b={"x": "a.x"})
    assert circle.resolve("a.x") == "a.x"
    growing = index(a={"x": "b.x.y"}, b={"x": "a.x.y"})
    assert growing.resolve("a.x") == "a.x"


class _Recorded(dict[str, FileFacts]):
    """Facts that remember which of them were read."""

    def __init__(self, *facts: FileFacts) -> None:
        super().__init__({one.module: one for one in facts})
        self.read: list[str] = []

    def __getitem__(self, module: str) -> FileFacts:
        self.read.append(module)
        return super().__getitem__(module)


def test_what_a_file_defines_itself_is_not_looked_for_in_the_packages_above() -> None:
    """`pkg/__init__.py` imports everything of a hundred files: none of them is read for a name of one's own."""
    files = _Recorded(FileFacts("pkg", star_imports=("pkg.other",)), FileFacts("pkg.other", functions=frozenset("f")))
    project = ProjectIndex(files, home="pkg.net")
    assert project.resolve("pkg.net.make") == "pkg.net.make"
    assert project.find_class("pkg.net.Net") is None
    assert files.read == []
    assert project.resolve("pkg.f") == "pkg.other.f"
    assert ProjectIndex(files, home="pkg").resolve("pkg.other.f") == "pkg.other.f"
