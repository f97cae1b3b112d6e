"""What the report's artifacts say: of pictures, their addresses alone."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.serving import artifacts
from flows.serving.artifacts import show_report
from mirrorset.files import write_text
from mirrorset.workspace import Workspace, init

_URL = "http://127.0.0.1:4201"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What was kept, by its key without the dataset's name."""
    kept: dict[str, str] = {}

    def keep(markdown: str, key: str, description: str) -> None:
        assert description
        kept[key.removeprefix("faces-")] = markdown

    monkeypatch.setattr(artifacts, "create_markdown_artifact", keep)
    return kept


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With a report that shows five images of one run and one of another."""
    workspace = init(tmp_path / "faces")
    worst = workspace.home / "report/index/worst"
    for name, count in (("comparison-fp16-xnnpack", 5), ("comparison-phone", 1)):
        for number in range(1, count + 1):
            write_text(worst / name / f"{number:02}.jpg", "picture")
    write_text(workspace.home / "report/index.html", "page")
    return workspace


@pytest.fixture
def served(workspace: Workspace) -> Iterator[None]:
    """As while `mirrorset serve` shows the report."""
    write_text(workspace.private / "serve.json", f'{{"report_url": "{_URL}"}}')
    with (workspace.private / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_where_nobody_shows_it_the_page_is_named(
    workspace: Workspace, kept: dict[str, str]
) -> None:
    # Of a serve that was killed.
    write_text(workspace.private / "serve.json", f'{{"report_url": "{_URL}"}}')
    show_report(workspace, workspace.home / "report/index.html")
    assert list(kept) == ["report"]
    assert "index" in kept["report"]
    assert "http" not in kept["report"]


@pytest.mark.usefixtures("served")
def test_where_it_is_shown_so_are_the_worst_images_of_each_run(
    workspace: Workspace, kept: dict[str, str]
) -> None:
    show_report(workspace, workspace.home / "report/index.html")
    assert f"[report]({_URL}/index.html)" in kept["report"]
    worst = kept["parity-worst"]
    first = f"{_URL}/index/worst/comparison-fp16-xnnpack/01.jpg"
    assert worst.count("![") == 5
    assert worst.index(first) < worst.index("/comparison-phone/01.jpg")
    assert "05.jpg" not in worst
    assert f"[report]({_URL}/index.html), with authors and licences" in worst


@pytest.mark.usefixtures("served")
def test_where_no_run_departs_there_is_none(workspace: Workspace, kept: dict[str, str]) -> None:
    for path in sorted((workspace.home / "report/index").rglob("*.jpg")):
        path.unlink()
    show_report(workspace, workspace.home / "report/index.html")
    assert list(kept) == ["report"]
