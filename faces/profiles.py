"""Profiles: sets of models that together measure all that a label says of an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.age import AgeEstimator, AgeParams
from faces.detection import Detection, Detector, Image
from faces.landmarks import joined_ibug68, landmarks
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.lighting import LightingParams, lighting
from faces.masks import encode
from faces.mesh import FaceMesher, Mesh, MeshParams
from faces.nudity import NudityDetector, NudityParams
from faces.panorama import PanoramaDetector
from faces.person_mask import PersonMaskParams, PersonSegmenter
from faces.pose import head_pose
from faces.quality import quality
from faces.region import face_region
from faces.registry import fetch, load_registry, model_ref
from faces.schema import load_schema
from faces.scrfd import Scrfd, ScrfdParams
from mirrorset.errors import SettingsError
from mirrorset.records import Face, Mask, ModelRef, Record

Floats = NDArray[np.float64]


class Composition(Record):
    """What a profile is made of: names of faces/models.yaml by what the model measures."""

    detector: str
    points106: str
    mesh: str
    mask: str

    @property
    def models(self) -> tuple[str, ...]:
        """All names, in the order in which labels state them."""
        return (self.detector, self.points106, self.mesh, self.mask)


PROFILES = {
    "research": Composition(
        detector="scrfd_500m_bnkps",
        points106="2d106det",
        mesh="face_landmarker",
        mask="selfie_segmentation",
    )
}


class ProfileParams(Record):
    """The parameters of each measure, and of the two gates' own: age and nudity."""

    scrfd: ScrfdParams = ScrfdParams()
    points106: Landmarks106Params = Landmarks106Params()
    mesh: MeshParams = MeshParams()
    person_mask: PersonMaskParams = PersonMaskParams()
    lighting: LightingParams = LightingParams()
    age: AgeParams = AgeParams()
    nudity: NudityParams = NudityParams()

    @property
    def gate_weights(self) -> tuple[str, ...]:
        """Names of faces/models.yaml that the gates need beside a composition's."""
        return self.age.weights + self.nudity.weights


_DETECTORS: dict[str, Callable[[Path, ProfileParams], Detector]] = {
    "scrfd_500m_bnkps": lambda path, params: PanoramaDetector(
        Scrfd(path, params.scrfd), params.scrfd.max_overlap
    ),
}


@dataclass(frozen=True)
class Measures:
    """What was measured on one image.

    faces: by box area, descending, so that the first is the main face; face_id is the rank.
    masks: the person mask, label "person", or nothing. For the gates alone, never stored:
    minor_probability, one a face, in the same order; is_intimate, of the picture.
    """

    faces: tuple[Face, ...]
    masks: tuple[Mask, ...]
    minor_probability: tuple[float, ...]
    is_intimate: bool = False


class Profile:
    """name, models: what a label says of its origin. One instance serves any number of threads.

    The gates' networks make no label, so they are none of its models.
    """

    def __init__(self, name: str, cache: Path, params: ProfileParams | None = None) -> None:
        registry = load_registry()
        parts = PROFILES[name]
        paths = {model: fetch(registry[model], cache) for model in parts.models}
        self._params = params or ProfileParams()
        self._detector = _DETECTORS[parts.detector](paths[parts.detector], self._params)
        self._points106 = Landmarks106(paths[parts.points106], self._params.points106)
        self._mesher = FaceMesher(paths[parts.mesh], self._params.mesh)
        self._segmenter = PersonSegmenter(paths[parts.mask], self._params.person_mask)
        self._age = AgeEstimator(cache, self._params.age)
        self._nudity = NudityDetector(cache, self._params.nudity)
        self.name = name
        self.models: tuple[ModelRef, ...] = tuple(
            model_ref(registry[model]) for model in parts.models
        )

    def measure(self, rgb: Image) -> Measures:
        """The measures of `rgb` (H, W, 3) uint8, upright: a batch of one."""
        return self.measure_batch([rgb])[0]

    def measure_batch(self, images: Sequence[Image]) -> list[Measures]:
        """Faces, masks and minor probabilities of each of `images`, (H, W, 3) uint8, upright.

        The same pixels give the same measures, whatever else is in the batch.
        """
        detections = self._detector.detect(images)
        found = [
            (rgb, detection)
            for rgb, of_image in zip(images, detections, strict=True)
            for detection in of_image
        ]
        boxes = [(rgb, detection.box) for rgb, detection in found]
        points106 = self._points106.locate(boxes)
        meshes = self._mesher.locate(boxes)
        points68 = [
            joined_ibug68(points, flips, mesh.points if mesh else None)
            for (points, flips), mesh in zip(points106, meshes, strict=True)
        ]
        minors = self._age.minor_probability(
            [(rgb, points) for (rgb, _), (points, _) in zip(found, points68, strict=True)]
        )
        intimate = self._nudity.is_intimate(
            [
                (rgb, [detection.box for detection in of_image])
                for rgb, of_image in zip(images, detections, strict=True)
            ]
        )
        masks = [encode(mask, label="person") for mask in self._segmenter.segment(images)]
        rows = iter(zip(found, points106, points68, meshes, minors, strict=True))
        measures = []
        for of_image, mask, nude in zip(detections, masks, intimate, strict=True):
            faces, probabilities = [], []
            for rank in range(len(of_image)):
                (rgb, detection), of106, of68, mesh, minor = next(rows)
                faces.append(self._face(str(rank), rgb, detection, of106, of68, mesh))
                probabilities.append(minor)
            measures.append(
                Measures(tuple(faces), (mask,) if mask else (), tuple(probabilities), nude)
            )
        return measures

    def _face(
        self,
        face_id: str,
        rgb: Image,
        detection: Detection,
        of106: tuple[Floats, Floats],
        of68: tuple[Floats, Floats],
        mesh: Mesh | None,
    ) -> Face:
        """The record of one face; of106, of68: its points and their disagreement, px."""
        height, width = rgb.shape[:2]
        points68, _ = of68
        interocular = load_schema("ibug68").interocular_px(points68)
        pose = head_pose(mesh.matrix) if mesh else None
        region = face_region(rgb, points68)
        left, top, right, bottom = np.clip(detection.box, 0, [width, height, width, height])
        return Face(
            face_id=face_id,
            box=(_px(left), _px(top), _px(right), _px(bottom)),
            score=round(detection.score, 4),
            landmarks={
                "ibug68": landmarks(*of68, interocular, width, height),
                "face106": landmarks(*of106, interocular, width, height),
            },
            pose=pose,
            lighting=lighting(region, self._params.lighting),
            quality=quality(rgb, detection.box, points68, region, pose),
            blendshapes={
                name: round(score, 4) for name, score in (mesh.blendshapes if mesh else {}).items()
            },
        )


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
