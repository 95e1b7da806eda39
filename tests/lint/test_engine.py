"""One file through the engine: crashes are contained, order and fingerprints are stable, contexts build fixes."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.engine import lint_source
from gradlint.model import Level, RuleInfo, Safety, Violation
from gradlint.rule import Check, Context, Page, Rule, checks
from gradlint.settings import Settings
from gradlint.source import Source

from tests.lint.linting import lint, node


def rule(check: Check[cst.Call], code: str = "GRD999", *triggers: str) -> Rule:
    info = RuleInfo(code, "test-rule", Level.WARNING, Safety.SAFE, triggers)
    return Rule(info, Page("", {}), (check,))  # type: ignore[arg-type]  # a check is given only nodes of its kind


def run(text: str, *rules: Rule, settings: Settings | None = None) -> list[Violation]:
    return lint_source(Source("a.py", "import torch\n" + text), settings or Settings(), rules)


@checks(cst.Call)
def every_call(call: cst.Call, ctx: Context) -> None:
    ctx.report(call, "a call", level=Level.INFO, related=[(call.func, "its function")])


@checks(cst.Call)
def crashing(call: cst.Call, ctx: Context) -> None:
    ctx.report(call, "reported before the crash")
    raise ValueError("broken")


@checks(cst.Call)
def endless(call: cst.Call, ctx: Context) -> None:
    endless.function(call, ctx)


def test_a_report_carries_all_it_was_given() -> None:
    (found,) = run("x = f(1)\n", rule(every_call))
    assert (found.code, found.name, found.level, found.message) == ("GRD999", "test-rule", Level.INFO, "a call")
    assert (found.range.start, found.range.end) == ((2, 5), (2, 9))
    (place,) = found.related
    assert (place.message, place.range.start, place.range.end) == ("its function", (2, 5), (2, 6))
    assert len(found.fingerprint) == 16


def test_a_crash_is_one_violation_and_the_other_rules_go_on() -> None:
    found = run("f()\n", rule(crashing, "GRD998"), rule(every_call))
    assert [each.code for each in found] == ["GRD002", "GRD999"]
    assert "GRD998" in found[0].message
    assert "ValueError: broken" in found[0].message


def test_endless_recursion_is_an_unreadable_file() -> None:
    assert [each.code for each in run("f()\n", rule(endless), rule(every_call))] == ["GRD001"]


def test_violations_come_by_place_and_code_whatever_the_order_of_the_rules() -> None:
    first, second = rule(every_call, "GRD998"), rule(every_call, "GRD999")
    text = "f(g())\nh()\n"
    found = run(text, second, first)
    assert found == run(text, first, second)
    starts = [(each.range.start, each.code) for each in found]
    assert starts == sorted(starts)
    assert len(starts) == 6


def test_a_rule_without_its_trigger_in_the_file_does_not_run() -> None:
    assert run("f()\n", rule(crashing, "GRD998", "absent")) == []


def test_fingerprints_outlive_other_lines_and_tell_equal_lines_apart() -> None:
    before = run("f()\nf()\n", rule(every_call))
    after = run("\nx = 1\nf()\n\n  \nf()\n", rule(every_call))
    assert [each.fingerprint for each in before] == [each.fingerprint for each in after]
    assert len({each.fingerprint for each in before}) == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x = [\n    f(),\n]\n", (2, 4)),
        ("if f(\n    1\n):\n    pass\n", (2, 4)),
        ("def g(a=f()):\n    pass\n", (2, 2)),
        ("if x: f()\n", (2, 2)),
        ("for a in b:\n    y = 1; f()\n", (3, 3)),
    ],
)
def test_the_statement_of_a_violation_is_where_a_suppression_may_stand(text: str, lines: tuple[int, int]) -> None:
    (found,) = run(text, rule(every_call))
    assert found.statement == lines


def edited(text: str, what: str) -> str | None:
    """The text after the edit that a rule makes of its one call."""

    @checks(cst.Call)
    def editing(call: cst.Call, ctx: Context) -> None:
        edits = {
            "replace": ctx.replace(call, "R"),
            "before": ctx.insert_before(call, "B"),
            "above": ctx.insert_line_above(ctx.tree.statement(call), "A"),
            "after": ctx.insert_after(call, "A"),
            "keyword": ctx.add_keyword(call, "k=1"),
            **{f"drop {index}": ctx.drop_argument(call, given) for index, given in enumerate(call.args)},
        }
        ctx.report(call, "x", fix=ctx.fix(Safety.SAFE, edits[what]))

    source = Source("a.py", f"torch\n{text}\n")
    (found,) = lint_source(source, Settings(), [rule(editing)])
    if found.fix is None:
        return None
    (edit,) = found.fix.edits
    start, end = source.offset(edit.range.start), source.offset(edit.range.end)
    return (source.text[:start] + edit.content + source.text[end:]).removeprefix("torch\n").removesuffix("\n")


@pytest.mark.parametrize(
    ("text", "what", "expected"),
    [
        ("x = (f(a))", "replace", "x = (R)"),
        ("if x:\n    # why\n    f(a)", "above", "if x:\n    # why\n    A\n    f(a)"),
        ("f(a, (b), k=c)", "drop 1", "f(a, k=c)"),
        ("f(a, (b), k=c)", "drop 0", "f((b), k=c)"),
        ("f(a, b)", "drop 1", "f(a)"),
        ("f((a))", "drop 0", "f()"),
        ("f(\n    a,  # why\n    b,\n)", "drop 1", None),
        ("x = (f(a))", "before", "x = B(f(a))"),
        ("x = (f(a))", "after", "x = (f(a))A"),
        ("f(\n    a,  # why\n)", "replace", None),
        ("f('#')", "replace", "R"),
        ("f()", "keyword", "f(k=1)"),
        ("f( )", "keyword", "f( k=1)"),
        ("f(a)", "keyword", "f(a, k=1)"),
        ("f((a), )", "keyword", "f((a), k=1, )"),
        ("f(a, b=2)", "keyword", "f(a, b=2, k=1)"),
        ("f(*a)", "keyword", None),
        ("f(a, **b)", "keyword", None),
        ("f(\n    a,  # why\n)", "keyword", None),
        ("f(\n    a  # why\n)", "keyword", "f(\n    a, k=1  # why\n)"),
    ],
)
def test_edits(text: str, what: str, expected: str | None) -> None:
    assert edited(text, what) == expected


def test_a_rule_is_told_its_own_options() -> None:
    seen: list[dict[str, object]] = []

    @checks(cst.Call)
    def asking(call: cst.Call, ctx: Context) -> None:
        seen.append(ctx.options)

    run("f()\n", rule(asking), settings=Settings(options={"GRD999": {"depth": 3}, "GRD998": {"depth": 4}}))
    assert seen == [{"depth": 3}]


def test_a_page_is_a_summary_and_sections() -> None:
    page = Page.parse("Sum.\n\n## What it does\nA\n\nB\n\n## Example\n```python\n# no heading\n```\n")
    assert page == Page("Sum.", {"What it does": "A\n\nB", "Example": "```python\n# no heading\n```"})


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (
            "nn.Sequential(*(16 * [nn.Linear(2, 2), nn.Sigmoid()]))",
            "16 sigmoid layers: gradient at most 0.25**16 = 2.3e-10",
        ),
        (
            "nn.Sequential(*(4 * [nn.Linear(2, 2), nn.Sigmoid()]))",
            "4 sigmoid layers: gradient at most 0.25**4 = 3.9e-03",
        ),
        ("nn.Sequential(*(8 * [nn.Linear(2, 2), nn.Tanh()]))", "the derivative's bound is 1, not 0.25"),
    ],
)
def test_grd201_prints_its_bound(text: str, bound: str) -> None:
    (found,) = lint(f"from torch import nn\n{text}\n", "GRD201")
    assert bound in found.message
    assert found.level is Level.WARNING


def test_grd201_calls_lenet_history() -> None:
    text = """
        from torch import nn
        net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2),
            nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
    """
    (found,) = lint(text, "GRD201")
    assert found.level is Level.INFO
    assert "0.25**4" in found.message


@pytest.mark.parametrize(("parameters", "safety"), [("m", Safety.SAFE), ("m, std", Safety.UNSAFE), ("", None)])
def test_grd701_is_safe_with_one_parameter_only(parameters: str, safety: Safety | None) -> None:
    (found,) = lint(f"from torch.nn import init\ndef f({parameters}):\n    init.zeros_(n.bias)\n", "GRD701")
    assert (found.fix.safety if found.fix else None) is safety


def test_grd703_on_a_module_has_no_fix_and_names_the_method() -> None:
    (found,) = lint("from torch import nn\nnet = nn.Linear(2, 2)\nnet.require_grad = False\n", "GRD703")
    assert found.fix is None
    assert ".requires_grad_()" in found.message


def test_the_helper_finds_nodes() -> None:
    from tests.lint.linting import unit

    assert node(unit("a.b\n"), "a.b", cst.Attribute).attr.value == "b"
