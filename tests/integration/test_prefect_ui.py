"""Pages of Prefect's UI, in a real browser, over what `mirrorset serve` has run."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.integration.test_serve import awaited, done, home, served

__all__ = ["home"]


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
