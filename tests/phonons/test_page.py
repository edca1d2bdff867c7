"""The page in Chromium: a click on a band, and its mode moves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.phonons.ladder import symmetry_ladder
from mofmd.phonons.page.page import write_page
from mofmd.phonons.spectrum.soft import exact_points
from mofmd.phonons.spectrum.spectrum import SpectrumOptions, make_spectrum
from mofmd.phonons.spectrum.velocities import SoundSpeeds
from tests.phonons.crystals import argon, chain, phonons


def test_imaginary_sound_is_no_stable_crystal(tmp_path: Path) -> None:
    """Wave vectors of the mesh may all lie beyond long waves that are imaginary."""
    phonopy, constants = phonons(chain(), argon(), tmp_path / "chain", (4, 1, 1))
    found = make_spectrum(phonopy, constants, SpectrumOptions(mesh=(4, 1, 1)))
    page = write_page(phonopy, found, tmp_path / "stable", {})
    assert "Stable: yes" in page.read_text()
    assert "the mesh 4×1×1 and the 4 that fit into the supercell" in page.read_text()
    speeds = found.speeds.speeds_km_per_s.copy()
    speeds[2, 0] = -1.5
    bent = replace(found, speeds=SoundSpeeds(found.speeds.directions, speeds))
    text = write_page(phonopy, bent, tmp_path / "bent", {}).read_text()
    assert "Stable: not known" in text
    assert "(0, 0, 1) are imaginary (-1.50 km/s)" in text


def test_a_look_at_gamma_alone_is_no_verdict_on_the_crystal(tmp_path: Path) -> None:
    """One cell and a mesh of one point: the page, the console and the record say so."""
    phonons(chain(), argon(), tmp_path / "chain", (2, 1, 1))
    crystal = chain().repeat((2, 1, 1))
    phonopy, _ = phonons(crystal, argon(), tmp_path / "cell", (1, 1, 1))
    assert exact_points(phonopy) == 2  # of the primitive cell
    crystal.numbers[0] = 10
    phonons(crystal, argon(), tmp_path / "two", (1, 1, 1))
    told = {}
    for mesh in ("1x1x1", "4x1x1"):
        out = tmp_path / mesh
        line = ["phonons", "bands", str(tmp_path / "two"), "-o", str(out), "--mesh", mesh]
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, done.output
        record = json.loads((out / "phonons.json").read_text())["stability"]
        page = (out / "report.html").read_text()
        assert record["why"] in page
        assert record["why"] in done.output
        assert record["wave_vectors_of_the_supercell"] == 1
        told[mesh] = record
    assert "Stable: yes" not in (tmp_path / "1x1x1" / "report.html").read_text()
    assert (told["1x1x1"]["stable"], told["1x1x1"]["looked_at"]) == ("unknown", "Γ alone")
    assert "other wave vectors were not looked at: give a finer --mesh" in told["1x1x1"]["why"]
    assert "interpolated but for Γ" in told["4x1x1"]["looked_at"]


SCROLLED = """() => [...document.querySelectorAll('.scroll, figure > div')].filter(
    each => each.scrollWidth > each.clientWidth
).map(each => each.parentElement.id || each.textContent.slice(0, 20))"""


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_cut_on_a_phone(tmp_path: Path, width: int) -> None:
    """Wide figures scroll within, with the mark of a mode; quantities stand by their names."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium to open the page with (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    phonopy, constants = phonons(chain(), argon(), tmp_path / "chain", (4, 1, 1))
    found = make_spectrum(phonopy, constants, SpectrumOptions(mesh=(4, 1, 1)))
    ladder = symmetry_ladder(chain())
    file = write_page(phonopy, found, tmp_path, {"model": "argon"}, ladder=ladder)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto(f"file://{file}")
        page.wait_for_function("document.getElementById('view').dataset.drawn")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # of tables none but that of the modes, which says so
        scrolled = page.evaluate(SCROLLED)
        assert [text for text in scrolled if not text.startswith("mode")] == (
            ["figure-bands"] if width < 560 else []
        )
        value = page.get_by_text("eV/Å²").first.bounding_box()
        assert value is not None
        assert value["x"] + value["width"] <= width
        figure = page.locator("#figure-bands .bands svg")
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert box is not None
        at = box["x"] + 0.4 * box["width"]
        page.mouse.click(at, box["y"] + 0.12 * box["height"])
        dot = page.locator("#figure-bands .mode-dot").bounding_box()
        assert dot is not None
        assert abs(dot["x"] + 0.5 * dot["width"] - at) < 0.05 * box["width"]
        browser.close()


@pytest.mark.long
def test_click_on_a_band_moves_the_mode(tmp_path: Path) -> None:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium to open the page with (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    phonons(chain(), argon(), tmp_path / "chain", (4, 1, 1))
    line = ["phonons", "bands", str(tmp_path / "chain"), "-o", str(tmp_path), "--mesh", "4x1x1"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    said: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"file://{tmp_path / 'report.html'}")
        page.wait_for_function("document.getElementById('view').dataset.drawn")
        figure = page.locator("#figure-bands .bands svg")
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert box is not None
        # near the top of the bands: the highest mode
        page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.12 * box["height"])
        told = page.locator("#mode-told")
        assert told.get_attribute("data-mode") == "6"
        assert "THz" in told.inner_text()
        first = page.evaluate("document.getElementById('view').dataset.moving")
        page.wait_for_function(
            "before => document.getElementById('view').dataset.moving !== before", arg=first
        )
        dot = page.locator("#figure-bands .mode-dot").bounding_box()
        assert dot is not None
        # the mark stands on the bands, in the upper part
        assert dot["y"] < box["y"] + 0.5 * box["height"]
        page.locator("#mode-stop").click()
        assert page.locator("#mode-stop").inner_text() == "move"
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        browser.close()
    assert said == []
