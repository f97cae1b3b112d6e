"""YuNet on real photographs: every face once, wherever it is and however large."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import insightface
import numpy as np
import pytest

from faces.detection import Detection, Image
from faces.registry import fetch, load_registry
from faces.yunet import YuNet
from mirrorset.pixels import decode


@pytest.fixture(scope="module")
def detector(model_cache: Path) -> YuNet:
    return YuNet(fetch(load_registry()["yunet"], model_cache))


def found(detector: YuNet, rgb: Image) -> tuple[Detection, ...]:
    return detector.detect([rgb])[0]


def portraits(shared_data: Path) -> list[Path]:
    photos = shared_data / "photos"
    return [
        *sorted((photos / "frl_london/neutral_front").glob("*.jpg"))[::10],
        *sorted((photos / "frl_london/smiling_front").glob("*.jpg"))[::3],
        *sorted((photos / "frl_zoom_cc0").glob("*.jpg")),
        *sorted((photos / "frl_lisa_cc0").glob("*.jpg")),
        *sorted((photos / "pd_portraits").iterdir()),
        *sorted((photos / "congress_pd_gray/img/200x250").glob("*.jpg"))[::20],
    ]


def test_portraits_have_one_face_and_so_have_crops_that_it_fills(
    detector: YuNet, shared_data: Path
) -> None:
    for path in portraits(shared_data):
        rgb = decode(path.read_bytes())
        (face,) = found(detector, rgb)
        left, top, right, bottom = np.maximum(face.box, 0).round().astype(int)
        (filling,) = found(detector, rgb[top:bottom, left:right])
        moved = filling.five_points + np.array([left, top])
        shift = np.linalg.norm(moved - face.five_points, axis=1)
        eyes = np.linalg.norm(face.five_points[1] - face.five_points[0])
        assert shift.max() < 0.25 * eyes, path.name


def test_small_faces_of_a_group_are_found_once_each(detector: YuNet) -> None:
    photo = Path(insightface.__file__).parent / "data/images/t1.jpg"
    faces = found(detector, decode(photo.read_bytes()))
    assert len(faces) == 6
    areas = [np.prod(face.box[2:] - face.box[:2]) for face in faces]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg"])
def test_no_face(detector: YuNet, shared_data: Path, name: str) -> None:
    photo = shared_data / "photos/negatives_skimage" / name
    assert found(detector, decode(photo.read_bytes())) == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (40, 2, 3)])
def test_odd_shapes_have_no_face(detector: YuNet, shape: tuple[int, ...]) -> None:
    assert found(detector, np.full(shape, 127, dtype=np.uint8)) == ()


def test_points_come_in_the_order_of_face5(detector: YuNet, shared_data: Path) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/astronaut.png").read_bytes())
    (face,) = found(detector, rgb)
    eye_left, eye_right, nose, mouth_left, mouth_right = face.five_points
    assert face.box[0] < eye_left[0] < nose[0] < eye_right[0] < face.box[2]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert eye_left[1] < nose[1] < mouth_left[1] < face.box[3]
    (mirrored,) = found(detector, cv2.flip(rgb, 1))
    back = mirrored.five_points[[1, 0, 2, 4, 3]]
    back[:, 0] = rgb.shape[1] - back[:, 0]
    np.testing.assert_allclose(back, face.five_points, atol=0.15 * (eye_right - eye_left)[0])


def test_equal_pixels_give_equal_faces_in_any_batch_and_thread(
    detector: YuNet, shared_data: Path
) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/grace_hopper.jpg").read_bytes())
    (alone,) = found(detector, rgb)
    batch = [rgb[:100, :50], rgb.copy(), rgb[100:, :400]]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(detector.detect, [batch] * 4))
    for _, (again,), _ in answers:
        assert alone.score == again.score
        np.testing.assert_array_equal(alone.box, again.box)
        np.testing.assert_array_equal(alone.five_points, again.five_points)
    assert detector.detect([]) == []
