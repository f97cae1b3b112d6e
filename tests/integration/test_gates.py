"""The gates on real photographs; and that the minor gate's figure is nowhere after a run."""

import re
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from demo_run import Demo

from annotation.prelabel import PrelabelParams, prelabel_profile
from faces.age import AgeEstimator, AgeParams
from faces.profiles import Profile
from mirrorset.errors import SettingsError
from mirrorset.params import read_params
from mirrorset.pixels import decode
from mirrorset.workspace import open_workspace

LIMIT = PrelabelParams().max_minor_probability


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return prelabel_profile(PrelabelParams(), model_cache)


def faces(paths: list[Path], profile: Profile) -> list[tuple[np.ndarray, np.ndarray]]:
    """The main face of each picture, as the gate gets it."""
    pictures = [decode(path.read_bytes()) for path in paths]
    points = [profile.measure(rgb).faces[0].landmarks["ibug68"].points for rgb in pictures]
    return [(rgb, np.array(of)) for rgb, of in zip(pictures, points, strict=True)]


def test_the_gate_tells_the_young_from_the_old(
    shared_data: Path, model_cache: Path, profile: Profile
) -> None:
    """With the floor moved to 25 those of 18 and 20 are in doubt, and no member of Congress."""
    photos = shared_data / "photos"
    names = ("043", "082", "123")  # 20, 20 and 18 years old
    young = [photos / f"frl_london/neutral_front/{name}_03.jpg" for name in names]
    members = sorted((photos / "congress_pd_gray").rglob("*.jpg"))[:6]
    moved = AgeEstimator(model_cache, AgeParams(age_floor=25))
    assert min(moved.minor_probability(faces(young, profile))) > LIMIT
    assert max(moved.minor_probability(faces(members, profile))) < LIMIT


def test_a_face_too_small_to_tell_is_in_doubt(shared_data: Path, model_cache: Path) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/grace_hopper.jpg").read_bytes())
    points = np.array([(250.0, 150 + index) for index in range(68)])
    points[36], points[45] = (200, 180), (290, 180)
    scale = 13 / 90
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    estimator = AgeEstimator(model_cache, AgeParams(model="age-v1"))
    large_one, small_one = estimator.minor_probability([(rgb, points), (small, points * scale)])
    assert small_one == 1
    assert large_one < 1
    assert estimator.minor_probability([]) == []


def test_portraits_are_not_intimate(shared_data: Path, profile: Profile) -> None:
    photos = shared_data / "photos"
    paths = [*sorted((photos / "frl_zoom_cc0").glob("*.jpg"))[:2]]
    paths += sorted((photos / "pd_portraits").glob("*g"))
    for path in paths:
        assert not profile.measure(decode(path.read_bytes())).is_intimate


def test_only_a_named_person_switches_the_intimate_gate_off(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("prelabel: {intimate: {model: none}}\n")
    with pytest.raises(SettingsError, match=r"prelabel\.intimate: .*decided_by"):
        read_params(path, "prelabel", PrelabelParams)
    path.write_text("prelabel: {intimate: {model: none, decided_by: Jane Doe}}\n")
    assert read_params(path, "prelabel", PrelabelParams).intimate.decided_by == "Jane Doe"


def test_the_figure_is_nowhere_after_a_run(demo: Demo, profile: Profile) -> None:
    """Neither its digits nor its bytes nor a field for it: in no file, table, archive or log."""
    workspace = open_workspace(demo.home)
    blobs = [path for path in Path(workspace.settings.blobs_url).rglob("*") if path.is_file()]
    figures: list[float] = []
    for path in blobs:
        figures += profile.measure(decode(path.read_bytes())).minor_probability
    assert len(figures) > 8
    # Twelve significant digits: eight of a small figure begin with zeros, and are found by chance
    # in the times of Prefect's database.
    written = [f"{figure:.16e}".replace(".", "")[:12].encode() for figure in figures]
    packed = [struct.pack(kind, figure) for figure in figures for kind in ("<d", ">d")]
    # Rounded figures cannot be told from coordinates, so a field for them is looked for.
    field = re.compile(rb"(?<!max_)minor_prob|apparent_age|\"(age|minor|years)\"\s*:")
    seen = 0
    for name, content in contents(demo.home, {path.name for path in blobs}):
        seen += 1
        assert not [figure for figure in written + packed if figure in content], name
        assert not field.search(content), name
    assert seen > 50


def test_no_verdict_on_age_holds_a_number(demo: Demo) -> None:
    workspace = open_workspace(demo.home)
    database = workspace.settings.catalogue_url.removeprefix("sqlite:///")
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT measured, threshold FROM verdicts WHERE \"check\" IN ('adult', 'intimate')"
        ).fetchall()
    assert len(rows) > 5
    assert set(rows) == {(None, None)}


def contents(home: Path, ids: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every file below, archives and Parquet unpacked; but not the original pictures."""
    for path in home.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.name in ids:
            continue
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            yield f"{path} unpacked", repr(pq.read_table(path).to_pydict()).encode()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}#{name}", archive.read(name)
