"""Reports as files: JSON there and back, written whole or not at all, with clear words for whatever is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck import UsageProblem
from pytest_gradcheck.model.session import Entry, SessionReport
from pytest_gradcheck.render import document
from tests.render.samples import session


def saved(path: Path) -> Path:
    return document.write(path, session())


def test_json_there_and_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "deep" / "er" / "report.json")
    assert document.to_json(document.read(path)) == path.read_text() == document.to_json(session())


def test_keys_of_a_newer_version_are_skipped_wherever_they_stand(tmp_path: Path) -> None:
    data = json.loads(document.to_json(session()))

    def grow(value: Any) -> None:
        if isinstance(value, dict):
            for inner in list(value.values()):
                grow(inner)
            value["a key of tomorrow"] = {"x": 1}
        elif isinstance(value, list):
            for inner in value:
                grow(inner)

    grow(data["entries"])
    data["a key of tomorrow"] = []
    (tmp_path / "new.json").write_text(json.dumps(data))
    assert document.to_json(document.read(tmp_path / "new.json")) == document.to_json(session())


def test_an_entry_of_a_newer_kind_stays_with_a_word_about_it() -> None:
    entry = Entry.from_dict({"id": "a", "kind": "sharpness", "outcome": "passed", "report": {"version": 9}})
    assert entry.report is None and entry.message == "this version cannot show reports of the kind 'sharpness'"
    assert entry.status == "PASSED"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"holds no JSON: "),
        ("\x80", r"holds no JSON: "),
        ("[]", r": this is no report of pytest-gradcheck; write it with --gradcheck-report or --json$"),
        ('{"format": "other"}', r": this is no report of pytest-gradcheck; "),
        (
            '{"format": "pytest-gradcheck report", "version": 2}',
            r": this report has version 2; version 1 is understood; ",
        ),
        ('{"format": "pytest-gradcheck report", "version": 1}', r"is no whole report .*TypeError.*'created'"),
        (
            '{"format": "pytest-gradcheck report", "version": 1, "created": "", "seconds": 1, "entries": '
            '[{"id": "a", "kind": "gradient", "outcome": "passed", "report": {"version": 3}}]}',
            r"this report has version 3; version 1 is understood",
        ),
    ],
)
def test_what_is_no_report(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageProblem, match=re.escape(str(path)) + ".*" + said):
        document.read(path)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"none\.json: No such file or directory$"):
        document.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("report.pdf", r"^--gradcheck-report .*report\.pdf: a report is a file that ends in \.html or \.json$"),
        ("folder.html", r": this is a folder; name a file in it, such as .*folder\.html/report\.html$"),
        ("file/report.html", r"/file is no folder that can be written to$"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageProblem, match=said):
        document.check_path(tmp_path / name, "--gradcheck-report")
    fine = tmp_path / "new" / "folder" / "report.HTML"
    assert document.check_path(fine, "--gradcheck-report") == fine and not fine.parent.exists()


def test_a_write_that_breaks_off_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        document.replace(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old" and [each.name for each in tmp_path.iterdir()] == ["report.json"]
    document.replace(path, "new")
    assert path.read_text() == "new"


def test_a_report_is_a_file_like_any_other(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert document.replace(tmp_path / "a.json", "{}").stat().st_mode == plain.stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "report.json").symlink_to(tmp_path / "store" / "real.json")
    document.replace(tmp_path / "report.json", "{}")
    assert (tmp_path / "report.json").is_symlink() and (tmp_path / "store" / "real.json").read_text() == "{}"


@pytest.mark.parametrize("lacking", ["jinja2", "matplotlib"])
def test_without_the_extra_the_json_is_written_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == lacking else object())
    assert document.missing() == lacking
    assert saved(tmp_path / "report.html") == tmp_path / "report.json"
    assert isinstance(document.read(tmp_path / "report.json"), SessionReport)
    assert not (tmp_path / "report.html").exists()
