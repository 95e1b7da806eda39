"""A matplotlib figure as a small piece of SVG that takes its colours and fonts from the page.

matplotlib writes the style of every element out, in colours of its own, with identifiers that collide in one page, and
some ten kilobytes of it a figure. What is kept here is the geometry: artists whose gid starts with `MARK`, with the
rest of the gid as their class. The page's style sheet colours the classes, for light and dark.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: How the gid of an artist starts that is to be kept; its class follows.
MARK = "class:"

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_NUMBER = re.compile(r"-?\d+\.\d+")
_SPACE = re.compile(r"\s+")
_ANCHOR = re.compile(r"text-anchor: (middle|end)")
_ROTATED = re.compile(r"rotate\((-?[1-9][\d.]*) ")
#: What XML 1.0 cannot hold, and lone surrogates.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@contextmanager
def own_style() -> Iterator[None]:
    """matplotlib's defaults, whatever the user's configuration or tests have set; all plots are drawn inside of it."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "path.simplify": False, "font.size": 11})
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of some CSS pixels; one pixel is one unit of the SVG."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def contents(drawn: Figure) -> str:
    """The marked artists of a figure as SVG elements, without the `<svg>` around them."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        # Glyphs that matplotlib's font lacks: the reader's browser has fonts of its own.
        warnings.simplefilter("ignore")
        FigureCanvasSVG(drawn).print_svg(stream, metadata=_NO_METADATA)  # type: ignore[no-untyped-call]
    found = _marked(ElementTree.fromstring(stream.getvalue()), None)
    groups = groupby(found, key=lambda pair: pair[0])
    return "".join(_element(key, [node for _, node in group]) for key, group in groups)


def wrapped(inner: str, width: float, height: float, title: str, frame: str | None = None) -> str:
    """A whole `<svg>` with an accessible title; `frame` names the symbol that holds its axes."""
    axes = f'<use href="#{frame}"/>' if frame else ""
    name = quoteattr(printable(title))
    return f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" aria-label={name}>{axes}{inner}</svg>'


def symbol(inner: str, width: float, height: float, name: str) -> str:
    """Axes that many plots of a page share."""
    return f'<symbol id="{name}" viewBox="0 0 {width:g} {height:g}">{inner}</symbol>'


def printable(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _marked(node: ElementTree.Element, name: str | None) -> Iterator[tuple[tuple[str, str], ElementTree.Element]]:
    """Class, kind and element of all that is to be kept, in drawing order."""
    for child in node:
        own = child.get("id") or ""
        inner = own.removeprefix(MARK) if own.startswith(MARK) else name
        kind = child.tag.removeprefix(_SVG)
        if inner and kind in {"path", "use", "text", "image"}:
            yield (inner, kind), child
        elif kind != "defs":
            yield from _marked(child, inner)


def _element(key: tuple[str, str], nodes: list[ElementTree.Element]) -> str:
    """Neighbours of one class are one element where they can be: a thousand dots are one path."""
    name, kind = key
    if kind == "text":
        return "".join(_text(name, node) for node in nodes)
    if kind == "image":
        return "".join(_image(name, node) for node in nodes)
    if kind == "use":
        drawn = "".join(f"M{_short(node.get('x', '0'))} {_short(node.get('y', '0'))}h0" for node in nodes)
    else:
        drawn = "".join(_short(node.get("d", "")) for node in nodes)
    return f'<path class="{name}" d="{drawn}"/>' if drawn else ""


def _text(name: str, node: ElementTree.Element) -> str:
    anchor = _ANCHOR.search(node.get("style", ""))
    turned = _ROTATED.match(node.get("transform", ""))
    x, y = _short(node.get("x", "0")), _short(node.get("y", "0"))
    extra = f' text-anchor="{anchor.group(1)}"' if anchor else ""
    extra += f' transform="rotate({_short(turned.group(1))} {x} {y})"' if turned else ""
    return f'<text class="{name}" x="{x}" y="{y}"{extra}>{escape("".join(node.itertext()))}</text>'


def _image(name: str, node: ElementTree.Element) -> str:
    kept = {key: _short(node.get(key, "")) for key in ("x", "y", "width", "height", "transform") if node.get(key)}
    attributes = "".join(f' {key}="{value}"' for key, value in kept.items())
    data = _SPACE.sub("", node.get(_HREF, ""))
    return f'<image class="{name}"{attributes} preserveAspectRatio="none" href="{data}"/>'


def _short(numbers: str) -> str:
    """Coordinates to a tenth of a pixel."""
    text = _NUMBER.sub(lambda found: f"{float(found.group()):.1f}".removesuffix(".0"), numbers)
    return _SPACE.sub(" ", text).strip()
