"""Thousands of different faces, made of real ones, and copies planted among them."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from duplicates_altered import ALTERATIONS, altered
from numpy.typing import NDArray
from PIL import Image

from annotation.prelabel import PrelabelParams, label_folder, prelabel_profile
from curation.group import GroupParams, comparable
from faces.align import ARCFACE_112, squared_face
from mirrorset.files import read_records
from mirrorset.pixels import decode
from mirrorset.records import Annotation

FivePoints = NDArray[np.float64]

_WIDTH_PX = 512
_SIDE_PX = 256
# Share of the eyes' distance by which the points of a made face are off, as a model's are.
_NOISE = 0.015
#: Rows of the aligned face of 112 px at which one person's part ends and the next one's begins.
_SEAMS_PX = (62, 82)
_SETS = ("congress_pd_gray", "frl_london", "pd_portraits")


@dataclass(frozen=True)
class Picture:
    """A file with its faces; original: number of the picture that it shows; alteration: "" for an
    original.
    """

    path: Path
    faces: list[FivePoints]
    original: int
    alteration: str


def photographs(
    photos: Path, folder: Path, copied: int, models: Path, seed: int = 0
) -> list[Picture]:
    """The photographs as JPEGs up to 512 px wide, and each alteration of the first `copied`.

    All are detected and landmarked anew by the profile `research`; those in which it finds no
    comparable face are left out, as `select` does.
    """
    folder.mkdir(parents=True)
    files = [path for name in _SETS for path in sorted((photos / name).rglob("*.jpg"))]
    if not files:
        raise SystemExit(f"{photos} holds no photographs: name their folder with --photos.")
    random = np.random.default_rng(seed)
    random.shuffle(files)
    for number, file in enumerate(files):
        picture = Image.open(file).convert("RGB")
        picture.thumbnail((_WIDTH_PX, 2 * _WIDTH_PX))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=90)
        (folder / f"{number:05}-.jpg").write_bytes(out.getvalue())
        for alteration in ALTERATIONS if number < copied else ():
            path = folder / f"{number:05}-{alteration}.jpg"
            path.write_bytes(altered(picture, alteration, random))
    return _labelled(folder, models)


def strangers(
    count: int, first: int, of: Sequence[Picture], photos: Path, folder: Path, seed: int = 0
) -> list[Picture]:
    """`count` pictures of different faces, numbered from `first`.

    Each face has brows and eyes, nose, and mouth of three people of `of`, under a light from a
    side, before a piece of a photograph; no two share two of the three.
    """
    folder.mkdir(parents=True)
    donors = [
        face
        for picture in of
        if not picture.alteration
        for five in picture.faces[:1]
        if (face := squared_face(decode(picture.path.read_bytes()), five)) is not None
    ]
    greys = np.array([cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in donors])
    backdrops = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in sorted((photos / "negatives_skimage").rglob("*.*"))
        if path.suffix in (".jpg", ".png")
    ] + [cv2.imread(str(picture.path), cv2.IMREAD_GRAYSCALE) for picture in of[::7]]
    people = len(greys)
    made = []
    for number in range(count):
        random = np.random.default_rng((seed, number))
        # A Latin square: two of the three tell the third.
        eyes = number % people
        nose = (eyes + number // people + 1) % people
        parts = greys[[eyes, nose, (eyes + nose + 1) % people]]
        picture, five = _composed(parts, backdrops, random)
        path = folder / f"{first + number:05}-.jpg"
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        made.append(Picture(path, [five], first + number, ""))
    return made


def _composed(
    parts: NDArray[np.uint8], backdrops: Sequence[NDArray[np.uint8]], random: np.random.Generator
) -> tuple[NDArray[np.uint8], FivePoints]:
    face = _blended(parts)
    across, along = np.meshgrid(np.linspace(-1, 1, 112), np.linspace(-1, 1, 112))
    face = face * (1 + random.uniform(-0.3, 0.3) * across + random.uniform(-0.2, 0.2) * along)
    turn = cv2.getRotationMatrix2D((56, 56), random.uniform(-15, 15), random.uniform(0.9, 1.5))
    turn[:, 2] += random.uniform(100, 156, 2) - 56
    size = (_SIDE_PX, _SIDE_PX)
    mask = cv2.ellipse(np.zeros((112, 112), np.float32), ((56, 60), (84, 108), 0), 1, -1)
    mask = cv2.warpAffine(cv2.GaussianBlur(mask, (0, 0), 3), turn, size)
    placed = cv2.warpAffine(face.astype(np.float32), turn, size)
    picture = _piece(backdrops[random.integers(len(backdrops))], random) * (1 - mask)
    five = np.column_stack([ARCFACE_112, np.ones(5)]) @ turn.T
    noise = random.normal(0, _NOISE * np.linalg.norm(five[0] - five[1]), five.shape)
    return np.clip(picture + placed * mask, 0, 255).astype(np.uint8), five + noise


def _blended(parts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Three faces (3, 112, 112), the light of each brought to the first one's, joined by rows."""
    level, contrast = parts[0].mean(), parts[0].std()
    lit = [(part - part.mean()) / max(part.std(), 1) * contrast + level for part in parts]
    rows = np.arange(112)[:, None]
    joined = lit[0]
    for seam, part in zip(_SEAMS_PX, lit[1:], strict=True):
        share = np.clip((rows - seam) / 8 + 0.5, 0, 1)
        joined = joined * (1 - share) + part * share
    return joined


def _piece(backdrop: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
    height, width = backdrop.shape
    side = int(random.uniform(0.4, 0.9) * min(height, width))
    x, y = random.integers(width - side), random.integers(height - side)
    piece = cv2.resize(backdrop[y : y + side, x : x + side], (_SIDE_PX, _SIDE_PX))
    flipped = piece[:, ::-1] if random.random() < 0.5 else piece
    return np.rot90(flipped, random.integers(4)).astype(np.float32)


def _labelled(folder: Path, models: Path) -> list[Picture]:
    params = PrelabelParams()
    out = folder.with_suffix(".labels.jsonl")
    profile = prelabel_profile(params, models)
    label_folder(folder, out, profile, params, lambda _: None, at=datetime.now(UTC))
    paths = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.iterdir()}
    pictures = []
    for annotation in read_records(out, Annotation):
        path = paths[annotation.image_id]
        number, _, alteration = path.stem.partition("-")
        if faces := comparable(annotation.faces, GroupParams()):
            pictures.append(Picture(path, faces, int(number), alteration))
    return sorted(pictures, key=lambda picture: picture.path.name)
