"""ibug68 derived from both models' points, against people's markup and against each other."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from frl_template import read_template, truth68
from numpy.typing import NDArray

from faces.landmarks106 import Landmarks106
from faces.mesh import FaceMesher
from faces.registry import fetch, load_registry
from faces.schema import load_schema
from faces.yunet import YuNet
from mirrorset.pixels import decode

Floats = NDArray[np.float64]

GROUPS = {
    "jaw": range(17),
    "brows": range(17, 27),
    "nose base": [33],
    "eye corners": [36, 39, 42, 45],
    "lids": [37, 38, 40, 41, 43, 44, 46, 47],
    "mouth corners": [48, 54],
    "outer lip": [49, 50, 51, 52, 53, 55, 56, 57, 58, 59],
    "inner lip": range(60, 68),
}
# Mean errors in interocular distances, a tenth above what was measured on these ten portraits.
LIMITS = {
    "mesh478": (0.043, 0.044, 0.017, 0.015, 0.012, 0.017, 0.015, 0.0145),
    "face106": (0.036, 0.034, 0.016, 0.020, 0.015, 0.017, 0.020, 0.018),
}


class Located(NamedTuple):
    """mesh478: (478, 2) px; face106: (106, 2) px."""

    mesh478: Floats
    face106: Floats


@pytest.fixture(scope="module")
def locate(model_cache: Path) -> Callable[[Path], Located]:
    registry = load_registry()
    detector, mesh, points106 = (
        fetch(registry[name], model_cache) for name in ("yunet", "face_landmarker", "2d106det")
    )
    detect, mesher, landmarks = YuNet(detector), FaceMesher(mesh), Landmarks106(points106)

    def located(path: Path) -> Located:
        rgb = decode(path.read_bytes())
        face = (rgb, detect.detect([rgb])[0][0].box)
        (found,) = mesher.locate([face])
        assert found
        return Located(found.points, landmarks.locate([face])[0][0])

    return located


def test_every_group_lies_near_the_truth(
    locate: Callable[[Path], Located], shared_data: Path
) -> None:
    schema = load_schema("ibug68")
    errors = {source: {group: [] for group in GROUPS} for source in LIMITS}
    for path in sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))[::4]:
        truth = truth68(read_template(path.with_suffix(".tem")))
        interocular = np.linalg.norm(truth[36] - truth[45])
        located = locate(path)._asdict()
        for source, of_source in errors.items():
            found = schema.derive(located[source], source)
            for group, indices in GROUPS.items():
                of_source[group] += [
                    np.linalg.norm(found[i] - truth[i]) / interocular for i in indices
                ]
    for source, limits in LIMITS.items():
        means = {group: float(np.mean(values)) for group, values in errors[source].items()}
        too_far = {
            group: mean
            for (group, mean), limit in zip(means.items(), limits, strict=True)
            if mean > limit
        }
        assert not too_far, f"{source}: {means}"


def test_both_models_agree_on_faces_that_no_map_was_fitted_on(
    locate: Callable[[Path], Located], shared_data: Path
) -> None:
    schema = load_schema("ibug68")
    photos = shared_data / "photos"
    paths = [
        *sorted((photos / "congress_pd_gray/img/200x250").glob("*.jpg"))[::25],
        *sorted((photos / "frl_lisa_cc0").glob("*.jpg")),
    ]
    apart = []
    for path in paths:
        located = locate(path)
        first = schema.derive(located.face106, "face106")
        second = schema.derive(located.mesh478, "mesh478")
        distance = np.linalg.norm(first - second, axis=1) / schema.interocular_px(first)
        apart.append(distance)
    means = np.mean(apart, axis=0)
    assert means[:17].mean() < 0.05, "jaw"
    assert means[17:27].mean() < 0.045, "brows"
    assert means[27:].mean() < 0.028, "eyes, nose and mouth"


def test_the_derived_shape_keeps_the_proportions_of_the_markup(
    locate: Callable[[Path], Located], shared_data: Path
) -> None:
    """How far down each jaw point lies, from the eyes' line to the chin (OpenFace's template)."""
    schema = load_schema("ibug68")
    expected = [0.007, 0.169, 0.331, 0.491, 0.641, 0.771, 0.883, 0.974, 1.0]
    paths = sorted((shared_data / "photos/frl_london/smiling_front").glob("*.jpg"))
    depths: dict[str, list[Floats]] = {"mesh478": [], "face106": []}
    for path in paths:
        for source, points in locate(path)._asdict().items():
            found = schema.derive(points, source)
            across = found[45] - found[36]
            down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
            depth = (found[:17] - found[[36, 45]].mean(axis=0)) @ down
            depths[source].append((depth[:9] + depth[16:7:-1]) / 2 / depth[8])
    for source, of_source in depths.items():
        np.testing.assert_allclose(np.mean(of_source, axis=0), expected, atol=0.05, err_msg=source)
