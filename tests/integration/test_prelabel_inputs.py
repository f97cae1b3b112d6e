"""What people put into a folder: the right labels, or one clear reason."""

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

import faces.registry
from annotation.prelabel import PrelabelParams, prelabel_batch
from faces.masks import decode
from faces.profiles import PROFILES, Profile, load_profile
from faces.registry import load_registry
from mirrorset.errors import IntegrityError, UnavailableError
from mirrorset.records import Annotation, Reason, Rejected, Xyxy

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Case(NamedTuple):
    """A file made of the portrait (512×512 RGB), and what becomes of it.

    Either the labels of the portrait, each point moved by `shift` (x, y) px and then within
    `within_px`; or a reason with words that its detail holds.
    """

    name: str
    made: Callable[[Image.Image], bytes]
    within_px: float = 0.0
    shift: tuple[float, float] = (0, 0)
    reason: Reason | None = None
    words: str = ""


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def with_depth_16(portrait: Image.Image) -> bytes:
    bgr = np.asarray(portrait)[:, :, ::-1].astype(np.uint16) * 257
    return cv2.imencode(".png", bgr)[1].tobytes()


def grey_with_depth_16(portrait: Image.Image) -> bytes:
    grey = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    return cv2.imencode(".png", grey)[1].tobytes()


def turned_by_exif(portrait: Image.Image) -> bytes:
    """As a phone held upright writes it: stored on its side, orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(portrait.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def panorama(portrait: Image.Image) -> bytes:
    whole = Image.new("RGB", (20_000, 600), (90, 110, 130))
    whole.paste(portrait, (7000, 80))
    return encoded(whole, "PNG", compress_level=1)


def without_face(portrait: Image.Image) -> bytes:
    return encoded(Image.new("RGB", (20_000, 600), (90, 110, 130)), "PNG", compress_level=1)


def corrupt_jpeg(portrait: Image.Image) -> bytes:
    """Its tables are overwritten."""
    whole = encoded(portrait, "JPEG")
    return whole[:30] + b"\xff" * 100 + whole[130:]


def corrupt_png(portrait: Image.Image) -> bytes:
    """Its pixels are overwritten."""
    whole = encoded(portrait, "PNG")
    return whole[:5000] + bytes(2000) + whole[7000:]


def cut(portrait: Image.Image) -> bytes:
    whole = encoded(portrait, "JPEG", quality=90)
    return whole[: len(whole) // 2]


def thin(portrait: Image.Image) -> bytes:
    return encoded(portrait.resize((5000, 2)), "PNG")


CASES = [
    Case("PNG", lambda portrait: encoded(portrait, "PNG")),
    Case("WebP", lambda portrait: encoded(portrait, "WEBP", lossless=True)),
    Case("16-bit PNG", with_depth_16),
    Case("EXIF-rotated photo", turned_by_exif),
    Case("JPEG", lambda portrait: encoded(portrait, "JPEG", quality=95), within_px=2),
    Case("CMYK JPEG", lambda p: encoded(p.convert("CMYK"), "JPEG", quality=95), within_px=2),
    Case("grey 16-bit PNG", grey_with_depth_16, within_px=4),
    Case("palette PNG", lambda p: encoded(p.quantize(256), "PNG"), within_px=3),
    Case("RGBA PNG", lambda portrait: encoded(portrait.convert("RGBA"), "PNG")),
    Case("20,000-px panorama", panorama, within_px=3, shift=(7000, 80)),
    Case("empty panorama", without_face, reason=Reason.NO_FACE, words="found no face"),
    Case("palette GIF", lambda p: encoded(p, "GIF"), reason=Reason.NOT_AN_IMAGE, words="a GIF"),
    Case("0 bytes", lambda _: b"", reason=Reason.NOT_AN_IMAGE, words="empty"),
    Case("corrupt JPEG", corrupt_jpeg, reason=Reason.NOT_AN_IMAGE, words="not built as one"),
    Case("corrupt PNG", corrupt_png, reason=Reason.TRUNCATED, words="is damaged"),
    Case("cut JPEG", cut, reason=Reason.TRUNCATED, words="ends"),
    Case("a web page", lambda _: b"<html>gone</html>", reason=Reason.NOT_AN_IMAGE, words="HTML"),
    Case("5000×2 px", thin, reason=Reason.NO_FACE, words="found no face"),
]


@pytest.fixture(scope="module")
def profile(model_cache: Path) -> Profile:
    return load_profile("research", model_cache)


@pytest.fixture(scope="module")
def portrait(shared_data: Path) -> Image.Image:
    path = shared_data / "photos/pd_portraits/astronaut.png"
    return Image.open(path).convert("RGB")


@pytest.fixture(scope="module")
def outcomes(profile: Profile, portrait: Image.Image) -> dict[str, list]:
    """All cases in one batch: none spoils another."""
    pictures = [(f"{number:064x}", case.made(portrait)) for number, case in enumerate(CASES)]
    records = prelabel_batch(pictures, profile, PrelabelParams(), AT)
    return {case.name: of_case for case, of_case in zip(CASES, records, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_gets_the_right_labels_or_one_clear_reason(
    case: Case, outcomes: dict[str, list], profile: Profile, portrait: Image.Image
) -> None:
    first, *others = outcomes[case.name]
    if case.reason:
        assert isinstance(first, Rejected)
        assert not others
        assert (first.reason, first.step) == (case.reason, "prelabel")
        assert case.words in first.detail
        assert first.detail.endswith(".")
        assert "\n" not in first.detail
        return
    assert isinstance(first, Annotation)
    (face,) = first.faces
    (expected,) = profile.measure(np.asarray(portrait)).faces
    for schema, labels in expected.landmarks.items():
        moved = np.array(labels.points) + case.shift
        apart = np.linalg.norm(np.array(face.landmarks[schema].points) - moved, axis=1)
        assert apart.max() <= case.within_px
    if not case.within_px:
        assert face == expected
    assert masked_share(first, face.box) > 0.8


def masked_share(annotation: Annotation, box: Xyxy) -> float:
    """Share of the box's pixels that the person mask holds."""
    (person,) = annotation.masks
    masked = decode(person, person.bottom + 1, person.right + 1)
    left, top, right, bottom = (int(edge) for edge in box)
    return float(masked[top:bottom, left:right].sum() / ((right - left) * (bottom - top)))


@pytest.fixture
def cache(model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The profile's files in a cache of their own, and no network."""
    profile = load_profile("research", model_cache)
    for model in profile.models:
        file = load_registry()[model.name].file
        (tmp_path / file).symlink_to(model_cache / file)

    def unreachable(source: str) -> bytes:
        raise UnavailableError(f"{source} cannot be reached")

    monkeypatch.setattr(faces.registry, "_read_source", unreachable)
    return tmp_path


@pytest.mark.parametrize("name", PROFILES["research"].models)
def test_a_missing_model_is_named_with_where_to_put_it(cache: Path, name: str) -> None:
    model = load_registry()[name]
    (cache / model.file).unlink()
    with pytest.raises(UnavailableError) as refusal:
        load_profile("research", cache)
    for words in (name, model.sha256, str(cache / model.file)):
        assert words in str(refusal.value)


def test_a_model_with_another_sha256_is_not_loaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_registry()["2d106det"]
    path = cache / model.file
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.unlink()
    path.write_bytes(changed)
    there = hashlib.sha256(changed).hexdigest()[:12]
    with pytest.raises(IntegrityError, match=f"2d106det .*that is there has sha256 {there}"):
        load_profile("research", cache)
    path.unlink()
    monkeypatch.setattr(faces.registry, "_read_source", lambda _: bytes(changed))
    with pytest.raises(IntegrityError, match=r"2d106det cannot be had.*has sha256"):
        load_profile("research", cache)
