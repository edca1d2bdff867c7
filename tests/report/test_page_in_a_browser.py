"""The report in Chromium: a phone, a desk, light and dark, and on paper."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PHONE, DESK = (390, 844), (1366, 768)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium to open the page with (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser, report: Path) -> Iterator:
    """Open the page in a window of a size; nothing may be said on the console."""
    said: list[str] = []
    contexts = []

    def show(size: tuple[int, int], scheme: str = "light"):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if "http" in request.url else 0)
        page.goto(f"file://{report / 'report.html'}")
        page.wait_for_function("document.getElementById('view').dataset.drawn")
        return page

    yield show
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_first_screen(show, size: tuple[int, int]) -> None:
    page = show(size)
    # nothing is cut on the right
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for part in (".viewer canvas", ".verdicts", ".numbers"):
        box = page.locator(part).bounding_box()
        assert box["height"] > 40, part
        assert box["y"] + box["height"] <= size[1], part
    assert page.locator(".verdicts li").count() == 3
    assert page.locator(".numbers div").count() == 3
    for link in page.locator("nav a").all():
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        target = link.get_attribute("href")
        assert page.locator(target).count() == 1, target
    # tables come after
    assert page.locator("table").first.bounding_box()["y"] > page.locator("nav").bounding_box()["y"]


def picture(page) -> np.ndarray:
    """View as it is on the screen: rows, columns, red-green-blue."""
    image = Image.open(io.BytesIO(page.locator("#view").screenshot()))
    return np.asarray(image.convert("RGB"), dtype=int)


def drawn_share(view: np.ndarray) -> float:
    """Share of the view that differs from what is behind it."""
    return float((abs(view - view[5, 5]).sum(axis=2) > 60).mean())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_view_shows_hydrogen_and_turns(show, scheme: str) -> None:
    page = show(DESK, scheme)
    whole = picture(page)
    assert (whole[5, 5].sum() > 600) == (scheme == "light")
    drawn = int(page.locator("#view").get_attribute("data-drawn"))
    # 272 atoms and the bonds that do not cross the cell's faces
    assert drawn > 272 + 200
    page.locator("[data-switch=hydrogens]").click()
    page.wait_for_function(f"document.getElementById('view').dataset.drawn < {drawn - 96}")
    # what has gone was to be seen: a part of the picture
    before = picture(page)
    assert drawn_share(before) < 0.97 * drawn_share(whole)
    page.locator('[data-view="c"]').click()
    page.wait_for_timeout(100)
    assert (picture(page) != before).any()


def test_dark_page_has_light_figures(show) -> None:
    found = {}
    for scheme in ("light", "dark"):
        page = show(DESK, scheme)
        found[scheme] = page.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
                 getComputedStyle(document.querySelector("figure svg text")).fill]"""
        )
    for scheme, (background, ink) in found.items():
        values = [sum(map(int, text[4:-1].split(","))) for text in (background, ink)]
        assert (values[0] > 600, values[1] < 200) == (scheme == "light",) * 2, found


def test_on_paper(show, tmp_path: Path) -> None:
    page = show(DESK, "dark")
    pdf = page.pdf(path=tmp_path / "page.pdf", format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    # black on white, whatever the screen, and nothing folded away
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("#view").get_attribute("data-background") == "255,255,255"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 2
    assert page.locator("#view").get_attribute("data-background") != "255,255,255"
    page.emulate_media(media="print")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
