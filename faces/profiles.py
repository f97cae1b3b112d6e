"""Profiles: sets of models that together measure all that a label says of an image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.age import AgeEstimator, AgeParams
from faces.detection import Detection, DetectionParams, FaceDetector
from faces.landmarks import joined_ibug68, landmarks
from faces.landmarks106 import Landmarks106
from faces.lighting import LightingParams, lighting
from faces.masks import encode
from faces.mesh import FaceMesher, MeshParams
from faces.person_mask import PersonMaskParams, PersonSegmenter
from faces.pose import head_pose, pose_from_points
from faces.quality import quality
from faces.region import face_region
from faces.registry import fetch, load_registry, model_ref
from faces.schema import load_schema
from mirrorset.errors import SettingsError
from mirrorset.records import Face, Mask, ModelRef, Record

PROFILES = {
    "research": (
        "scrfd_500m_bnkps",
        "2d106det",
        "face_landmarker",
        "selfie_segmentation",
        "age-v1",
    )
}


class ProfileParams(Record):
    """The parameters of each measure."""

    detection: DetectionParams = DetectionParams()
    mesh: MeshParams = MeshParams()
    person_mask: PersonMaskParams = PersonMaskParams()
    age: AgeParams = AgeParams()
    lighting: LightingParams = LightingParams()


@dataclass(frozen=True)
class Measures:
    """What was measured on one image.

    faces: by box area, descending, so that the first is the main face; face_id is the rank.
    masks: the person mask, label "person", or nothing. minor_probability: one a face, in the same
    order; for the gate alone, never stored.
    """

    faces: tuple[Face, ...]
    masks: tuple[Mask, ...]
    minor_probability: tuple[float, ...]


class Profile:
    """name, models: what a label says of its origin. One instance serves one thread at a time."""

    def __init__(self, name: str, cache: Path, params: ProfileParams | None = None) -> None:
        registry = load_registry()
        models = [registry[model] for model in PROFILES[name]]
        detector, points106, mesh, mask, age = (fetch(model, cache) for model in models)
        self._params = params or ProfileParams()
        self._detector = FaceDetector(detector, self._params.detection)
        self._points106 = Landmarks106(points106)
        self._mesher = FaceMesher(mesh, self._params.mesh)
        self._segmenter = PersonSegmenter(mask, self._params.person_mask)
        self._age = AgeEstimator(age, self._params.age)
        self.name = name
        self.models: tuple[ModelRef, ...] = tuple(model_ref(model) for model in models)

    def measure(self, rgb: NDArray[np.uint8]) -> Measures:
        """Faces, masks and minor probabilities of `rgb` (H, W, 3) uint8, upright.

        The same pixels give the same measures.
        """
        faces, probabilities = [], []
        for rank, detection in enumerate(self._detector.detect(rgb)):
            face, points = self._measure_face(rgb, detection, str(rank))
            faces.append(face)
            probabilities.append(self._age.minor_probability(rgb, points))
        mask = encode(self._segmenter.segment(rgb), label="person")
        return Measures(tuple(faces), (mask,) if mask else (), tuple(probabilities))

    def _measure_face(
        self, rgb: NDArray[np.uint8], detection: Detection, face_id: str
    ) -> tuple[Face, NDArray[np.float64]]:
        """The record of one face, and its ibug68 points (68, 2) px unrounded."""
        height, width = rgb.shape[:2]
        points106, flips = self._points106.locate(rgb, detection.box)
        mesh = self._mesher.locate(rgb, detection.box)
        points68, disagreement = joined_ibug68(points106, flips, mesh.points if mesh else None)
        interocular = load_schema("ibug68").interocular_px(points68)
        pose = head_pose(mesh.matrix) if mesh else pose_from_points(points68)
        region = face_region(rgb, points68)
        left, top, right, bottom = np.clip(detection.box, 0, [width, height, width, height])
        face = Face(
            face_id=face_id,
            box=(_px(left), _px(top), _px(right), _px(bottom)),
            score=round(detection.score, 4),
            landmarks={
                "ibug68": landmarks(points68, disagreement, interocular, width, height),
                "face106": landmarks(points106, flips, interocular, width, height),
            },
            pose=pose,
            lighting=lighting(region, self._params.lighting),
            quality=quality(rgb, detection.box, points68, region, pose),
            blendshapes={
                name: round(score, 4) for name, score in (mesh.blendshapes if mesh else {}).items()
            },
        )
        return face, points68


def load_profile(name: str, cache: Path, params: ProfileParams | None = None) -> Profile:
    """The profile of that name, its weights fetched into `cache` where they are missing.

    Raises SettingsError for an unknown name, UnavailableError and IntegrityError as `fetch` does.
    """
    if name not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise SettingsError(f"There is no profile {name!r}; there are {known}.")
    return Profile(name, cache, params)


def _px(value: float) -> float:
    return round(float(value), 2)
