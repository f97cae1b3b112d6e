"""Ground truth: the Face Research Lab London Set's templates, and what its pictures become."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faces.confirmation import Confirmation
from faces.detection import Detection, Detector, Image
from faces.landmarks import Located, Looks, located68, looks
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.mesh import FaceMesher, MeshParams
from faces.schema import load_schema
from mirrorset.pixels import decode

Floats = NDArray[np.float64]

#: Points that both markups mean alike: ibug68 → FRL template. Eye corners, mouth corners and base
#: of the nose, as in the figures of others; then the middle of the upper lip's edge, of the lower
#: lip's edge, and of the line between the closed lips.
IBUG68 = (36, 39, 42, 45, 48, 54, 33, 51, 57, 62)
FRL189 = (18, 22, 23, 27, 87, 93, 55, 90, 106, 101)
SEVEN = slice(0, 7)
#: Pupils: template 0 and 1; face106 34 and 92; mesh478 468 and 473, the centres of the irises.
PUPILS_FRL, PUPILS_106, PUPILS_478 = (0, 1), (34, 92), (468, 473)
_OUTER_CORNERS = (18, 27)

KINDS = ("as taken", "blur", "darkness", "occlusion", "crop")
_REPEATS = 3


@dataclass(frozen=True)
class Portrait:
    """A picture of one person. truth: (189, 2) px of it. rgb: (H, W, 3) uint8."""

    person: str
    kind: str
    truth: Floats
    rgb: Image


def portraits(photos: Path) -> Iterator[Portrait]:
    """The 40 neutral portraits, each as taken and with three of every alteration, drawn by seed."""
    folder = photos / "frl_london" / "neutral_front"
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        taken = Portrait(path.stem[:3], KINDS[0], _template(path), decode(path.read_bytes()))
        yield taken
        for repeat in range(_REPEATS):
            for index, kind in enumerate(KINDS[1:]):
                random = np.random.default_rng((number, index, repeat))
                yield _altered(taken, kind, random)


def _template(picture: Path) -> Floats:
    """The points of a FRL template: a count, then one point a line."""
    lines = picture.with_suffix(".tem").read_text().splitlines()
    return np.array([[float(v) for v in line.split()] for line in lines[1 : 1 + int(lines[0])]])


def _interocular_px(truth: Floats) -> float:
    """Distance of the outer eye corners, as in 300-W."""
    left, right = truth[list(_OUTER_CORNERS)]
    return float(np.linalg.norm(left - right))


def _altered(taken: Portrait, kind: str, random: Any) -> Portrait:
    rgb, truth = taken.rgb, taken.truth
    low, high = truth.min(axis=0), truth.max(axis=0)
    if kind == "blur":
        # A standard deviation of 1 to 12 px on a face with 60 px between its eyes.
        sigma = _interocular_px(truth) * np.exp(random.uniform(np.log(0.02), np.log(0.2)))
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
    elif kind == "darkness":
        gain = np.exp(random.uniform(np.log(0.03), np.log(0.3)))
        rgb = np.clip(rgb * gain + random.normal(0, 3, rgb.shape), 0, 255).round()
    elif kind == "occlusion":
        middle = low + random.uniform(0.15, 0.85, 2) * (high - low)
        half = random.uniform(0.12, 0.35, 2) * (high - low)
        x1, y1 = np.maximum(middle - half, 0).astype(int)
        x2, y2 = (middle + half).astype(int)
        rgb = rgb.copy()
        rgb[y1:y2, x1:x2] = random.integers(0, 256, 3)
    else:
        middle = (low + high) / 2 + random.uniform(-0.1, 0.1, 2) * (high - low)
        half = (high - low).max() / 2 * random.uniform(0.75, 1.15)
        corner = np.maximum(middle - half, 0).astype(int)
        end = (middle + half).astype(int)
        rgb, truth = rgb[corner[1] : end[1], corner[0] : end[0]], truth - corner
    return Portrait(taken.person, kind, truth, np.ascontiguousarray(rgb, dtype=np.uint8))


@dataclass(frozen=True)
class Looked:
    """What was found of one portrait, without its pixels.

    truth: (189, 2) px. seen, ours: from all looks, as the profile does it. plain106, plain478: one
    look each, as the models give off the shelf, ibug68 (68, 2) px. pupils: (2, 2) px by model.
    is_confirmed: whether the profile takes it for a face.
    """

    person: str
    kind: str
    truth: Floats
    seen: Looks
    ours: Located
    plain106: Floats
    plain478: Floats | None
    pupils: dict[str, Floats]
    is_confirmed: bool

    def errors(self, points: Floats) -> Floats:
        """Distances (10,) of ibug68 `points` from the truth, in interocular distances."""
        apart = points[list(IBUG68)] - self.truth[list(FRL189)]
        return np.asarray(np.linalg.norm(apart, axis=1) / _interocular_px(self.truth))

    def pupil_error(self, model: str) -> float:
        """Mean over the two pupils, in interocular distances."""
        apart = self.pupils[model] - self.truth[list(PUPILS_FRL)]
        return float(np.linalg.norm(apart, axis=1).mean() / _interocular_px(self.truth))


class Looker:
    """The research profile's landmarks, and each model by itself."""

    def __init__(
        self, detector: Detector, confirmation: Confirmation, points106: Path, mesh: Path
    ) -> None:
        self._detector, self._confirmation = detector, confirmation
        self._points106, self._mesher = Landmarks106(points106), FaceMesher(mesh)
        self._one106 = Landmarks106(points106, Landmarks106Params(is_mirrored_too=False))
        self._one478 = FaceMesher(mesh, MeshParams(is_mirrored_too=False))
        self._ibug68 = load_schema("ibug68")

    def look(self, portrait: Portrait) -> Looked | None:
        """None where the face is not found."""
        (found,) = self._detector.detect([portrait.rgb])
        middle = portrait.truth[list(FRL189)].mean(axis=0)
        there = [one for one in found if _holds(one, middle)]
        if not there:
            return None
        face = [(portrait.rgb, max(there, key=lambda one: one.score).box)]
        (of106,), (mesh,) = self._points106.locate(face), self._mesher.locate(face)
        ((one106, _),), (one478,) = self._one106.locate(face), self._one478.locate(face)
        seen = looks(of106, mesh)
        assert seen
        pupils = {"2d106": one106[list(PUPILS_106)]}
        if one478:
            pupils["face_landmarker"] = one478.points[list(PUPILS_478)]
        if mesh:
            pupils["ours"] = mesh.points[list(PUPILS_478)]
        return Looked(
            person=portrait.person,
            kind=portrait.kind,
            truth=portrait.truth,
            seen=seen,
            ours=located68(seen),
            plain106=self._ibug68.derive(one106, "face106"),
            plain478=self._ibug68.derive(one478.points, "mesh478") if one478 else None,
            pupils=pupils,
            is_confirmed=self._confirmation.confirm(face, [seen.apart_px])[0],
        )


def _holds(detection: Detection, point: Floats) -> bool:
    return bool(np.all((detection.box[:2] < point) & (point < detection.box[2:])))
