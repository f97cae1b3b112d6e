"""News of a CVAT server, and the pulls that they start."""

import threading
from pathlib import Path
from typing import Any

import pytest

from annotation.cvat.webhook import News
from flows.serving import news
from mirrorset.workspace import init


def test_a_pull_that_never_ends_keeps_no_news_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Prefect shows one whose worker has died."""
    stopping, started = threading.Event(), []

    def start(_workspace: Any, step: str) -> None:
        started.append(step)
        stopping.set()

    monkeypatch.setattr(news, "is_running", lambda _name: True)
    monkeypatch.setattr(news, "start_following", start)
    monkeypatch.setattr(news, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(news, "_SETTLE_S", 0)
    told = News()
    told.tell()
    news._pull_on(init(tmp_path / "faces"), told, 0.1, stopping)
    assert started == ["pull"]
