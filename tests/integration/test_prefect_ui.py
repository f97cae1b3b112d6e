"""Pages of Prefect's UI, in a real browser, over what `mirrorset serve` has run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_serve import awaited, done, home, served

__all__ = ["home"]

_CHROMIUM = (
    *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--hide-scrollbars", "--window-size=1280,900"),
    "--virtual-time-budget=20000",
)


def seen(url: str, folder: Path, name: str) -> str:
    """The text of a page after its scripts have run; its picture is NAME.png in the folder."""
    for mode in (f"--screenshot={folder / name}.png", "--dump-dom"):
        page = subprocess.run(
            [*_CHROMIUM, f"--user-data-dir={folder / 'profile'}", mode, url],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
    return re.sub(r"<[^>]+>", " ", page)


@pytest.mark.thorough  # serves, crawls and labels before there is anything to see
def test_runs_and_artifacts_are_seen(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    pictures = Path(os.environ.get("MIRRORSET_PICTURES", tmp_path))
    with served(home, PREFECT_HOME=str(home / "prefect")) as (_, told):
        awaited(home, done("scheduled-push"))
        runs = seen(f"{told['ui_url']}/runs", pictures, "runs")
        artifacts = seen(f"{told['ui_url']}/artifacts", pictures, "artifacts")
        deployments = seen(f"{told['ui_url']}/deployments", pictures, "deployments")
    assert "scheduled-crawl" in runs
    assert "pre-label" in runs
    assert "crawl" in artifacts
    assert "scheduled-release" in deployments
