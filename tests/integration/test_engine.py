"""The engine on real photographs: insightface's results, whatever the batch and the workers."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import insightface
import numpy as np
import pytest
from insightface.app import FaceAnalysis

from faces.detection import Image
from faces.engine import EngineParams, in_batches
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.profiles import Measures, Profile, load_profile
from faces.registry import fetch, load_registry
from faces.scrfd import Scrfd, ScrfdParams
from mirrorset.geometry import iou
from mirrorset.pixels import decode


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> list[Image]:
    """Of all sets, faces of all sizes, none, and a group of six: 17 in all."""
    photos = shared_data / "photos"
    paths = [
        *sorted((photos / "frl_london/neutral_front").glob("*.jpg"))[::16],
        *sorted((photos / "frl_lisa_cc0").glob("*.jpg"))[:2],
        *sorted((photos / "frl_zoom_cc0").glob("*.jpg"))[:2],
        *sorted((photos / "congress_pd_gray").rglob("*.jpg"))[::75],
        *sorted((photos / "negatives_skimage").glob("*"))[:3],
        *sorted((photos / "pd_portraits").glob("*.*g")),
        Path(insightface.__file__).parent / "data/images/t1.jpg",
    ]
    return [decode(path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


@pytest.fixture(scope="module")
def alone(profile: Profile, photographs: list[Image]) -> list[Measures]:
    return [profile.measure(rgb) for rgb in photographs]


def test_boxes_and_points_are_insightfaces(
    photographs: list[Image], model_cache: Path, tmp_path: Path
) -> None:
    registry = load_registry()
    scrfd, points = (
        fetch(registry[name], model_cache) for name in ("scrfd_500m_bnkps", "2d106det")
    )
    for path in (scrfd, points):
        shutil.copy(path, tmp_path)
    peer = FaceAnalysis(str(tmp_path), providers=["CPUExecutionProvider"])
    peer.prepare(ctx_id=-1, det_size=(640, 640))
    ours = Scrfd(scrfd, ScrfdParams(input_sides_px=(640,)))
    landmarker = Landmarks106(points, Landmarks106Params(is_mirrored_too=False))
    faces = 0
    for rgb in photographs:
        expected = peer.get(np.ascontiguousarray(rgb[:, :, ::-1]))
        (found,) = ours.detect([rgb])
        assert len(found) == len(expected)
        located = landmarker.locate([(rgb, one.box) for one in found])
        for face in expected:
            overlaps = iou(face.bbox, [one.box for one in found])[0]
            index = int(overlaps.argmax())
            assert overlaps[index] > 0.9999
            assert found[index].score == pytest.approx(face.det_score, abs=1e-5)
            np.testing.assert_allclose(found[index].five_points, face.kps, rtol=0, atol=0.01)
            points_106, apart = located[index]
            np.testing.assert_allclose(points_106, face.landmark_2d_106, rtol=0, atol=0.05)
            assert not apart.any()
            faces += 1
    assert faces >= 18


@pytest.mark.parametrize(("batch", "workers"), [(1, 2), (3, 1), (8, 2)])
def test_batch_order_and_workers_change_nothing(
    profile: Profile,
    photographs: list[Image],
    alone: list[Measures],
    batch: int,
    workers: int,
) -> None:
    """To the last bit, the gate's unrounded probabilities included."""
    order = np.random.default_rng(batch).permutation(len(photographs)).tolist()
    shuffled = [photographs[index] for index in order]
    params = EngineParams(workers=workers, batch=batch)
    found = list(in_batches(profile.measure_batch, shuffled, params))
    assert found == [alone[index] for index in order]


def test_unrounded_points_do_not_depend_on_the_batch(
    photographs: list[Image], model_cache: Path
) -> None:
    registry = load_registry()
    detector = Scrfd(fetch(registry["scrfd_500m_bnkps"], model_cache))
    landmarker = Landmarks106(fetch(registry["2d106det"], model_cache))

    def boxes_and_points(images: Sequence[Image]) -> list[np.ndarray]:
        found = detector.detect(images)
        boxes = [
            (rgb, one.box) for rgb, of_image in zip(images, found, strict=True) for one in of_image
        ]
        located = landmarker.locate(boxes)
        return [
            np.vstack([box.reshape(2, 2), points])
            for (_, box), (points, _) in zip(boxes, located, strict=True)
        ]

    one_by_one = [face for rgb in photographs for face in boxes_and_points([rgb])]
    together = boxes_and_points(photographs)
    assert len(together) >= 18
    for single, batched in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(batched, single)


def test_an_empty_batch_is_measured(profile: Profile) -> None:
    assert profile.measure_batch([]) == []
