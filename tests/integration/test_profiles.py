"""The commercial profile on real photographs, and what all profiles promise."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from frl_template import read_template, truth68

from annotation.prelabel import PrelabelParams
from faces.profiles import PROFILES, Profile, load_profile, profile_models
from faces.registry import load_registry
from mirrorset.metrics import nme
from mirrorset.pixels import decode
from mirrorset.records import Face


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("commercial", model_cache)


def test_commercial_means_no_other_weight_is_as_much_as_fetched(
    model_cache: Path, tmp_path: Path, shared_data: Path
) -> None:
    """Its own folder holds its own files; whatever else were asked for would come to lie there.

    The gates' weights, which make no label, are settings of their own.
    """
    wanted = profile_models("commercial")
    assert all(model.is_commercial_use_allowed for model in wanted)
    load_profile("commercial", model_cache)
    registry = load_registry()
    gates = [registry[name] for name in ("age-v1", "nudenet")]
    for model in (*wanted, *gates):
        shutil.copy(model_cache / model.file, tmp_path)
    profile = load_profile("commercial", tmp_path)
    rgb = decode((shared_data / "photos/pd_portraits/astronaut.png").read_bytes())
    assert len(profile.measure(rgb).faces) == 1
    files = {model.file for model in (*wanted, *gates)}
    assert {path.name for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("name", PROFILES)
def test_labels_of_every_profile_state_weights_and_licences(name: str) -> None:
    registry = load_registry()
    for model in profile_models(name):
        assert model == registry[model.name]
        assert model.licence


def test_labels_state_what_made_them(profile: Profile) -> None:
    assert profile.name == "commercial"
    assert [model.name for model in profile.models][:3] == [
        "yunet",
        "face_landmarker",
        "selfie_segmentation",
    ]
    registry = load_registry()
    for model in profile.models:
        assert model.sha256 == registry[model.name].sha256
        assert model.licence == registry[model.name].licence


def test_faces_are_measured_as_by_research_but_for_the_106_points(
    profile: Profile, shared_data: Path
) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/grace_hopper.jpg").read_bytes())
    measures = profile.measure(rgb)
    (face,) = measures.faces
    assert list(face.landmarks) == ["ibug68"]
    assert face.pose
    assert face.lighting
    assert face.quality
    assert face.uncertainty
    assert len(face.blendshapes) == 52
    assert [mask.label for mask in measures.masks] == ["person"]
    assert measures.minor_probability[0] < PrelabelParams().max_minor_probability
    assert Face.model_validate_json(face.model_dump_json()) == face


def test_all_68_points_are_near_the_truth(profile: Profile, shared_data: Path) -> None:
    errors = []
    for path in sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))[::6]:
        truth = truth68(read_template(path.with_suffix(".tem")))
        (face,) = profile.measure(decode(path.read_bytes())).faces
        found = np.array(face.landmarks["ibug68"].points)
        interocular = float(np.linalg.norm(truth[36] - truth[45]))
        marked = sorted(truth)
        errors.append(nme(found[marked], np.array([truth[i] for i in marked]), interocular))
        assert set(face.landmarks["ibug68"].visibility) == {2}
    assert np.mean(errors) < 0.029
    assert max(errors) < 0.04


def test_faces_are_found_where_they_are_and_nowhere_else(
    profile: Profile, shared_data: Path
) -> None:
    photos = shared_data / "photos"
    with_one = [
        *(photos / "frl_zoom_cc0").glob("*.jpg"),
        *(photos / "frl_lisa_cc0").glob("*.jpg"),
        *sorted((photos / "frl_london/smiling_front").glob("*.jpg"))[::2],
        *sorted((photos / "congress_pd_gray/img/200x250").glob("*.jpg"))[::60],
    ]
    without = [photos / "negatives_skimage" / name for name in ("chelsea.png", "coffee.png")]
    found = profile.measure_batch([decode(path.read_bytes()) for path in [*with_one, *without]])
    counts = [(len(measures.faces), measures.unconfirmed) for measures in found]
    assert counts == [(1, 0)] * len(with_one) + [(0, 0)] * len(without)


def test_a_face_that_no_model_marks_keeps_its_box_and_is_in_doubt(
    profile: Profile, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/astronaut.png").read_bytes())
    monkeypatch.setattr(profile._mesher, "locate", lambda faces: [None] * len(faces))
    measures = profile.measure(rgb)
    (face,) = measures.faces
    assert face.landmarks == {}
    assert face.pose is face.lighting is face.quality is face.uncertainty is None
    assert measures.minor_probability == (1.0,)


def test_parsing_adds_classes_and_changes_nothing_else(
    model_cache: Path, shared_data: Path
) -> None:
    rgb = decode((shared_data / "photos/pd_portraits/astronaut.png").read_bytes())
    plain = load_profile("research", model_cache).measure(rgb)
    parsing = load_profile("research-parsing", model_cache)
    parsed = parsing.measure(rgb)
    assert parsed.faces == plain.faces
    assert parsed.masks[0] == plain.masks[0]
    assert {"skin", "hair", "nose"} <= {mask.label for mask in parsed.masks[1:]}
    assert parsing.models[-1].name == "bisenet"
