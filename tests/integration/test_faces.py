"""The research profile on real photographs."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faces.age import AgeEstimator, AgeParams
from faces.expression import expression_distance
from faces.lighting import LightingParams
from faces.masks import decode
from faces.profiles import Profile, load_profile
from faces.registry import load_registry
from faces.schema import load_schema
from mirrorset.errors import SettingsError
from mirrorset.geometry import transform
from mirrorset.metrics import nme
from mirrorset.pixels import decode as decode_pixels
from mirrorset.records import Face, Pose

Image = NDArray[np.uint8]

# Seven points that both markups mean alike: eye corners, mouth corners, base of the nose.
IBUG68 = [36, 39, 42, 45, 48, 54, 33]
FRL189 = [18, 22, 23, 27, 87, 93, 55]


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


@pytest.fixture(scope="module")
def profiles(profile: Profile, model_cache: Path) -> dict[str, Profile]:
    return {"research": profile, "commercial": load_profile("commercial", model_cache)}


@pytest.fixture(scope="module")
def astronaut(shared_data: Path) -> Image:
    return read(shared_data / "photos/pd_portraits/astronaut.png")


def read(path: Path) -> Image:
    return decode_pixels(path.read_bytes())


def main_face(profile: Profile, rgb: Image) -> Face:
    return profile.measure(rgb).faces[0]


def frl_truth(path: Path) -> NDArray[np.float64]:
    """The 189 points of a FRL template: a count, then one point a line."""
    lines = path.read_text().splitlines()
    return np.array([[float(v) for v in line.split()] for line in lines[1 : 1 + int(lines[0])]])


def test_landmarks_are_near_the_truth(profile: Profile, shared_data: Path) -> None:
    ibug68, face106 = load_schema("ibug68"), load_schema("face106")
    errors: dict[str, list[float]] = {"ibug68": [], "face106": []}
    for path in sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))[::4]:
        truth = frl_truth(path.with_suffix(".tem"))
        interocular = float(np.linalg.norm(truth[18] - truth[27]))
        face = main_face(profile, read(path))
        points = {
            "ibug68": np.array(face.landmarks["ibug68"].points),
            "face106": ibug68.derive(face.landmarks["face106"].points, face106.name),
        }
        for name, found in points.items():
            errors[name].append(nme(found[IBUG68], truth[FRL189], interocular))
    assert len(errors["ibug68"]) == 10
    assert np.mean(errors["ibug68"]) < 0.017
    assert np.mean(errors["face106"]) < 0.020
    assert max(errors["ibug68"]) < 0.025


def test_a_face_turned_in_the_plane_and_moved_is_measured_alike(
    profile: Profile, shared_data: Path
) -> None:
    """One adult in four sizes, positions and rotations."""
    paths = sorted((shared_data / "photos/frl_lisa_cc0").glob("*.jpg"))
    faces = [main_face(profile, read(path)) for path in paths]
    poses = [face.pose for face in faces if face.pose]
    assert len(poses) == 4
    assert np.ptp([pose.yaw_deg for pose in poses]) < 4
    assert np.ptp([pose.roll_deg for pose in poses]) > 15
    assert all(np.mean(face.landmarks["ibug68"].confidence) > 0.8 for face in faces)


def test_a_face_that_fills_the_frame_is_found(profile: Profile, shared_data: Path) -> None:
    for path in sorted((shared_data / "photos/frl_zoom_cc0").glob("*.jpg")):
        assert len(profile.measure(read(path)).faces) == 1


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg"])
def test_no_face(profile: Profile, shared_data: Path, name: str) -> None:
    measures = profile.measure(read(shared_data / "photos/negatives_skimage" / name))
    assert measures.faces == ()
    assert measures.minor_probability == ()


@pytest.mark.parametrize(
    ("name", "towards"), [("B000911", "left"), ("C001087", "left"), ("G000559", "right")]
)
def test_mirroring(profile: Profile, shared_data: Path, name: str, towards: str) -> None:
    rgb = read(shared_data / f"photos/congress_pd_gray/img/200x250/{name}.jpg")
    face, mirrored = main_face(profile, rgb), main_face(profile, rgb[:, ::-1])
    assert face.pose
    assert mirrored.pose
    assert abs(face.pose.yaw_deg) > 10
    assert (face.pose.yaw_deg > 0) == (towards == "right")
    assert mirrored.pose.yaw_deg == pytest.approx(-face.pose.yaw_deg, abs=3)
    assert mirrored.pose.pitch_deg == pytest.approx(face.pose.pitch_deg, abs=4)
    assert mirrored.pose.roll_deg == pytest.approx(-face.pose.roll_deg, abs=3)
    for schema in (load_schema("ibug68"), load_schema("face106")):
        points = np.array(mirrored.landmarks[schema.name].points)[list(schema.mirror)]
        points[:, 0] = rgb.shape[1] - points[:, 0]
        truth = np.array(face.landmarks[schema.name].points)
        assert nme(points, truth, schema.interocular_px(truth)) < 0.03
    assert face.lighting
    assert mirrored.lighting
    assert mirrored.lighting.evenness == pytest.approx(face.lighting.evenness, abs=0.05)
    turned = {"left": "right", "right": "left"}
    # One side becomes another at a threshold, from which neither picture may be far.
    if abs(face.lighting.evenness - 2 ** -LightingParams().sided_from) > 0.05:
        assert mirrored.lighting.side == turned.get(face.lighting.side, face.lighting.side)


@pytest.mark.parametrize("name", ["research", "commercial"])
@pytest.mark.parametrize("clockwise_deg", [-150, -90, -45, -25, 25, 60, 90, 180])
def test_a_picture_turned_in_its_plane_is_labelled_alike(
    profiles: dict[str, Profile], astronaut: Image, name: str, clockwise_deg: int
) -> None:
    height, width = astronaut.shape[:2]
    # OpenCV turns counter-clockwise.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -clockwise_deg, 1)
    turned = cv2.warpAffine(astronaut, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    before, after = (main_face(profiles[name], rgb) for rgb in (astronaut, turned))
    moved = transform(before.landmarks["ibug68"].points, matrix)
    off = np.linalg.norm(moved - after.landmarks["ibug68"].points, axis=1)[27:].mean()
    assert off / load_schema("ibug68").interocular_px(moved) < 0.04
    assert expression_distance(before, after) < 0.02
    # The picture's turn and the head's own, which differ in where the nose points by a few degrees.
    turn = cv2.Rodrigues(np.array([0.0, 0.0, -np.radians(clockwise_deg)]))[0]
    apart = cv2.Rodrigues(rotation(after.pose).T @ turn @ rotation(before.pose))[0]
    assert np.degrees(np.linalg.norm(apart)) < 5


def rotation(pose: Pose) -> NDArray[np.float64]:
    """R_y(yaw) · R_x(−pitch) · R_z(−roll), (3, 3), as `mirrorset.records.Pose` says."""
    angles = np.radians([pose.yaw_deg, -pose.pitch_deg, -pose.roll_deg])
    y, x, z = (
        cv2.Rodrigues(angle * np.eye(3)[axis])[0]
        for axis, angle in zip((1, 0, 2), angles, strict=True)
    )
    return y @ x @ z


def test_faces_come_largest_first_and_the_box_lies_in_the_image(
    profile: Profile, astronaut: Image
) -> None:
    half = cv2.resize(astronaut, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    canvas = np.full((512, 800, 3), 128, dtype=np.uint8)
    canvas[:256, :256] = half
    canvas[:, 288:] = astronaut
    faces = profile.measure(canvas).faces
    assert [face.face_id for face in faces] == ["0", "1"]
    assert faces[0].box[0] > 288 > faces[1].box[2]
    for face in faces:
        left, top, right, bottom = face.box
        assert 0 <= left < right <= 800
        assert 0 <= top < bottom <= 512


def test_a_face_cut_by_the_edge_has_points_outside(profile: Profile, astronaut: Image) -> None:
    face = main_face(profile, astronaut)
    middle = int((face.box[0] + face.box[2]) / 2) - 15
    cut = main_face(profile, astronaut[:, middle:])
    seen = set(cut.landmarks["ibug68"].visibility)
    assert seen == {0, 2}
    assert 0 <= cut.box[0] < 5


def test_the_person_is_masked(profile: Profile, astronaut: Image) -> None:
    (mask,) = profile.measure(astronaut).masks
    assert mask.label == "person"
    pixels = decode(mask, *astronaut.shape[:2])
    left, top, right, bottom = (int(v) for v in main_face(profile, astronaut).box)
    assert pixels[top:bottom, left:right].mean() > 0.95
    assert pixels[:40, :60].mean() < 0.05


def test_equal_pixels_give_equal_records_that_survive_json(
    profile: Profile, astronaut: Image, model_cache: Path
) -> None:
    first = profile.measure(astronaut)
    again = load_profile("research", model_cache).measure(astronaut.copy())
    assert first == again
    (face,) = first.faces
    assert Face.model_validate_json(face.model_dump_json()) == face
    assert len(face.blendshapes) == 52
    for landmarks in face.landmarks.values():
        assert all(round(v, 2) == v for point in landmarks.points for v in point)


def test_the_minor_gate_can_fail(model_cache: Path, shared_data: Path, profile: Profile) -> None:
    """An adult is no minor; with an age floor above everyone's age everybody is below it."""
    rgb = read(shared_data / "photos/pd_portraits/grace_hopper.jpg")
    measures = profile.measure(rgb)
    assert max(measures.minor_probability) < 0.01
    assert not measures.is_intimate
    points = measures.faces[0].landmarks["ibug68"].points
    chances = [
        AgeEstimator(model_cache, AgeParams(age_floor=floor)).minor_probability([(rgb, points)])[0]
        for floor in (18, 40, 80)
    ]
    assert chances == sorted(chances)
    assert chances[-1] > 0.9


def test_every_label_can_name_its_models(profile: Profile) -> None:
    registry = load_registry()
    assert profile.name == "research"
    assert len(profile.models) == 4
    for model in profile.models:
        assert model.sha256 == registry[model.name].sha256
    assert not all(model.is_commercial_use_allowed for model in profile.models)


def test_an_unknown_profile_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there are commercial, research"):
        load_profile("resarch", tmp_path)


def test_nothing_reaches_the_users_screen(model_cache: Path, shared_data: Path) -> None:
    """Not from the making of the models, not from their use, not from the interpreter's end."""
    program = (
        "import sys; from pathlib import Path\n"
        "from faces.profiles import load_profile\n"
        "from mirrorset.pixels import decode\n"
        "profile = load_profile('research', Path(sys.argv[1]))\n"
        "assert profile.measure(decode(Path(sys.argv[2]).read_bytes())).faces\n"
    )
    image = shared_data / "photos/pd_portraits/astronaut.png"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, str(model_cache), str(image)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
