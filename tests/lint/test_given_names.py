"""Which names a project gives to objects from outside, as GRD708 asks before it calls one undefined."""

from __future__ import annotations

from pathlib import Path

import gradlint.given_names
import pytest
from gradlint.given_names import GivenNames


def gives(top: Path, name: str = "temp", besides: str = "") -> bool:
    return GivenNames(str(top)).has(name, besides)


def given_in(path: Path, text: str = "model.temp = 1\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("model.temp = 1", True),
        ("model.temp : float = 1", True),
        ("self.net.temp=1", True),
        ("setattr(model, 'temp', 1)", True),
        ('net.register_buffer(\n    "temp", x)', True),
        ("self.temp = 1", False),
        ("model.temp == 1", False),
        ("model.temperature = 1", False),
        ("temp = 1", False),
        ("x = model.temp", False),
        ("# model.temp = 1", False),
        ('"""model.temp = 1"""', False),
        ("options = {'temp': 1}", False),
    ],
)
def test_a_name_is_given_by_an_assignment_to_another_object_or_by_its_text(
    tmp_path: Path, code: str, given: bool
) -> None:
    given_in(tmp_path / "pkg" / "other.py", f"{code}\n")
    assert gives(tmp_path) is given


@pytest.mark.parametrize(
    ("file", "text"),
    [("a.ipynb", '{"source": ["net.temp = 2\\n"]}'), ("a.ipynb", '["setattr(net, \\"temp\\", 2)"]'), ("a.md", "")],
)
def test_notebooks_and_pages_give_names_too(tmp_path: Path, file: str, text: str) -> None:
    given_in(tmp_path / file, text or "```python\nnet.temp = 2\n```\n")
    assert gives(tmp_path)


def test_the_file_that_asks_is_left_out(tmp_path: Path) -> None:
    """What stands in it is the rule's own business, and it may be another version than the one on disk."""
    own = given_in(tmp_path / "net.py")
    assert not gives(tmp_path, besides=own)
    given_in(tmp_path / "run.py")
    assert gives(tmp_path, besides=own)


@pytest.mark.parametrize("folder", [".hidden", "__pycache__", "node_modules"])
def test_what_is_no_part_of_the_project_gives_nothing(tmp_path: Path, folder: str) -> None:
    given_in(tmp_path / folder / "other.py")
    assert not gives(tmp_path)


def test_an_environment_gives_nothing(tmp_path: Path) -> None:
    given_in(tmp_path / "env" / "lib" / "other.py")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert not gives(tmp_path)


def test_deep_folders_of_data_are_not_walked(tmp_path: Path) -> None:
    given_in(tmp_path / "data" / "train" / "near.py")
    given_in(tmp_path / "data" / "train" / "a" / "b" / "c" / "d" / "far.py", "model.deep = 1\n")
    assert gives(tmp_path)
    assert not gives(tmp_path, "deep")


def test_in_too_many_files_anything_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradlint.given_names, "_MOST_FILES", 2)
    for index in range(3):
        given_in(tmp_path / f"{index}.py", "x = 1\n")
    assert gives(tmp_path)
