"""Pose, lighting, quality and expression on real photographs, as they are and altered."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from relit import shading, times

from faces.expression import expression_distance
from faces.lighting import lighting
from faces.masks import decode as decode_mask
from faces.pose import pose_from_points
from faces.profiles import Profile, load_profile
from faces.region import face_region
from mirrorset.pixels import decode
from mirrorset.records import Face, Lighting, Pose, Quality

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> Path:
    return shared_data / "photos"


@pytest.fixture(scope="module")
def neutral(photos: Path) -> list[Image]:
    """Eight studio portraits, lit evenly from the front before a white wall; all tones of skin."""
    paths = sorted((photos / "frl_london/neutral_front").glob("*.jpg"))
    return [smaller(read(path), 600) for path in paths[::5]]


@pytest.fixture(scope="module")
def neutral_faces(profile: Profile, neutral: list[Image]) -> list[Face]:
    return [main_face(profile, rgb) for rgb in neutral]


def read(path: Path) -> Image:
    return decode(path.read_bytes())


def smaller(rgb: Image, side_px: int) -> Image:
    factor = side_px / max(rgb.shape)
    return cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def turned(rgb: Image, clockwise_deg: float) -> Image:
    height, width = rgb.shape[:2]
    # OpenCV turns counter-clockwise.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -clockwise_deg, 1)
    return cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def mirrored(rgb: Image) -> Image:
    return np.ascontiguousarray(rgb[:, ::-1])


def main_face(profile: Profile, rgb: Image) -> Face:
    return profile.measure(rgb).faces[0]


def angles(pose: Pose | None) -> NDArray[np.float64]:
    assert pose
    return np.array([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])


def points_of(face: Face) -> tuple[tuple[float, float], ...]:
    return face.landmarks["ibug68"].points


def quality_of(profile: Profile, rgb: Image) -> Quality:
    quality = main_face(profile, rgb).quality
    assert quality
    return quality


def light_on(rgb: Image, face: Face) -> Lighting:
    """The lighting at the landmarks of a face that was measured before its light was changed."""
    return lighting(face_region(rgb, points_of(face)))


# --- pose -------------------------------------------------------------------------------------


def test_points_and_matrix_agree(profile: Profile, photos: Path, neutral_faces: list[Face]) -> None:
    paths = [
        *sorted((photos / "frl_lisa_cc0").glob("*.jpg")),
        *sorted((photos / "frl_zoom_cc0").glob("*.jpg")),
        *sorted((photos / "congress_pd_gray/img/200x250").glob("*.jpg"))[::25],
    ]
    faces = [*neutral_faces, *(main_face(profile, read(path)) for path in paths)]
    errors = np.array(
        [angles(pose_from_points(points_of(face))) - angles(face.pose) for face in faces]
    )
    yaw, pitch, roll = np.abs(errors).mean(axis=0)
    told = f"mean absolute difference yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f}"
    assert yaw < 1.2, told
    assert pitch < 3.2, told
    assert roll < 0.8, told


@pytest.mark.parametrize("clockwise_deg", [-35, 35])
def test_points_of_a_turned_picture_roll_alone(
    profile: Profile, neutral: list[Image], neutral_faces: list[Face], clockwise_deg: int
) -> None:
    before = angles(pose_from_points(points_of(neutral_faces[0])))
    after = angles(
        pose_from_points(points_of(main_face(profile, turned(neutral[0], clockwise_deg))))
    )
    assert after - before == pytest.approx([0, 0, clockwise_deg], abs=5)


# --- lighting ---------------------------------------------------------------------------------


def test_the_side_of_a_known_light_is_found(
    neutral: list[Image], neutral_faces: list[Face]
) -> None:
    """A lamp at known angles; the confusion is in the message."""
    lamps = {
        "left": [(-50, 10), (-75, 0)],
        "right": [(50, 10), (75, 0)],
        "front": [(0, 0), (10, 0)],
        "top": [(0, 70)],
    }
    seen: Counter[tuple[str, str]] = Counter()
    for rgb, face in zip(neutral, neutral_faces, strict=True):
        for side, directions in lamps.items():
            for azimuth, elevation in directions:
                shade = shading(rgb, points_of(face), azimuth, elevation, ambient=0.3)
                seen[side, light_on(times(rgb, shade), face).side] += 1
    told = ", ".join(f"{lamp} read as {side}: {n}" for (lamp, side), n in sorted(seen.items()))
    right = sum(n for (lamp, side), n in seen.items() if lamp == side)
    assert right >= 0.9 * seen.total(), told
    assert seen["left", "right"] + seen["right", "left"] == 0, told
    assert seen["left", "left"] + seen["right", "right"] == 32, told


def test_studio_light_is_from_the_front_whatever_the_skin(neutral_faces: list[Face]) -> None:
    assert {face.lighting.side for face in neutral_faces if face.lighting} == {"front"}
    levels = [face.lighting.level for face in neutral_faces if face.lighting]
    assert max(levels) > 3 * min(levels)


def test_a_mirrored_picture_is_lit_from_the_other_side(
    neutral: list[Image], neutral_faces: list[Face], profile: Profile
) -> None:
    rgb, face = neutral[0], neutral_faces[0]
    lit = times(rgb, shading(rgb, points_of(face), 60, 0, ambient=0.2))
    one, other = main_face(profile, lit).lighting, main_face(profile, mirrored(lit)).lighting
    assert one
    assert other
    assert (one.side, other.side) == ("right", "left")
    assert other.evenness == pytest.approx(one.evenness, abs=0.05)
    assert other.level == pytest.approx(one.level, abs=0.01)


def test_light_from_behind(
    profile: Profile, photos: Path, neutral: list[Image], neutral_faces: list[Face]
) -> None:
    """Four dim pictures before a lit wall; studio portraits whose person alone is darkened."""
    for path in sorted((photos / "frl_lisa_cc0").glob("*.jpg")):
        face = main_face(profile, read(path))
        assert face.lighting
        assert face.lighting.side == "back", path.name
    for rgb, face in zip(neutral[::2], neutral_faces[::2], strict=True):
        (mask,) = profile.measure(rgb).masks
        darkened = np.where(decode_mask(mask, *rgb.shape[:2])[..., None], 0.15, 1.0)
        assert light_on(times(rgb, darkened), face).side == "back"


def test_a_warm_and_a_cold_lamp_are_mixed(neutral: list[Image], neutral_faces: list[Face]) -> None:
    for rgb, face in zip(neutral, neutral_faces, strict=True):
        is_left = (np.arange(rgb.shape[1]) < points_of(face)[27][0])[None, :, None]
        assert light_on(times(rgb, np.where(is_left, (1, 0.7, 0.5), (0.5, 0.7, 1))), face).side == (
            "mixed"
        )


def test_a_warm_light_is_warmer(neutral: list[Image], neutral_faces: list[Face]) -> None:
    for rgb, face in zip(neutral[:3], neutral_faces[:3], strict=True):
        warm = light_on(times(rgb, np.array([1, 0.8, 0.5])), face)
        assert face.lighting
        assert warm.colour_cast == pytest.approx(face.lighting.colour_cast + 1, abs=0.1)


# --- quality ----------------------------------------------------------------------------------


def test_blur_lowers_sharpness_step_by_step(profile: Profile, neutral: list[Image]) -> None:
    for rgb in neutral[:2]:
        blurred = [rgb] + [cv2.GaussianBlur(rgb, (0, 0), sigma) for sigma in (1, 2, 4)]
        falling = [quality_of(profile, image).sharpness for image in blurred]
        assert falling == sorted(falling, reverse=True)
        assert falling[-1] < falling[0] / 10


def test_darkness_and_glare(profile: Profile, neutral: list[Image]) -> None:
    rgb = neutral[0]
    normal = quality_of(profile, rgb)
    dark, black, glaring = (quality_of(profile, times(rgb, f)) for f in (0.5, 0.02, 6.0))
    assert dark.luminance_mean == pytest.approx(normal.luminance_mean / 2, rel=0.03)
    assert dark.luminance_variance == pytest.approx(normal.luminance_variance / 4, rel=0.1)
    assert dark.dynamic_range == pytest.approx(normal.dynamic_range - 1, abs=0.15)
    assert max(normal.under_exposure, normal.over_exposure) < 0.001
    assert black.under_exposure > 0.95
    assert glaring.over_exposure > 0.5


def test_the_darkest_skin_of_the_studio_is_not_under_exposed(
    profile: Profile, photos: Path
) -> None:
    for name in ("043_03", "062_03", "082_03", "137_03"):
        rgb = read(photos / f"frl_london/neutral_front/{name}.jpg")
        assert quality_of(profile, smaller(rgb, 600)).under_exposure < 0.05


def test_a_lamp_from_the_side_lowers_uniformity(
    profile: Profile, neutral: list[Image], neutral_faces: list[Face]
) -> None:
    for rgb, face in zip(neutral[:2], neutral_faces[:2], strict=True):
        lit = times(rgb, shading(rgb, points_of(face), -60, 0, ambient=0.2))
        assert face.quality
        before = face.quality.illumination_uniformity
        assert quality_of(profile, lit).illumination_uniformity < before / 2


def test_a_smile_opens_the_mouth(profile: Profile, photos: Path) -> None:
    neutral, smiling = (
        quality_of(profile, read(photos / f"frl_london/{name}.jpg"))
        for name in ("neutral_front/006_03", "smiling_front/006_08")
    )
    assert smiling.mouth_closed > neutral.mouth_closed + 0.02
    assert min(smiling.eyes_open, neutral.eyes_open) > 0.04


def test_a_crop_moves_its_margin(profile: Profile, neutral: list[Image]) -> None:
    rgb = neutral[0]
    whole = quality_of(profile, rgb)
    cut = quality_of(profile, rgb[40:, 60:])
    assert whole.margin_left - cut.margin_left == pytest.approx(
        60 / whole.inter_eye_distance_px, rel=0.15
    )
    assert cut.margin_right == pytest.approx(whole.margin_right, rel=0.05)
    assert cut.margin_above < whole.margin_above - 0.15
    assert cut.margin_below == pytest.approx(whole.margin_below, rel=0.05)
    assert cut.head_size == pytest.approx(whole.head_size * len(rgb) / (len(rgb) - 40), rel=0.05)


def test_mirroring_swaps_the_margins_and_nothing_else(
    profile: Profile, neutral: list[Image]
) -> None:
    for rgb in neutral[:2]:
        one, other = quality_of(profile, rgb), quality_of(profile, mirrored(rgb))
        swapped = other.model_copy(
            update={"margin_left": other.margin_right, "margin_right": other.margin_left}
        )
        for name, value in one:
            assert getattr(swapped, name) == pytest.approx(value, rel=0.05, abs=0.01), name


# --- expression -------------------------------------------------------------------------------


def distances(pairs: Iterable[tuple[Face, Face]]) -> list[float]:
    return [expression_distance(a, b) for a, b in pairs]


def test_one_expression_is_nearer_to_itself_than_a_smile(
    profile: Profile, photos: Path, neutral: list[Image], neutral_faces: list[Face]
) -> None:
    """One face at several distances, places and rotations; two people neutral and smiling."""
    lisa, zoom = (
        [main_face(profile, read(photos / name)) for name in names]
        for names in (
            [f"frl_lisa_cc0/lisa{i}.jpg" for i in (1, 2, 3, 4)],
            [f"frl_zoom_cc0/{cm}cm.jpg" for cm in (30, 45, 60)],
        )
    )
    turns = [
        (face, main_face(profile, turned(rgb, angle)))
        for rgb, face in zip(neutral[:2], neutral_faces[:2], strict=True)
        for angle in (-30, 30)
    ]
    sizes = [
        (face, main_face(profile, smaller(rgb, 300)))
        for rgb, face in zip(neutral[:2], neutral_faces[:2], strict=True)
    ]
    within = {
        "lisa": distances(combinations(lisa, 2)),
        "zoom": distances(combinations(zoom, 2)),
        "turned by 30°": distances(turns),
        "half the size": distances(sizes),
    }
    smiles = distances(
        (
            main_face(profile, read(photos / f"frl_london/neutral_front/{person}_03.jpg")),
            main_face(profile, read(photos / f"frl_london/smiling_front/{person}_08.jpg")),
        )
        for person in ("005", "006")
    )
    told = "; ".join(f"{name} {min(d):.3f} to {max(d):.3f}" for name, d in within.items())
    told += f"; neutral to smiling {min(smiles):.3f} to {max(smiles):.3f}"
    print(told)
    assert max(max(d) for d in within.values()) < min(smiles), told
    assert max(within["zoom"]) < min(smiles) / 2, told


def test_mirroring_a_smile_changes_it_little(profile: Profile, photos: Path) -> None:
    neutral, smiling = (
        read(photos / f"frl_london/{name}.jpg")
        for name in ("neutral_front/006_03", "smiling_front/006_08")
    )
    one = expression_distance(main_face(profile, neutral), main_face(profile, smiling))
    other = expression_distance(
        main_face(profile, mirrored(neutral)), main_face(profile, mirrored(smiling))
    )
    assert other == pytest.approx(one, abs=0.005)
