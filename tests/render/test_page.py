"""The HTML page: complete, escaped, self-contained, small, and the same wherever it is made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from pytest_gradcheck.model import Finding, Report, TensorCheck, Verdict
from pytest_gradcheck.model.gradients import Worst
from pytest_gradcheck.model.session import Entry, SessionReport
from tests.render.samples import ENVIRONMENT, elements, gradient, session, sweep, tensor, training

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from pytest_gradcheck.render.page import number_of, render_page

VOID = {"meta", "input", "path", "image", "use", "br"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "$x_{$ \\frac %s &amp; &#60;",
    "\x00\x1b[31m\ud800\u202etxt.exe\r\nend",
    "日本語 ∂f/∂x 🔥",
)


class Tags(HTMLParser):
    """Every element of a page with its attributes; fails where tags do not close as they open."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} closes what it did not open"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = attributes.items()
        return [
            found for name, found in self.found if name == tag and all(found.get(key) == value for key, value in wanted)
        ]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(*entries: Entry, **more: Any) -> Tags:
    return Tags(render_page(replace(SessionReport("2026-11-21T13:00:00+00:00", 1.0, entries=entries), **more)))


def of_report(report: Report, outcome: str = "failed") -> Tags:
    return page_of(Entry("tests/test_a.py::test_a", "gradient", outcome, report))


@pytest.fixture(scope="module")
def whole() -> Iterator[Tags]:
    yield Tags(render_page(session()))


def test_every_entry_is_there_with_its_verdict_the_worst_first(whole: Tags) -> None:
    entries = whole.of("details", **{"class": "entry"})
    assert len(entries) == len(session().entries)
    statuses = [entry["data-status"] for entry in entries]
    assert statuses[:4] == ["WRONG", "SUSPICIOUS", "FAILED", "ERROR"] and statuses[-1] in {"GOOD", "SKIPPED", "PASSED"}
    assert statuses.count("GOOD") == 6 and {"INCONCLUSIVE", "SKIPPED"} <= set(statuses)
    assert [entry for entry in entries if "open" in entry] == entries[:3]
    assert len({entry["id"] for entry in entries}) == len(entries)


@pytest.mark.parametrize(
    "said",
    [
        "gradients of GatedLinear are WRONG: 1 of 3 tensors differs from finite differences",
        "every element is off by one factor: autograd = 2 x numeric (a forgotten or doubled 2?)",
        "autograd 1.91 , numeric 0.955",
        "input0[3] is a kink: autograd's value is a subgradient there",
        "pytest 'tests/test_layers.py::test_gated_linear' --gradcheck --gradcheck-seed=1234567",
        "seed 1234567",
        "at most 1e-05 GOOD, at most 0.001 SUSPICIOUS, above WRONG",
        "AlexNet failed at step 19: in forward, aten.convolution in features.4 gives nan",
        "the update of features.4.weight was 3.1 times its weight at step 18",
        "learning rate / 10 ✓ yes ✓ yes 20 2.31 -> 1.62",
        "He initialisation ✗ no ✗ no 3 nan at step 2",
        "gradients shrink by 0.40 decades a layer towards the input",
        "ran on worker gw1",
        "gradient flow of DeepNet: vanishing, saturation",
        "the forward raised RuntimeError: 3 is not 4",
        "no cuda device here",
        "torch 2.13.0",
        "pytest --gradcheck tests --gradcheck-report=report.html",
        "Error against step, along weight[1, 2]",
        "Error against step, along a random direction through all tensors",
        "Where weight disagrees",
        "Gradient norms by layer and step",
        "Norms by depth, step 19",
        "log₁₀ |gradient|, step 19",
        "Dead and saturated units",
        "Largest update, relative to its weight",
    ],
)
def test_the_page_says(whole: Tags, said: str) -> None:
    assert said in whole.text


def test_every_picture_has_a_title_and_something_drawn(whole: Tags) -> None:
    plots = whole.of("svg", **{"class": "plot"})
    assert len(plots) == len(whole.of("figure")) > 20
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    names = {frame["id"] for frame in whole.of("symbol")}
    assert {f"{use['href']}".removeprefix("#") for use in whole.of("use")} == names and len(names) == 2


def test_nothing_is_loaded_from_anywhere(whole: Tags) -> None:
    for tag, attributes in whole.found:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for key in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png"))
    policy = whole.of("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"] or ""
    assert policy.startswith("default-src 'none'; ") and "http" not in policy
    page = render_page(session())
    assert not re.search(r"@import|url\(|@font-face|https?://(?!www\.w3\.org)", page)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_users_named_is_text(text: str) -> None:
    check = TensorCheck(
        text, (4, 8), 0.5, 1e-9, Verdict.WRONG, Worst((1, 2), 1.0, 2.0), diagnosis=text, reason=text,
        elements=elements(32, 2.0), sweep=sweep(2.0, where=text),
    )  # fmt: skip
    report = replace(
        gradient(), tensors=(check,), subject=text, findings=(Finding(text, "error", text),), source=text, rerun=text
    )
    run = training()
    assert run.failure is not None
    remedies = tuple(replace(remedy, name=text, detail=text) for remedy in run.failure.remedies)
    failure = replace(run.failure, cause=text, evidence=(text,), source=text, module=text, remedies=remedies, op=text)
    spread = tuple(
        replace(each, parameter=f"{text}{k}.weight") for k, each in enumerate(run.health.samples[0].histograms)
    )
    layers = tuple(replace(layer, module=f"{text}{k}") for k, layer in enumerate(run.health.samples[0].layers))
    health = replace(run.health, samples=(replace(run.health.samples[0], histograms=spread, layers=layers),))
    run = replace(run, model=text, data=text, failure=failure, notes=(text,), rerun=text, health=health)
    page = page_of(
        Entry(text, "gradient", "failed", report, message=text, worker=text),
        Entry(text, "training", "failed", run),
        Entry(text, "none", "failed", message=text),
        command=text, environment=ENVIRONMENT | {text: text}, created=text,
    )  # fmt: skip
    harmless = {tag for tag, _ in Tags(render_page(session())).found}
    assert {tag for tag, _ in page.found} <= harmless
    assert not [key for _, attributes in page.found for key in attributes if key.startswith("on")]
    assert len(page.of("script")) == len(page.of("title")) == 1
    readable = re.sub("[\x00-\x08\x0b-\x1f\ud800]", "\ufffd", text.replace("\r\n", "\n"))
    assert " ".join(readable.split()) in page.text.replace("\ufffd\n", " ") or "\r" in text
    assert "49" not in {word.strip() for word in page.words}


def test_a_page_is_utf8(tmp_path: Any) -> None:
    render_page(SessionReport("", 0.0, command="\ud800 日本")).encode("utf-8")


def test_what_was_measured_is_drawn() -> None:
    right, wrong = of_report(gradient()), of_report(gradient(Verdict.WRONG))
    assert right.of("path", **{"class": "second"}) and right.of("path", **{"class": "dot"})
    assert not [path for path in right.of("path", **{"class": "dot off"}) if path["d"] != "M9 5h0"]
    assert [path for path in wrong.of("path", **{"class": "dot off"}) if path["d"] != "M9 5h0"]
    bare = replace(gradient(), sweep=None, tensors=tuple(replace(c, elements=None) for c in gradient().tensors))
    assert not of_report(bare).of("figure")


def captions(report: Report) -> str:
    return of_report(report).text


def test_a_map_needs_elements_enough() -> None:
    right, wrong = (tensor("weight", verdict, shape=(50, 40)) for verdict in (Verdict.GOOD, Verdict.WRONG))
    assert "Where weight disagrees" not in captions(replace(gradient(), tensors=(right,)))  # 64 of 2000 are a blur
    assert "Autograd against numeric, weight" in captions(replace(gradient(), tensors=(right,)))
    assert "Where weight disagrees" in captions(replace(gradient(), tensors=(wrong,)))
    few = replace(wrong, shape=(500, 400))
    assert "Where weight disagrees" not in captions(replace(gradient(), tensors=(few,)))


def test_the_worst_tensor_that_was_measured_by_elements_is_pictured() -> None:
    projected = replace(gradient().tensors[0], relative_error=1e-6, elements=None)
    assert "Autograd against numeric, weight" in captions(replace(gradient(), tensors=(projected, tensor("weight"))))


def test_what_fails_in_the_second_order_alone_is_pictured_as_the_first_derivative() -> None:
    wrong = replace(tensor("input0", Verdict.WRONG), elements=None, sweep=None)
    assert "Error against step, of the first derivative, along" in captions(replace(gradient(), second_order=(wrong,)))
    assert "Error against step, along a random direction" in captions(gradient())


def test_the_numbers_of_an_entry_say_what_they_are() -> None:
    page = of_report(gradient()).text
    assert "error 3.1e-13" in page
    assert "Autograd against numeric, input0; axes in units of 2.4, its largest element" in page


def test_bands_of_its_own() -> None:
    other = replace(gradient(), settings=replace(gradient().settings, bands=(1e-8, 1e-2)))
    both = page_of(Entry("a", "gradient", "passed", gradient()), Entry("b", "gradient", "passed", other))
    assert len(both.of("symbol")) == 3


def test_an_empty_session_and_an_interrupted_one() -> None:
    assert "No gradient was checked and nothing was trained" in page_of().text
    assert "The session ended early: tests that had not run are missing." in page_of(interrupted=True).text


def test_many_good_tensors_fold_away() -> None:
    checks = tuple(replace(gradient().tensors[0], name=f"layer{k}.weight") for k in range(40))
    page = of_report(replace(gradient(Verdict.WRONG), tensors=(*checks, gradient(Verdict.WRONG).tensors[1])))
    assert page.of("details", **{"class": "more"}) and "40 GOOD tensors" in page.text


def test_the_users_matplotlib_does_not_show() -> None:
    import matplotlib

    plain = render_page(session())
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        assert render_page(session()) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_a_report_of_300_checks_stays_small() -> None:
    page = render_page(session(good=300))
    assert len(page.encode()) < 3_000_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (1.25e-10, "1.250e-10"),
        (0.01234, "0.01234"),
        (1e7, "1.000e+07"),
        (float("nan"), "nan"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number_of(value) == text
