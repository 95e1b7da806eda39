"""No rule crashes on code that nobody wrote: fixtures cut up and put together anew, and programs from a grammar."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import libcst as cst
import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.parse import parse
from gradlint.positions import Positions
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source
from gradlint.walk import walk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

hypothesmith = pytest.importorskip("hypothesmith")

FIXTURES = sorted((Path(__file__).parent / "fixtures").rglob("*.py"))
# With these words in a file every rule looks at it.
EVERYTHING = "# torch " + " ".join(text for rule in RULES for text in rule.triggers + rule.words + rule.also) + "\n"
settings.register_profile("mutations", deadline=None, suppress_health_check=list(HealthCheck))


def crashes(text: str) -> list[str]:
    """What rules said of themselves."""
    found = lint_source(Source("a.py", text), Settings(), load(RULES))
    own = [each for each in found if each.code == "GRD002" or "nested too deeply" in each.message]
    return [each.message for each in own]


@cache
def pieces(path: Path) -> tuple[str, tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """A fixture, and where its expressions and its one-line statements stand."""
    source = Source(path.name, path.read_text(encoding="utf-8"))
    module = parse(source)
    positions = Positions(source, module)
    expressions = [node for node in walk(module) if isinstance(node, cst.BaseExpression)]
    statements = [node for node in walk(module) if isinstance(node, cst.SimpleStatementLine)]
    return source.text, tuple(map(positions.span, expressions)), tuple(map(positions.span, statements))


def mutated(path: Path, other: Path, chance: random.Random, count: int) -> str:
    """A fixture with some expressions and statements exchanged for those of another, or for nothing."""
    text, expressions, statements = pieces(path)
    taken, *spans = pieces(other)
    changes: list[tuple[int, int, str]] = []
    for _ in range(count):
        which = chance.randrange(2)
        start, end = chance.choice((expressions, statements)[which])
        first, last = chance.choice(spans[which])
        new = taken[first:last] if chance.random() < 0.8 else ("None", "pass")[which]
        if all(end <= begun or ended <= start for begun, ended, _ in changes):
            changes.append((start, end, new))
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


@settings(settings.get_profile("mutations"), max_examples=80)
@given(st.sampled_from(FIXTURES), st.sampled_from(FIXTURES), st.randoms(use_true_random=False), st.integers(1, 6))
def test_no_rule_crashes_on_mutated_code(path: Path, other: Path, chance: random.Random, count: int) -> None:
    text = EVERYTHING + mutated(path, other, chance, count)
    assert not crashes(text), text


@settings(settings.get_profile("mutations"), max_examples=20)
@given(hypothesmith.from_grammar())
def test_no_rule_crashes_on_programs_from_the_grammar(program: str) -> None:
    assert not crashes(EVERYTHING + program)


def test_the_mutations_are_parsed_more_often_than_not() -> None:
    chance = random.Random(0)
    read = 0
    for _ in range(40):
        text = mutated(chance.choice(FIXTURES), chance.choice(FIXTURES), chance, 4)
        try:
            parse(Source("a.py", text))
        except Exception:  # noqa: BLE001 - counted
            continue
        read += 1
    assert read > 20


def test_a_crash_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr("gradlint.names.Names.full_name", fail)
    assert crashes("import torch\nx = torch.softmax(y)\n")
