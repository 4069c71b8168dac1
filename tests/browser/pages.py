"""What Chromium makes of the pages that the last run left, opened from disk, without a network: `make test-browser`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.params import ROOT

HTML = ROOT / "reports" / "html"
PAGES = sorted(HTML.glob("*.html"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PHONE, DESK = 390, 1280
QUIET = ("background-networking", "component-update", "sync", "extensions", "default-apps")


@pytest.fixture(scope="session")
def browser() -> Browser:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no Chromium: install one (Debian: apt-get install chromium) or name it, CHROMIUM=/path/to/it"
    with sync_playwright() as playwright:
        quiet = [f"--disable-{what}" for what in QUIET]
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--no-first-run", *quiet])


class Opened:
    """A page from disk without a network, and what it complained of or asked for."""

    def __init__(self, browser: Browser, path: Path, width: int = DESK, scheme: str = "light"):
        self.asked: list[str] = []
        self.said: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(path.as_uri())

    def heard(self, message) -> None:
        if message.type == "error":
            self.said.append(message.text)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_) -> None:
        self.page.context.close()

    def beyond(self) -> list[str]:
        """Requests that leave the page."""
        return [url for url in self.asked[1:] if not url.startswith(("data:", "blob:"))]


def test_there_are_pages():
    assert (HTML / "index.html") in PAGES, f"no report in {HTML}: run make, with the same PROFILE"
    assert len(PAGES) > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_quiet_and_fits(browser, path, width, scheme):
    with Opened(browser, path, width, scheme) as opened:
        assert opened.beyond() == []
        assert opened.said == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('figure, h1, h2, p, dl, nav, figcaption')]"
        assert opened.page.evaluate(f"{wide}.filter(e => e.getBoundingClientRect().right > innerWidth + 1).length") == 0
        assert opened.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == (
            "rgb(253, 253, 251)" if scheme == "light" else "rgb(22, 23, 26)"
        )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_picture_is_there_and_has_words(browser, path):
    with Opened(browser, path) as opened:
        drawn = opened.page.evaluate(
            """[...document.querySelectorAll('svg')].map(
                 e => [e.getAttribute('aria-label') || '', e.getBoundingClientRect().height])"""
        )
        assert drawn
        assert all(len(words) > 8 and height > 20 for words, height in drawn)
        decoded = opened.page.evaluate(
            """Promise.all([...document.querySelectorAll('img, svg image')].map(async e => {
                 const i = new Image();
                 i.src = e.getAttribute('src') || e.getAttribute('href');
                 try { await i.decode(); return i.naturalWidth > 0; } catch { return i.src.slice(0, 80); }
            }))"""
        )
        assert all(found is True for found in decoded), decoded
        assert opened.page.evaluate("[...document.images].filter(e => !e.alt).length") == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_link_leads_somewhere(browser, path):
    with Opened(browser, path) as opened:
        links = opened.page.evaluate("[...document.querySelectorAll('a[href]')].map(e => e.getAttribute('href'))")
        assert links
        for link in links:
            file, _, place = link.partition("#")
            if file.startswith(("http:", "https:")):
                continue  # of a paper, for a reader who is online
            target = path.parent / file if file else path
            assert target.exists(), link
            if place:
                assert f'id="{place}"' in target.read_text(encoding="utf-8"), link


def test_dvc_plots_draws_its_charts(browser, tmp_path):
    out = tmp_path / "plots"
    shown = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show", "reports/plots", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    with Opened(browser, out / "index.html") as opened:
        charts = opened.page.evaluate("document.querySelectorAll('body > div').length")
        assert charts == 3  # curves, intervals, paired differences
        drawn = f"document.querySelectorAll('.vega-embed :is(canvas, svg.marks)').length == {charts}"
        opened.page.wait_for_function(drawn, timeout=60_000)
        assert opened.beyond() == []
        assert opened.said == []
        sizes = opened.page.evaluate(
            "[...document.querySelectorAll('.vega-embed :is(canvas, svg.marks)')].map(e => e.getBoundingClientRect().width)"
        )
        assert min(sizes) > 100
