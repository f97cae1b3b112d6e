"""Pages of Prefect's UI, in a real browser, over what `mirrorset serve` has run."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from browsing import are_pictures_there
from PIL import Image
from playwright.sync_api import Browser

from mirrorset.workspace import open_workspace
from tests.integration.test_serve import awaited, done, home, served, unused_port

__all__ = ["home", "unused_port"]


@pytest.mark.thorough  # serves, crawls and labels before there is anything to see
def test_runs_and_artifacts_are_seen(
    chromium: Browser, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    pictures = Path(os.environ.get("MIRRORSET_PICTURES", tmp_path))
    with served(home, PREFECT_HOME=str(home / "prefect")) as (_, told):
        awaited(home, done("scheduled-push"))
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        for name, words in (
            ("runs", ("pre-label", "push to annotators")),
            ("artifacts", ("prelabel", "push")),
            ("deployments", ("scheduled-release", "scheduled-crawl")),
        ):
            tab.goto(f"{told['ui_url']}/{name}")
            for word in words:
                tab.get_by_text(word).locator("visible=true").first.wait_for(timeout=60_000)
            tab.screenshot(path=pictures / f"{name}.png")
        tab.close()


@pytest.mark.thorough  # serves
def test_worst_images_are_seen_from_where_the_report_is(
    chromium: Browser, home: Path, unused_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    pictures = Path(os.environ.get("MIRRORSET_PICTURES", tmp_path))
    params = home / "params.yaml"
    wanted = f"serve:\n  report_port: {unused_port}\n"
    params.write_text(
        params.read_text().replace("serve:\n", wanted).replace("{every_s: 12}", "null")
    )
    report = home / "report/index.html"
    worst = report.with_suffix("") / "worst/comparison-landmarks-int8"
    worst.mkdir(parents=True)
    report.write_text("<!doctype html><title>Faces</title>")
    for number in range(1, 4):
        noise = np.random.default_rng(number).integers(0, 256, (240, 480, 3), np.uint8)
        Image.fromarray(noise).save(worst / f"0{number}.jpg")
    with served(home, PREFECT_HOME=str(home / "prefect")) as (_, told):
        assert told["report_url"] == f"http://127.0.0.1:{unused_port}"
        show = (
            "from pathlib import Path\n"
            "from flows.engine import flow\n"
            "from flows.serving.artifacts import show_report\n"
            "from mirrorset.workspace import open_workspace\n"
            f"flow(name='shows')(show_report)(open_workspace(Path('{home}')), Path('{report}'))\n"
        )
        here = os.environ | {"PREFECT_API_URL": told["api_url"]}
        subprocess.run([sys.executable, "-c", show], env=here, check=True)
        tab = chromium.new_page(viewport={"width": 1280, "height": 1400})
        key = f"{open_workspace(home).dataset.name}-parity-worst"
        found = httpx.post(f"{told['api_url']}/artifacts/latest/filter", json={}).json()
        (one,) = [each for each in found if each["key"] == key]
        tab.goto(f"{told['ui_url']}/artifacts/artifact/{one['latest_id']}")
        tab.get_by_text("landmarks-int8").locator("visible=true").first.wait_for(timeout=60_000)
        assert are_pictures_there(tab, 'img[src*="/worst/"]')
        tab.screenshot(path=pictures / "worst.png")
        tab.close()
