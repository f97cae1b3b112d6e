"""Which releases and batches a quarantine concerns."""

from pathlib import Path

import pytest

from flows.verify import releases_with
from mirrorset.settings import read_settings
from mirrorset.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three versions, holding the images a and b, b and c, c."""
    for version, images in (("0.1.0", "ab"), ("0.2.0", "bc"), ("0.3.0", "c")):
        folder = tmp_path / "data" / "releases" / "faces" / version
        folder.mkdir(parents=True)
        rows = "".join(f'{image * 64},"Ada, and\nGrace"\n' for image in images)
        (folder / "ATTRIBUTION.csv").write_text(f"image_id,author\n{rows}")
        (folder / "release.json").write_text("{}")
    return Workspace(tmp_path, read_settings(tmp_path))


def test_releases_are_named_with_how_many_of_the_images_they_hold(workspace: Workspace) -> None:
    ids = {letter: letter * 64 for letter in "abcd"}
    assert releases_with(workspace, {ids["a"], ids["b"]}) == {"faces 0.1.0": 2, "faces 0.2.0": 1}
    assert releases_with(workspace, {ids["d"]}) == {}
    assert releases_with(workspace, set()) == {}


def test_a_release_that_is_still_being_written_is_none(workspace: Workspace) -> None:
    folder = workspace.home / "data" / "releases" / "faces"
    (folder / "0.1.0" / "release.json").unlink()
    assert releases_with(workspace, {"a" * 64}) == {}
