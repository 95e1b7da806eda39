"""Which names a project gives to objects from outside, as GRD708 asks before it calls one undefined."""

from __future__ import annotations

from pathlib import Path

import gradlint.given_names
import pytest
from gradlint.given_names import GivenNames


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("model.temp = 1", True),
        ("model.temp : float = 1", True),
        ("self.net.temp=1", True),
        ("setattr(model, 'temp', 1)", True),
        ('names = ["temp"]', True),
        ("self.temp = 1", False),
        ("model.temp == 1", False),
        ("model.temperature = 1", False),
        ("temp = 1", False),
        ("x = model.temp", False),
    ],
)
def test_a_name_is_given_by_an_assignment_to_another_object_or_by_a_string(
    tmp_path: Path, code: str, given: bool
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "other.py").write_text(f"{code}\n")
    assert ("temp" in GivenNames(str(tmp_path))) is given


@pytest.mark.parametrize("folder", [".hidden", "__pycache__", "node_modules"])
def test_what_is_no_part_of_the_project_gives_nothing(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "other.py").write_text("model.temp = 1\n")
    assert "temp" not in GivenNames(str(tmp_path))


def test_an_environment_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "lib" / "other.py").write_text("model.temp = 1\n")
    assert "temp" not in GivenNames(str(tmp_path))


def test_in_too_many_files_anything_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradlint.given_names, "_MOST_FILES", 2)
    for index in range(4):
        (tmp_path / str(index)).mkdir()
        (tmp_path / str(index) / "a.py").touch()
    assert "temp" in GivenNames(str(tmp_path))
