"""The page in a real browser: it renders, filters and unfolds, and the console stays silent."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from pytest_gradcheck.render.page import render_page
from tests.render.samples import session

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")

Load = Callable[..., tuple[str, str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Opens a page, and returns its elements after its scripts ran, and what the console said."""

    def run(page: str, hash_: str = "") -> tuple[str, str]:
        (tmp_path / "report.html").write_text(page, encoding="utf-8")
        command = [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=3000",
            "--dump-dom", f"file://{tmp_path / 'report.html'}{hash_}",
        ]  # fmt: skip
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return found.stdout, "\n".join(line for line in found.stderr.splitlines() if "CONSOLE" in line)

    return run


def probed(page: str, script: str) -> str:
    """The page with one more script at its end, and leave to run it."""
    page = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", page)
    return page.replace("</body>", f"<script>{script}</script></body>")


def test_the_page_renders_and_the_console_stays_silent(load: Load) -> None:
    elements, console = load(render_page(session()))
    assert console == ""
    assert '<html lang="en" class="js">' in elements and elements.rstrip().endswith("</html>")


def test_this_test_can_fail(load: Load) -> None:
    page = render_page(session()).replace('"use strict";', '"use strict"; ')  # no longer the script that is allowed
    elements, console = load(page)
    assert "Content Security Policy" in console and 'class="js"' not in elements
    _, console = load(probed(render_page(session()), "nothing.here()"))
    assert "ReferenceError" in console


def test_filter_search_theme_and_links(load: Load) -> None:
    script = """
    const shown = () => [...document.querySelectorAll(".entry")].filter((entry) => !entry.hidden).length;
    const said = [shown()];
    const chip = (value) => document.querySelector(`.chips button[value="${value}"]`).click();
    const type = (text) => { const box = document.getElementById("search"); box.value = text;
                             box.dispatchEvent(new Event("input")); };
    chip("WRONG"); said.push(shown());
    chip("WRONG"); said.push(shown());
    chip("training"); said.push(shown());
    chip("training"); type("GATED linear"); said.push(shown(), document.getElementById("found").textContent);
    type("no such thing"); said.push(shown());
    type(""); said.push(shown());
    document.getElementById("theme").click(); said.push(document.documentElement.dataset.theme.length > 3);
    said.push(document.getElementById("e1").open);
    const wide = document.documentElement.scrollWidth <= innerWidth;
    const first = document.querySelector("figure .band, symbol .band");
    said.push(wide, getComputedStyle(first).fill !== "rgb(0, 0, 0)");
    document.title = JSON.stringify(said);
    """
    elements, console = load(probed(render_page(session()), script), "#e1")
    assert console == ""
    total = len(session().entries)
    found = re.search(r"<title>(.*?)</title>", elements)
    assert found and found.group(1) == f'[{total},2,{total},2,1,"1 of {total} shown",0,{total},true,true,true,true]'
