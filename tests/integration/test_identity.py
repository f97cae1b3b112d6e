"""Embeddings on real photographs: as their makers compute them, and what they tell apart."""

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from numpy.typing import NDArray

from faces.align import upright_face
from faces.detection import Image
from faces.identity import FaceEmbedder, IdentityParams, require_licensed
from faces.registry import fetch, load_registry
from faces.scrfd import Scrfd
from mirrorset.errors import LicenceError
from mirrorset.pixels import decode

#: One list a person.
PEOPLE = (
    ["frl_london/neutral_front/005_03.jpg", "frl_london/smiling_front/005_08.jpg"],
    ["frl_london/neutral_front/006_03.jpg", "frl_london/smiling_front/006_08.jpg"],
    [f"frl_zoom_cc0/{distance}cm.jpg" for distance in (15, 30, 45, 60)],
    ["frl_london/smiling_front/001_08.jpg"],
)
Located = tuple[Image, NDArray[np.float64]]


@pytest.fixture(scope="module")
def people(shared_data: Path, model_cache: Path) -> list[list[Located]]:
    """Pictures of each person with the five points of the one face."""
    detector = Scrfd(fetch(load_registry()["scrfd_500m_bnkps"], model_cache))

    def located(name: str) -> Located:
        rgb = decode((shared_data / "photos" / name).read_bytes())
        return rgb, detector.detect([rgb])[0][0].five_points

    return [[located(name) for name in names] for names in PEOPLE]


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def as_its_makers(model: str, path: Path, chip: Image) -> NDArray[np.float32]:
    if model == "sface":
        recogniser = cv2.FaceRecognizerSF.create(str(path), "")
        return np.asarray(recogniser.feature(chip[:, :, ::-1].copy())).ravel().copy()
    network = ArcFaceONNX(str(path))
    network.prepare(-1)
    return np.asarray(network.get_feat(chip[:, :, ::-1])).ravel()


@pytest.mark.parametrize("model", ["sface", "w600k_mbf"])
def test_they_are_those_of_the_models_makers(
    model: str, people: list[list[Located]], model_cache: Path
) -> None:
    rgb, five = people[0][0]
    chip = upright_face(rgb, five)
    assert chip is not None
    path = fetch(load_registry()[model], model_cache)
    looks = [as_its_makers(model, path, one) for one in (chip, chip[:, ::-1])]
    (own,) = FaceEmbedder(model_cache, IdentityParams(model=model)).embed(rgb, [five])
    assert cosine(own, looks[0] + looks[1]) > 0.9999
    assert np.linalg.norm(own) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", ["sface", "w600k_mbf"])
def test_one_person_is_alike_and_different_people_are_not(
    model: str, people: list[list[Located]], model_cache: Path
) -> None:
    params = IdentityParams(model=model)
    embedder = FaceEmbedder(model_cache, params)
    of = [[embedder.embed(rgb, [five])[0] for rgb, five in person] for person in people]
    same = [cosine(a, b) for person in of for a, b in combinations(person, 2)]
    apart = [cosine(a, b) for one, other in combinations(of, 2) for a in one for b in other]
    assert min(same) > params.threshold > max(apart)


def test_a_mirrored_picture_has_the_same_vector(
    people: list[list[Located]], model_cache: Path
) -> None:
    rgb, five = people[0][0]
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    points = five[[1, 0, 2, 4, 3]] * (-1, 1) + (rgb.shape[1] - 1, 0)
    embedder = FaceEmbedder(model_cache, IdentityParams())
    assert cosine(embedder.embed(rgb, [five])[0], embedder.embed(mirrored, [points])[0]) > 0.99


def test_what_else_is_looked_at_changes_nothing(
    people: list[list[Located]], model_cache: Path
) -> None:
    rgb, five = people[0][0]
    embedder = FaceEmbedder(model_cache, IdentityParams(model="w600k_mbf"))
    alone = embedder.embed(rgb, [five])
    among = embedder.embed(rgb, [five + 40, five, five - 20])
    assert np.array_equal(alone[0], among[1])
    assert embedder.embed(rgb, []).shape[0] == 0
    assert embedder.embed(rgb, [np.full((5, 2), 7.0)]).shape[0] == 0


def test_commerce_refuses_weights_that_forbid_it_by_name() -> None:
    require_licensed(None, "commercial")
    require_licensed(IdentityParams(model="sface"), "commercial")
    require_licensed(IdentityParams(model="w600k_mbf"), "research")
    with pytest.raises(LicenceError, match=r"w600k_mbf \(InsightFace non-commercial research\)"):
        require_licensed(IdentityParams(model="w600k_mbf"), "commercial")
