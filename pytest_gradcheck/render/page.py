"""A session's report as one HTML file: no network, light and dark, readable without JavaScript. Needs `[report]`."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_gradcheck.model import GradientFlow, Report, TrainingReport
from pytest_gradcheck.model.session import Entry, SessionReport
from pytest_gradcheck.render import text, training_text
from pytest_gradcheck.render.gallery import Gallery, Picture
from pytest_gradcheck.render.plots.svg import own_style, printable

#: Statuses in the order of their filters.
STATUSES = ("WRONG", "FAILED", "ERROR", "SUSPICIOUS", "INCONCLUSIVE", "GOOD", "PASSED", "SKIPPED")
#: A sign beside each, so that colour is never the only difference.
SIGNS = dict(zip(STATUSES, "✗✗✗!?✓✓-", strict=True))


@dataclass(frozen=True)
class Shown:
    """An entry with all that the page writes about it.

    Attributes:
        entry: The entry.
        number: Its place in the order of the session, from 1: the anchor of the page.
        title: What was checked.
        headline: The outcome in a sentence.
        figure: The number that sums it up, such as the largest relative error.
        pictures: Its plots.
    """

    entry: Entry
    number: int
    title: str
    headline: str
    figure: str
    pictures: list[Picture]


def render_page(session: SessionReport) -> str:
    """The page of a whole session."""
    with own_style():
        gallery = Gallery()
        shown = [_shown(entry, number, gallery) for number, entry in enumerate(session.entries, 1)]
        frames = gallery.frames
    shown.sort(key=lambda each: -each.entry.badness)
    counts = Counter(entry.status for entry in session.entries)
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            session=session,
            shown=shown,
            frames=frames,
            counts=[(status, counts[status]) for status in STATUSES if counts[status]],
            failed=sum(entry.bad for entry in session.entries),
            kinds=Counter(entry.kind for entry in session.entries),
            style=Markup(_asset("page.css")),
            script=Markup(script),
            script_digest=digest,
        )
    )


def _shown(entry: Entry, number: int, gallery: Gallery) -> Shown:
    report = entry.report
    title, headline, figure = entry.id, entry.message or "", ""
    if isinstance(report, Report):
        title, headline = report.subject, text.headline(report)
        errors = [check.relative_error for check in (*report.tensors, *report.second_order)]
        figure = f"error {number_of(max((e for e in errors if not math.isnan(e)), default=math.nan), 1)}"
    elif isinstance(report, TrainingReport):
        title, headline = report.model, training_text.headline(report)
        figure = f"loss {number_of(report.loss[-1])}" if report.loss else ""
    elif isinstance(report, GradientFlow):
        rules = ", ".join(dict.fromkeys(symptom.rule for symptom in report.symptoms)) or "healthy"
        title, headline, figure = (
            report.model,
            f"gradient flow of {report.model}: {rules}",
            f"loss {number_of(report.loss)}",
        )
    return Shown(entry, number, title, headline, figure, gallery.of(entry))


def number_of(value: float | None, digits: int = 3) -> str:
    """A number for a table: "1.2e-10", "0.0123"; "-" where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits + 1}g}"
    return f"{value:.{digits}e}"


def shape_of(shape: tuple[int, ...]) -> str:
    """ "2 x 3", or "scalar"."""
    return " x ".join(map(str, shape)) or "scalar"


def moment_of(created: str) -> str:
    """The time of writing to the minute, as its place wrote it; the text itself where it is no time."""
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return created


def _environment() -> Environment:
    # Two walls: everything is escaped, and characters that HTML cannot hold never reach it.
    environment = Environment(
        loader=PackageLoader("pytest_gradcheck.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"number": number_of, "shape": shape_of, "moment": moment_of}
    environment.globals |= {"signs": SIGNS, "statuses": STATUSES}
    return environment


def _asset(name: str) -> str:
    return (files("pytest_gradcheck.render") / "templates" / name).read_text(encoding="utf-8")
