"""The gates on real photographs."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.prelabel import PrelabelParams, prelabel_profile
from faces.age import AgeEstimator, AgeParams
from faces.profiles import Profile
from mirrorset.errors import SettingsError
from mirrorset.params import read_params
from mirrorset.pixels import decode

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
