"""Parity's own pages in a real browser: one comparison, by the command, and all of a pack."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from browsing import HOSTILE, SCHEMES, WIDTHS, are_pictures_there, look, open_page, until
from compared import make_comparisons, make_runs
from PIL import Image
from playwright.sync_api import Browser
from typer.testing import CliRunner

from flows.cli import app
from mirrorset.elsewhere import noted
from mirrorset.errors import GateError
from reports.parity_page import render_parity
from reports.shown import credit

DEVICE = f"Pixel 8 {HOSTILE}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With comparison.html, of the failing run, and comparisons.html, of both."""
    folder = tmp_path_factory.mktemp("parity")
    pack = make_runs(folder, HOSTILE, DEVICE)
    (folder / ".dvc").mkdir()
    asked = ["parity", "compare", "--pack", pack.path, "--candidate", folder / "gpu"]
    asked += ["--gates", folder / "gates.yaml", "--out", folder / "comparison.json"]
    asked += ["--html", folder / "comparison.html", "--home", folder]
    judged = CliRunner().invoke(app, list(map(str, asked)))
    assert isinstance(judged.exception, GateError), judged.output
    credit_of = {image_id: credit(*one) for image_id, one in pack.credits.items()}
    paths = make_comparisons(folder, pack)
    render_parity(paths, folder / "comparisons.html", "All runs", credit_of)
    return folder


@pytest.mark.parametrize("name", ["comparison", "comparisons"])
def test_verdicts_slices_and_worst_images_are_seen(
    chromium: Browser, folder: Path, name: str
) -> None:
    complaints: list[str] = []
    tab = open_page(chromium, folder / f"{name}.html", complaints)
    first = tab.locator("#parity table").first.locator("tbody tr").first.inner_text()
    assert "✗ fail" in first
    heat = tab.locator(".comparison img[alt^='Measures by slice']").first
    worst = str(heat.get_attribute("alt"))
    assert re.search(r"NME to the reference \(points\) [\d.]+ % at pose: left", worst)
    assert are_pictures_there(tab, "img")
    assert tab.locator(".worst img:visible").count() == 6
    has_chart = tab.locator("#parity > .scroll img").count() == 1
    assert has_chart == (name == "comparisons")
    assert tab.get_by_text("where at least two runs were timed").count() == (not has_chart)
    _are_both_drawn(str(tab.locator(".worst img").first.get_attribute("src")))
    assert complaints == []
    tab.close()
    assert folder / "comparison.html" in noted(folder)


def _are_both_drawn(address: str) -> None:
    """In the first two pictures points, in the third the ways between them."""
    jpeg = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(jpeg)) as opened:
        hue, saturation, value = np.moveaxis(np.asarray(opened.convert("HSV"), int), 2, 0)
    vivid = (saturation > 120) & (value > 150)
    blue, yellow = (vivid & (abs(hue - wanted) < 12) for wanted in (132, 37))
    reference, candidate, difference = np.array_split(np.arange(hue.shape[1]), 3)
    assert blue[:, reference].sum() > 68 * 2
    assert blue[:, candidate].sum() > 68 * 2
    assert yellow[:, difference].sum() > 68 * 2
    # The run's points lie to the right of the reference's.
    middles = [np.flatnonzero(blue[:, side].any(axis=0)).mean() for side in (reference, candidate)]
    assert middles[1] > middles[0]


def test_latency_and_where_the_deviation_begins_are_told(chromium: Browser, folder: Path) -> None:
    tab = open_page(chromium, folder / "comparisons.html", [])
    chart = str(tab.locator("#parity > .scroll img").get_attribute("alt"))
    assert "cpu: 16 ms" in chart
    assert "gpu: 6 ms" in chart
    rows = tab.locator("#parity table").first.locator("tbody tr").all_inner_texts()
    assert "finder" in rows[0]
    assert "not looked into" in rows[1]
    assert tab.get_by_text("Where it departs").is_visible()
    assert tab.locator(".comparison[open]").count() == 1
    tab.close()


def test_on_a_phone_one_swipe_leads_from_the_reference_to_the_run(
    chromium: Browser, folder: Path
) -> None:
    tab = open_page(chromium, folder / "comparison.html", [])
    assert not tab.get_by_text("swipe").is_visible()
    tab.set_viewport_size({"width": WIDTHS[0], "height": 844})
    assert tab.get_by_text("swipe").is_visible()
    strip = tab.locator(".worst .scroll").first
    seen_px = strip.evaluate("(it) => it.clientWidth")
    assert seen_px > 0.9 * WIDTHS[0]
    assert strip.locator("img").evaluate("(it) => it.clientWidth") == pytest.approx(
        3 * seen_px, abs=2
    )
    strip.evaluate(f"(it) => it.scrollTo(0.8 * {seen_px}, 0)")
    until(tab, f"Math.abs(document.querySelector('.worst .scroll').scrollLeft - {seen_px}) < 2")
    tab.close()


def test_hostile_names_stay_text(chromium: Browser, folder: Path) -> None:
    tab = open_page(chromium, folder / "comparisons.html", [])
    assert HOSTILE in tab.locator(".worst figcaption").first.inner_text()
    tab.get_by_text("What ran where").first.click()
    assert tab.get_by_text(DEVICE).first.is_visible()
    assert tab.title() == "All runs"
    assert tab.locator("script, img[src*='example.org']").count() == 0
    tab.close()


def test_no_serious_barrier_is_found(chromium: Browser, folder: Path) -> None:
    complaints: list[str] = []
    tab = open_page(chromium, folder / "comparisons.html", complaints)
    # The other two are looked at in the report, of which all this is a part.
    for scheme, width in zip(SCHEMES, WIDTHS, strict=True):
        assert look(tab, scheme, width) == [], (scheme, width)
    tab.close()
    assert complaints == []
