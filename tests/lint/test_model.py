"""The plain data: JSON as the contract has it, both ways; order; what selection asks; no parser behind it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from gradlint.model import Edit, Fix, Level, Position, Range, Related, RuleInfo, Safety, Violation

PLACE = Range(Position(3, 5), Position(3, 9))
VIOLATION = Violation(
    "GRD703",
    "require-grad-typo",
    Level.ERROR,
    "message",
    "a/b.py",
    PLACE,
    Fix(Safety.SAFE, (Edit(PLACE, "x"),)),
    (Related("the loss", "a/c.py", PLACE),),
    "f00",
    (3, 4),
)
WHERE = {"line": 3, "column": 5, "end_line": 3, "end_column": 9}


def test_the_json_element_is_the_contract() -> None:
    assert VIOLATION.to_dict() == {
        "code": "GRD703",
        "name": "require-grad-typo",
        "level": "error",
        "message": "message",
        "path": "a/b.py",
        **WHERE,
        "fix": {"safety": "safe", "edits": [{**WHERE, "content": "x"}]},
        "related": [{"message": "the loss", "path": "a/c.py", **WHERE}],
        "fingerprint": "f00",
    }
    assert replace(VIOLATION, fix=None).to_dict()["fix"] is None


@pytest.mark.parametrize("violation", [VIOLATION, replace(VIOLATION, fix=None, related=())])
def test_json_and_pickle_bring_it_back(violation: Violation) -> None:
    back = Violation.from_dict(json.loads(json.dumps(violation.to_dict())))
    assert back == replace(violation, statement=(0, 0))
    assert pickle.loads(pickle.dumps(violation)) == violation


def test_the_order_is_path_line_column_code() -> None:
    earlier = Range(Position(2, 9), Position(4, 1))
    ordered = [
        replace(VIOLATION, path="a/a.py"),
        replace(VIOLATION, range=earlier),
        replace(VIOLATION, code="GRD101"),
        VIOLATION,
    ]
    backwards = ordered[::-1]
    assert sorted(backwards, key=lambda each: each.sort_key) == ordered


def test_the_default_set_is_errors_and_warnings_that_no_measurement_moved_out() -> None:
    levels = [RuleInfo("GRD101", "x", level).default for level in Level]
    assert levels == [True, True, False, False]
    assert not RuleInfo("GRD101", "x", Level.ERROR, off=True).default


def test_a_rule_may_fire_only_where_torch_and_a_trigger_are() -> None:
    info = RuleInfo("GRD101", "x", Level.ERROR, triggers=("init", "apply"))
    assert info.may_fire(b"torch apply")
    assert not info.may_fire(b"torch")
    assert not info.may_fire(b"init")
    assert RuleInfo("GRD101", "x", Level.ERROR).may_fire(b"torch")


def test_model_registry_source_and_project_import_neither_libcst_nor_torch() -> None:
    modules = "gradlint.model, gradlint.rules, gradlint.source, gradlint.settings, gradlint.semantics.project"
    heavy = "{'libcst', 'torch', 'numpy', 'pytest'}"
    code = f"import sys, {modules}; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_engine_imports_neither_torch_nor_numpy_nor_pytest() -> None:
    heavy = "{'torch', 'numpy', 'pytest'}"
    code = (
        "import sys; from gradlint.engine import lint_bytes; from gradlint.loader import load;"
        "from gradlint.rules import RULES; from gradlint.settings import Settings;"
        "assert lint_bytes(b'import torch\\nx.require_grad = 1\\n', 'a.py', Settings(), load(RULES));"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
