"""Which points the head hides: nothing of a frontal face, the far side of a turned one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faces.landmarks import Located, landmarks
from faces.mesh import FaceMesher
from faces.registry import fetch, load_registry
from faces.schema import load_schema
from faces.visibility import hidden_points
from faces.yunet import YuNet
from mirrorset.pixels import decode

Floats = NDArray[np.float64]
Locate = Callable[[NDArray[np.uint8]], Floats]

IBUG68, MESH = load_schema("ibug68"), load_schema("mesh478")
LEFT_JAW, RIGHT_JAW = list(range(8)), list(range(9, 17))


@pytest.fixture(scope="module")
def locate(model_cache: Path) -> Locate:
    """The mesh of the only face, (478, 3) px."""
    registry = load_registry()
    detector = YuNet(fetch(registry["yunet"], model_cache))
    mesher = FaceMesher(fetch(registry["face_landmarker"], model_cache))

    def located(rgb: NDArray[np.uint8]) -> Floats:
        (mesh,) = mesher.locate([(rgb, detector.detect([rgb])[0][0].box)])
        assert mesh
        return np.column_stack([mesh.points, mesh.depth_px])

    return located


@pytest.fixture(scope="module")
def frontal(locate: Locate, shared_data: Path) -> Floats:
    path = sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))[3]
    return locate(decode(path.read_bytes()))


def turned(mesh: Floats, yaw_deg: float) -> Floats:
    """The mesh turned about the vertical: towards the image's right where yaw_deg > 0."""
    cosine, sine = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    centre = mesh.mean(axis=0)
    return (mesh - centre) @ np.array([(cosine, 0, sine), (0, 1, 0), (-sine, 0, cosine)]) + centre


def test_portraits_from_the_front_hide_nothing(locate: Locate, shared_data: Path) -> None:
    photos = shared_data / "photos"
    paths = [
        *sorted((photos / "frl_london/neutral_front").glob("*.jpg"))[::8],
        *sorted((photos / "frl_london/smiling_front").glob("*.jpg"))[::2],
        *(photos / "pd_portraits").iterdir(),
        *(photos / "frl_zoom_cc0").glob("*.jpg"),
    ]
    hidden = [hidden_points(IBUG68, locate(decode(path.read_bytes()))) for path in paths]
    assert np.mean(hidden) < 0.005


@pytest.mark.parametrize(("yaw_deg", "far"), [(40, RIGHT_JAW), (-40, LEFT_JAW)])
def test_a_turn_hides_the_far_side(frontal: Floats, yaw_deg: float, far: list[int]) -> None:
    hidden = hidden_points(IBUG68, turned(frontal, yaw_deg))
    near = RIGHT_JAW if far is LEFT_JAW else LEFT_JAW
    assert hidden[far].sum() >= 5
    assert not hidden[near].any()
    assert not hidden[[8, 27, 28, 29, 30, 51, 57, 62, 66]].any(), "what lies in the middle is seen"


def test_more_is_hidden_the_further_the_head_turns(frontal: Floats) -> None:
    counts = [hidden_points(IBUG68, turned(frontal, yaw)).sum() for yaw in (0, 15, 30, 45, 60, 75)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] > 15
    eye_corner_behind_the_nose = 42
    assert hidden_points(IBUG68, turned(frontal, 60))[eye_corner_behind_the_nose]


@pytest.mark.parametrize("yaw_deg", [0, 25, 50])
def test_the_mirrored_mesh_hides_the_mirrored_points(frontal: Floats, yaw_deg: float) -> None:
    mesh = turned(frontal, yaw_deg)
    mirrored = (mesh * (-1, 1, 1))[list(MESH.mirror)]
    again = hidden_points(IBUG68, mirrored)[list(IBUG68.mirror)]
    # Six diagonals of MediaPipe's triangles are not mirrored.
    assert (hidden_points(IBUG68, mesh) != again).sum() <= 1


def test_size_and_place_change_nothing(frontal: Floats) -> None:
    mesh = turned(frontal, 35)
    np.testing.assert_array_equal(
        hidden_points(IBUG68, mesh), hidden_points(IBUG68, mesh * 0.13 + (500, -90, 7))
    )


def test_a_flat_face_hides_nothing(frontal: Floats) -> None:
    assert not hidden_points(IBUG68, frontal * (1, 1, 0)).any()


@pytest.mark.parametrize(("name", "far"), [("P000604", LEFT_JAW), ("B000911", LEFT_JAW)])
def test_heads_that_look_aside_and_their_mirror_images(
    locate: Locate, shared_data: Path, name: str, far: list[int]
) -> None:
    """Yaw of −20°: the nose points to the image's left, and that is where the jaw vanishes."""
    rgb = decode((shared_data / f"photos/congress_pd_gray/img/200x250/{name}.jpg").read_bytes())
    hidden = hidden_points(IBUG68, locate(rgb))
    assert hidden[far].sum() >= 3
    assert not np.delete(hidden, far).any()
    mirrored = hidden_points(IBUG68, locate(np.ascontiguousarray(rgb[:, ::-1])))
    assert (mirrored[list(IBUG68.mirror)] != hidden).sum() <= 1


def test_the_record_says_outside_before_hidden() -> None:
    located = Located(np.array([(5.0, 5.0), (5.0, 5.0), (-1.0, 5.0)]), np.full(3, 0.01))
    record = landmarks(located, 10, 10, np.array([False, True, True]))
    assert record.visibility == (2, 1, 0)
    assert landmarks(located, 10, 10).visibility == (2, 2, 0)
