"""What a file must hold for a rule to look at it: texts, whole words, attributes."""

from __future__ import annotations

import pytest
from gradlint.model import Level, RuleInfo
from gradlint.triggers import has_text, has_word

DATA = b'import torch\nx = self.fc1.weight  # caf\xc3\xa9: "expected"\ny.copy_ = tan_h\n'


@pytest.mark.parametrize("text", ["fc", ".weig", "copy_ =", "self.", "xpect", "é"])
def test_a_text_is_found_wherever_it_stands(text: str) -> None:
    assert has_text(DATA, ["absent", text])


@pytest.mark.parametrize("text", ["fc2", ".self", "copy_=", "tan h", "weight copy_"])
def test_a_text_that_is_not_there_is_not_found(text: str) -> None:
    assert not has_text(DATA, [text])


@pytest.mark.parametrize("word", ["torch", "weight", ".weight", "fc1", "self", "expected", "copy_", "caf", "tan_h"])
def test_a_word_is_found_as_a_whole_and_an_attribute_also_as_a_word(word: str) -> None:
    assert has_word(DATA, ["absent", word])


@pytest.mark.parametrize("word", ["fc", "weigh", "tan", "exp", "copy", ".self", ".torch", "elf"])
def test_a_part_of_a_word_and_a_word_that_is_no_attribute_are_not_found(word: str) -> None:
    assert not has_word(DATA, [word])


def test_each_file_is_asked_anew() -> None:
    assert [has_word(data, ["a"]) for data in (b"a", b"b", b"a")] == [True, False, True]


def test_a_rule_wants_one_of_its_triggers_or_words_and_all_others() -> None:
    info = RuleInfo("GRD101", "x", Level.ERROR, triggers=("init",), words=(".data",), also=("forward", "loss"))
    assert info.may_fire(b"torch forward loss reinit")
    assert info.may_fire(b"torch forward loss x.data")
    assert not info.may_fire(b"torch forward loss data")
    assert not info.may_fire(b"torch forward init")
    assert not info.may_fire(b"forward loss init")
