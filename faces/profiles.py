"""Profiles: sets of models that together measure all that a label says of an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.age import AgeEstimator, AgeParams
from faces.confirmation import CONFIRMATIONS, Confirmation, ConfirmationParams
from faces.detection import Detection, Detector, Image
from faces.landmarks import Located, disagreements, joined68, landmarks, located106
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.lighting import LightingParams, lighting
from faces.masks import encode
from faces.mesh import FaceMesher, Mesh, MeshParams
from faces.nudity import NudityDetector, NudityParams
from faces.panorama import PanoramaDetector
from faces.person_mask import PersonMaskParams, PersonSegmenter
from faces.pose import head_pose, pose_from_points
from faces.quality import quality
from faces.region import face_region
from faces.registry import fetch, load_registry, model_ref
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
    """The parameters of each measure, and of the two gates' own: age and nudity.

    confirmation: None for the parameters of the profile's detector.
    """

    scrfd: ScrfdParams = ScrfdParams()
    points106: Landmarks106Params = Landmarks106Params()
    mesh: MeshParams = MeshParams()
    person_mask: PersonMaskParams = PersonMaskParams()
    lighting: LightingParams = LightingParams()
    confirmation: ConfirmationParams | None = None
    age: AgeParams = AgeParams()
    nudity: NudityParams = NudityParams()


# Of the second look: below any score that confirms.
_SECOND_MIN_SCORE = 0.1

_DETECTORS: dict[str, Callable[[Path, ProfileParams], Detector]] = {
    "scrfd_500m_bnkps": lambda path, params: PanoramaDetector(
        Scrfd(path, params.scrfd), params.scrfd.max_overlap
    ),
}


@dataclass(frozen=True)
class Measures:
    """What was measured on one image.

    faces: by box area, descending, so that the first is the main face; face_id is the rank.
    unconfirmed: how many more were detected and not confirmed (faces.confirmation).
    masks: the person mask, label "person", or nothing. For the gates alone, never stored:
    minor_probability, one a detection, those not confirmed included; is_intimate, of the picture.
    """

    faces: tuple[Face, ...]
    unconfirmed: int
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
        self._confirmation = _confirmation(
            parts.detector, paths[parts.detector], self._params.confirmation
        )
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
        seen = [
            disagreements(points, apart, mesh)
            for (points, apart), mesh in zip(points106, meshes, strict=True)
        ]
        points68 = [joined68(one) for one in seen]
        confirmed = self._confirmation.confirm(boxes, [one.apart_px for one in seen])
        minors = self._age.minor_probability(
            [(rgb, located.points) for (rgb, _), located in zip(found, points68, strict=True)]
        )
        intimate = self._nudity.is_intimate(
            [
                (rgb, [detection.box for detection in of_image])
                for rgb, of_image in zip(images, detections, strict=True)
            ]
        )
        masks = [encode(mask, label="person") for mask in self._segmenter.segment(images)]
        rows = iter(zip(found, points106, points68, meshes, confirmed, minors, strict=True))
        measures = []
        for of_image, mask, nude in zip(detections, masks, intimate, strict=True):
            faces: list[Face] = []
            probabilities: list[float] = []
            for _ in of_image:
                (rgb, detection), of106, of68, mesh, is_confirmed, minor = next(rows)
                probabilities.append(minor)
                if is_confirmed:
                    rank = str(len(faces))
                    faces.append(self._face(rank, rgb, detection, located106(*of106), of68, mesh))
            measures.append(
                Measures(
                    faces=tuple(faces),
                    unconfirmed=len(of_image) - len(faces),
                    masks=(mask,) if mask else (),
                    minor_probability=tuple(probabilities),
                    is_intimate=nude,
                )
            )
        return measures

    def _face(
        self,
        face_id: str,
        rgb: Image,
        detection: Detection,
        of106: Located,
        of68: Located,
        mesh: Mesh | None,
    ) -> Face:
        """The record of one face; of106, of68: its points."""
        height, width = rgb.shape[:2]
        points68 = of68.points
        pose = head_pose(mesh.matrix) if mesh else pose_from_points(points68)
        region = face_region(rgb, points68)
        left, top, right, bottom = np.clip(detection.box, 0, [width, height, width, height])
        return Face(
            face_id=face_id,
            box=(_px(left), _px(top), _px(right), _px(bottom)),
            score=round(detection.score, 4),
            landmarks={
                "ibug68": landmarks(of68, width, height),
                "face106": landmarks(of106, width, height),
            },
            uncertainty=round(of68.uncertainty, 4),
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


def _confirmation(detector: str, path: Path, params: ConfirmationParams | None) -> Confirmation:
    """The same detector, looking once, at crops, and with a low threshold."""
    wanted = params or CONFIRMATIONS[detector]
    sides = (wanted.crop_side_px,)
    second = ProfileParams(
        scrfd=ScrfdParams(min_score=_SECOND_MIN_SCORE, input_sides_px=sides),
    )
    return Confirmation(_DETECTORS[detector](path, second), wanted)


def _px(value: float) -> float:
    return round(float(value), 2)
