"""What CI services read: SARIF, GitLab's code quality report and JUnit's XML."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.lint.cli.code import BROKEN, CLEAN, LENET, TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook, prose

SCHEMA = Path(__file__).parents[1] / "data" / "sarif-2.1.0.json"
CODES = "GRD201,GRD212,GRD701,GRD703"
INIT = "from torch.nn import init\n\n\ndef fill(m):\n    init.zeros_(n.bias)\n"


@pytest.fixture
def project(write: Write) -> None:
    write("a b/é%.py", TYPO)
    write("broken.py", BROKEN)
    write("init.py", INIT)
    write("lenet.py", LENET)
    write("n.ipynb", notebook(prose("x"), "import torch", "w = torch.zeros(1)\nw.require_grad = True"))
    write("r.md", f"```python\n{TYPO}```\n")


def sarif(cli: Cli, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(cli(*(arguments or (".",)), "--output-format", "sarif").out))


def validate(log: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(log, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_sarif_is_valid(cli: Cli, project: None) -> None:
    log = sarif(cli, ".", "--select", CODES)
    validate(log)
    assert len(log["runs"][0]["results"]) >= 6
    validate(sarif(cli, ".", "--select", "ALL"))


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("runs", 0, "tool", "driver", "name"),
        ("runs", 0, "tool", "driver", "rules", 0, "id"),
        ("runs", 0, "results", 0, "message", "text"),
        ("runs", 0, "results", 0, "fixes", 0, "artifactChanges", 0, "artifactLocation"),
        ("runs", 0, "results", 0, "fixes", 0, "artifactChanges", 0, "replacements"),
    ],
)
def test_the_schema_sees_what_is_missing_and_what_is_too_much(cli: Cli, project: None, path: tuple[Any, ...]) -> None:
    log = sarif(cli, "a b")
    for is_missing in (True, False):
        broken: Any = copy.deepcopy(log)
        at = broken
        for key in path[:-1]:
            at = at[key]
        at.update(unheard_of=1)
        if is_missing:
            del at["unheard_of"], at[path[-1]]
        with pytest.raises(Exception, match=r"unheard_of|required|non-empty|too short|should") as caught:
            validate(broken)
        assert type(caught.value).__name__ == "ValidationError"


def test_sarif_says_where_which_rule_and_how_to_fix(cli: Cli, project: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("a b")
    log = sarif(cli)
    (run,) = log["runs"]
    (result,) = run["results"]
    artifact = {"uri": "a%20b/%C3%A9%25.py", "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 4, "startColumn": 3, "endLine": 4, "endColumn": 15}
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": artifact, "region": region}}]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"] == artifact
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "requires_grad"}}]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], rule["name"], result["level"]) == ("GRD703", "require-grad-typo", "error")
    assert "## Why is this bad" in rule["help"]["markdown"]
    (element,) = json.loads(cli("--output-format", "json").out)
    assert result["partialFingerprints"] == {"gradlint/v1": element["fingerprint"]}


def test_sarif_names_related_places_and_weakens_info(cli: Cli, project: None) -> None:
    (result,) = sarif(cli, "init.py", "--select", "GRD701")["runs"][0]["results"]
    (related,) = result["relatedLocations"]
    assert related["message"]["text"] == "the parameter that stands for the module"
    assert related["physicalLocation"]["region"]["startLine"] == 4
    results = sarif(cli, "lenet.py", "--select", CODES)["runs"][0]["results"]
    assert {result["level"] for result in results} == {"note"}


def test_places_in_notebooks_are_lines_of_the_file(cli: Cli, project: None) -> None:
    text = Path("n.ipynb").read_text(encoding="utf-8").splitlines()
    line = next(number for number, each in enumerate(text, 1) if "w.require_grad" in each)
    (result,) = sarif(cli, "n.ipynb")["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == line
    assert result["locations"][0]["logicalLocations"] == [{"name": "cell 3", "kind": "cell"}]
    assert "fixes" not in result, "columns of the code are none of the file"
    (issue,) = json.loads(cli("n.ipynb", "--output-format", "gitlab").out)
    assert issue["location"]["positions"]["begin"] == {"line": line, "column": 1}


def test_gitlab_is_the_code_quality_report(cli: Cli, project: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("a b")
    (issue,) = json.loads(cli("--output-format", "gitlab").out)
    assert len(issue.pop("fingerprint")) == 64
    assert issue.pop("description").startswith("GRD703 require-grad-typo: `require_grad` is")
    begin, end = {"line": 4, "column": 3}, {"line": 4, "column": 15}
    location = {"path": "a b/é%.py", "positions": {"begin": begin, "end": end}}
    assert issue == {"check_name": "GRD703", "severity": "major", "location": location}


def test_gitlab_fingerprints_are_unique_across_projects(cli: Cli, write: Write) -> None:
    for project in ("one", "two"):
        write(f"{project}/pyproject.toml", "[project]\nname='x'\n")
        write(f"{project}/a.py", TYPO + "w.require_grad = True\n")
    found = json.loads(cli(".", "--output-format", "gitlab").out)
    assert len({issue["fingerprint"] for issue in found}) == 4


def test_junit_is_a_suite_a_file_and_a_failed_test_a_violation(cli: Cli, project: None) -> None:
    root = ET.fromstring(cli(".", "--output-format", "junit", "--select", "GRD701,GRD703").out.encode())
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "5", "5")
    suite = next(suite for suite in root if suite.get("name") == "a b/é%.py")
    (case,) = suite
    assert case.attrib == {
        "name": "GRD703 require-grad-typo at 4:3",
        "classname": "a b/é%.py",
        "file": "a b/é%.py",
        "line": "4",
    }
    (failure,) = case
    assert failure.get("type") == "error"
    assert (failure.text or "").startswith("a b/é%.py:4:3: GRD703 `require_grad` is")
    assert "at cell 3:2:3" in next(suite for suite in root if suite.get("name") == "n.ipynb")[0].attrib["name"]


def test_junit_stays_xml_whatever_the_names_are(cli: Cli, write: Write) -> None:
    write('a\x01<&"\ufffe.py', TYPO)
    (suite,) = ET.fromstring(cli(".", "--output-format", "junit").out.encode())
    assert suite.get("name") == 'a\\x01<&"\ufffd.py'


def test_nothing_found_is_an_empty_report(cli: Cli, write: Write) -> None:
    write("a.py", CLEAN)
    log = sarif(cli)
    validate(log)
    assert log["runs"][0]["results"] == []
    assert cli(".", "--output-format", "gitlab").out == "[]\n"
    root = ET.fromstring(cli(".", "--output-format", "junit").out.encode())
    assert (root.get("tests"), root.get("failures"), root[0][0].get("name")) == ("1", "0", "no problems")


@pytest.mark.parametrize("name", ["full", "concise", "json", "sarif", "github", "gitlab", "junit"])
def test_every_format_goes_to_a_file(cli: Cli, project: None, name: str) -> None:
    printed = cli(".", "--output-format", name).out
    found = cli(".", "--output-format", name, "--output-file", "../report")
    assert (found.status, found.out) == (1, "")
    assert Path("../report").read_text(encoding="utf-8") == printed
