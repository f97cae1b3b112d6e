"""`dvc plots show` in a new workspace: the page is drawn without a network."""

import shutil
import subprocess

import pytest

from curation.coverage import Cell
from curation.measure import write_plots
from mirrorset.dvc import dvc
from mirrorset.workspace import init

CELLS = {
    Cell("frontal", "front", "64-127", "light", "30-44"): 40,
    Cell("left", "front", "64-127", "unknown", "unknown"): 25,
    Cell("left", "top", "<64", "dark", "60+"): 3,
    Cell("right", "top", "<64", "dark", "60+"): 8,
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    home = tmp_path_factory.mktemp("plots") / "faces"
    return plotted(home, CELLS, {"blurred": 17, "no_face": 2})


def plotted(home, cells, reasons):
    """The page of a new workspace with these plots."""
    workspace = init(home)
    write_plots(workspace.home / "data" / "plots", cells, reasons)
    (workspace.home / "release.yaml").write_text("version: 0.1.0\n")
    dvc(workspace.home, "plots", "show")
    return workspace.home / "dvc_plots" / "index.html"


def test_the_page_asks_the_network_for_nothing(page):
    html = page.read_text()
    head, _, rest = html.partition('<template id="vega">')
    fetched, _, drawn = rest.partition("</template>")
    assert "cdn" in fetched
    assert "src=" not in head + drawn
    assert drawn.count('"mirrorset": {"draw"') == 4


def shown(page, tmp_path):
    """What Chromium makes of the page's body, without a network."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    return subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.partition("<body>")[2]


def test_tables_without_a_row_say_what_that_means(tmp_path):
    drawn = shown(
        plotted(tmp_path / "faces", {Cell("left", "top", "<64", "dark", "60+"): 3}, {}),
        tmp_path / "chromium",
    )
    assert "<h2>Rejected, by reason</h2><p>Nothing was rejected.</p>" in drawn
    assert "<p>No cell holds ten images.</p>" in drawn


def test_chromium_draws_all_plots_without_a_network(page, tmp_path):
    drawn = shown(page, tmp_path)
    for title in ("Images by pose and light", "Images by each axis alone", "Rejected, by reason"):
        assert f"<h2>{title}" in drawn
    assert "<dt>frontal · light front · 64-127 px · tone light · age 30-44</dt>" in drawn
    assert "<dt>blurred</dt>" in drawn
    # 3 and 8 images, of pose and light and of all axes, are withheld.
    assert drawn.count('title="withheld"') == 2
    assert "60+ ·" not in drawn
