"""What a file must hold for a rule to look at it: texts, whole words, attributes."""

from __future__ import annotations

import pytest
from gradlint.model import Level, RuleInfo
from gradlint.triggers import code_of, has_text, has_word

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


@pytest.mark.parametrize(
    "data",
    [
        b"# gone\ntorch",
        b'torch = 1  # gone "',
        b'def torch():\n    """gone \\""" "quoted" gone"""\n',
        b"torch = r'''gone # '''",
        b'torch = "a\\"#"  # gone',
        b"torch = '#' + \"'\"  # gone",
        b'"""gone torch"""',
        b'"""# gone\r\n"""\r\ntorch = "\\\r\n"  # gone\r\n',
        b'torch = f"{x[1]} {{}}"  # gone',
    ],
)
def test_documentation_and_comments_are_no_code(data: bytes) -> None:
    assert b"gone" not in code_of(data)
    assert b"torch" in code_of(data)


@pytest.mark.parametrize(
    "data",
    [
        b"torch = 'kept # kept'",
        b'torch = "# kept"',
        b'torch = """a""" + kept + """b"""',
        b'torch = f"""{kept}"""',
        b'torch = Rf"""{kept}"""',
        b'torch = f"{x["#"]}" + kept',
        b'torch = "\\"; kept; "#"',
        b'torch = "" """ # """; kept',
        b"torch = '''it's \\''' # '''; kept",
        b"torch = r'\\'; kept",
    ],
)
def test_code_stays_code(data: bytes) -> None:
    assert b"kept" in code_of(data)


def test_names_in_two_underscores_make_no_rule_fire_where_no_class_is_a_module() -> None:
    info = RuleInfo("GRD101", "x", Level.ERROR, triggers=("init",))
    assert info.needs_modules(b"torch def __init__(): ...")
    assert not info.needs_modules(b"torch def __init__(): init_weights()")
    assert RuleInfo("GRD101", "x", Level.ERROR, triggers=("init",), of_modules=True).needs_modules(b"torch init")
