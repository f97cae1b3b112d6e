"""Likeness to a selfie on real photographs, with the research profile."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faces.profiles import Profile, load_profile
from faces.selfie import eyes_to_face_width
from faces.slices import selfie_slice_of
from mirrorset.pixels import decode


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


def read(path: Path) -> NDArray[np.uint8]:
    return decode(path.read_bytes())


def ratio(profile: Profile, rgb: NDArray[np.uint8]) -> float:
    found = eyes_to_face_width(profile.measure(rgb).faces[0])
    assert found is not None
    return found


def test_the_ratio_rises_as_the_camera_comes_nearer(profile: Profile, shared_data: Path) -> None:
    """15, 30, 45 and 60 cm from the camera, as the files' names say."""
    folder = shared_data / "photos/frl_zoom_cc0"
    ratios = [ratio(profile, read(folder / f"{cm}cm.jpg")) for cm in (60, 45, 30, 15)]
    assert ratios == sorted(ratios)
    assert ratios[-1] - ratios[0] > 0.02


def test_so_it_does_where_the_head_is_moved_and_turned(profile: Profile, shared_data: Path) -> None:
    """One camera: the farther apart the eyes, the nearer the face."""
    measured = []
    for path in (shared_data / "photos/frl_lisa_cc0").glob("*.jpg"):
        face = profile.measure(read(path)).faces[0]
        assert face.quality
        measured.append((face.quality.inter_eye_distance_px, eyes_to_face_width(face)))
    ratios = [found for _, found in sorted(measured)]
    # Two of the four are about as near; the models' noise is .012 (below).
    assert min(after - before for before, after in pairwise(ratios)) > -0.002
    assert ratios[-1] - ratios[0] > 0.02


@pytest.mark.parametrize("degrees", [-20, 20])
def test_turning_and_scaling_the_picture_changes_little(
    profile: Profile, shared_data: Path, degrees: int
) -> None:
    rgb = read(shared_data / "photos/frl_zoom_cc0/45cm.jpg")
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.5)
    turned = np.asarray(cv2.warpAffine(rgb, matrix, (width, height)), dtype=np.uint8)
    assert ratio(profile, turned) == pytest.approx(ratio(profile, rgb), abs=0.012)


def test_most_portraits_are_not_likely_selfies(profile: Profile, shared_data: Path) -> None:
    """Portraits of a studio, and photographs that a phone took at arm's length."""
    photos = shared_data / "photos"

    def cell(path: Path) -> str:
        rgb = read(path)
        return selfie_slice_of(profile.measure(rgb).faces, rgb.shape[1], rgb.shape[0])

    studio = [
        cell(path) for path in sorted((photos / "frl_london/neutral_front").glob("*.jpg"))[::3]
    ]
    assert studio.count("likely") <= 0.15 * len(studio)
    assert {cell(path) for path in (photos / "frl_zoom_cc0").glob("*.jpg")} == {"likely"}
    assert cell(photos / "pd_portraits/astronaut.png") == "unlikely"
