"""Profiles: sets of models that together measure all that a label says of an image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faces.age import AgeEstimator, AgeParams
from faces.confirmation import CONFIRMATIONS, Confirmation, ConfirmationParams
from faces.detection import Detection, Detector, Image
from faces.landmarks import Located, landmarks, located68, located106, looks
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.lighting import LightingParams, lighting
from faces.masks import encode
from faces.mesh import FaceMesher, Mesh, MeshParams
from faces.nudity import NudityDetector, NudityParams
from faces.panorama import PanoramaDetector, PanoramaSegmenter
from faces.parsing import FaceParser, ParsingParams
from faces.person_mask import PersonMaskParams, PersonSegmenter
from faces.pose import head_pose, pose_from_points
from faces.quality import quality
from faces.region import face_region
from faces.registry import Model, fetch, load_registry, model_ref
from faces.schema import load_schema
from faces.scrfd import Scrfd, ScrfdParams
from faces.upright import View, found_lying, upright
from faces.visibility import hidden_points
from faces.yunet import YuNet, YuNetParams
from mirrorset.errors import SettingsError
from mirrorset.records import Face, Mask, ModelRef, Record

Floats = NDArray[np.float64]


class Composition(Record):
    """What a profile is made of: names of faces/models.yaml by what the model measures.

    points106: None where nothing is labelled but what the mesh gives. parsing: None where faces are
    not parsed. age: what the minor gate asks, unless its params say; it makes no label.
    """

    detector: str
    points106: str | None = None
    mesh: str = "face_landmarker"
    mask: str = "selfie_segmentation"
    parsing: str | None = None
    age: Literal["faceres", "age-v1"] = "faceres"

    @property
    def models(self) -> tuple[str, ...]:
        """All names, in the order in which labels state them."""
        parts = (self.detector, self.points106, self.mesh, self.mask, self.parsing)
        return tuple(part for part in parts if part)


PROFILES = {
    "research": Composition(detector="scrfd_500m_bnkps", points106="2d106det"),
    "research-10g": Composition(detector="det_10g", points106="2d106det"),
    "research-parsing": Composition(
        detector="scrfd_500m_bnkps", points106="2d106det", parsing="bisenet"
    ),
    "commercial": Composition(detector="yunet", age="age-v1"),
}


class ProfileParams(Record):
    """The parameters of each measure, and of the two gates' own: age and nudity.

    confirmation: None for the parameters of the profile's detector.
    """

    scrfd: ScrfdParams = ScrfdParams()
    yunet: YuNetParams = YuNetParams()
    points106: Landmarks106Params = Landmarks106Params()
    mesh: MeshParams = MeshParams()
    person_mask: PersonMaskParams = PersonMaskParams()
    lighting: LightingParams = LightingParams()
    parsing: ParsingParams = ParsingParams()
    confirmation: ConfirmationParams | None = None
    age: AgeParams = AgeParams()
    nudity: NudityParams = NudityParams()

    @property
    def gate_weights(self) -> tuple[str, ...]:
        """Names of faces/models.yaml that the gates need beside a composition's."""
        return self.age.weights + self.nudity.weights


# Of the second look: below any score that confirms.
_SECOND_MIN_SCORE = 0.1

# The jaw of face106 follows the outline that is seen, whichever way the head is turned: nothing of
# it is hidden.
_JAW = slice(17)
# Of being a minor, for a face of which nothing is known: doubt excludes.
_IN_DOUBT = 1.0


def _scrfd(path: Path, params: ProfileParams) -> Detector:
    return PanoramaDetector(Scrfd(path, params.scrfd), params.scrfd.max_overlap)


def _yunet(path: Path, params: ProfileParams) -> Detector:
    return PanoramaDetector(YuNet(path, params.yunet), params.yunet.max_overlap)


_DETECTORS: dict[str, Callable[[Path, ProfileParams], Detector]] = {
    "scrfd_500m_bnkps": _scrfd,
    "det_10g": _scrfd,
    "yunet": _yunet,
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


@dataclass(frozen=True)
class _Looked:
    """A detection and what the landmark models make of it, px of the image.

    of106: points (106, 2) and their disagreement (106,). of68: by all models, None where none found
    any.
    """

    detection: Detection
    of106: tuple[Floats, Floats] | None
    of68: Located | None
    mesh: Mesh | None
    is_confirmed: bool


class Profile:
    """name, models: what a label says of its origin. One instance serves any number of threads.

    The gates' networks make no label, so they are none of its models.
    """

    def __init__(self, name: str, cache: Path, params: ProfileParams | None = None) -> None:
        models = profile_models(name)
        parts = PROFILES[name]
        paths = {model.name: fetch(model, cache) for model in models}
        self._params = params or ProfileParams()
        self._detector = _DETECTORS[parts.detector](paths[parts.detector], self._params)
        self._confirmation = second_look(
            parts.detector, paths[parts.detector], self._params.confirmation
        )
        self._points106 = (
            Landmarks106(paths[parts.points106], self._params.points106)
            if parts.points106
            else None
        )
        self._mesher = FaceMesher(paths[parts.mesh], self._params.mesh)
        self._segmenter = PanoramaSegmenter(
            PersonSegmenter(paths[parts.mask], self._params.person_mask)
        )
        self._parser = (
            FaceParser(paths[parts.parsing], self._params.parsing) if parts.parsing else None
        )
        age = self._params.age.model or parts.age
        self._age = AgeEstimator(cache, self._params.age.model_copy(update={"model": age}))
        self._nudity = NudityDetector(cache, self._params.nudity)
        self.name = name
        self.models: tuple[ModelRef, ...] = tuple(model_ref(model) for model in models)

    def measure(self, rgb: Image) -> Measures:
        """The measures of `rgb` (H, W, 3) uint8, upright: a batch of one."""
        return self.measure_batch([rgb])[0]

    def measure_batch(self, images: Sequence[Image]) -> list[Measures]:
        """Faces, masks and minor probabilities of each of `images`, (H, W, 3) uint8, upright.

        The same pixels give the same measures, whatever else is in the batch.
        """
        looked = self._looked(images)
        ages = iter(
            self._age.minor_probability(
                [
                    (rgb, one.of68.points)
                    for rgb, of_image in zip(images, looked, strict=True)
                    for one in of_image
                    if one.of68
                ]
            )
        )
        intimate = self._nudity.is_intimate(
            [
                (rgb, [one.detection.box for one in of_image])
                for rgb, of_image in zip(images, looked, strict=True)
            ]
        )
        masks = self._segmenter.segment(images)
        measures = []
        for rgb, of_image, mask, nude in zip(images, looked, masks, intimate, strict=True):
            confirmed = [one for one in of_image if one.is_confirmed]
            measures.append(
                Measures(
                    faces=tuple(
                        self._face(str(rank), rgb, one) for rank, one in enumerate(confirmed)
                    ),
                    unconfirmed=len(of_image) - len(confirmed),
                    masks=self._masks(rgb, mask, [one.detection for one in confirmed]),
                    minor_probability=tuple(
                        next(ages) if one.of68 else _IN_DOUBT for one in of_image
                    ),
                    is_intimate=nude,
                )
            )
        return measures

    def _looked(self, images: Sequence[Image]) -> list[list[_Looked]]:
        """What was found on each of `images`, largest box first.

        Where nothing is confirmed, the picture may lie on its side or be upside down without saying
        so: it is turned, and what is confirmed then comes after.
        """
        detections = self._detector.detect(images)
        looked = iter(
            self._look(
                [
                    (rgb, detection)
                    for rgb, of_image in zip(images, detections, strict=True)
                    for detection in of_image
                ]
            )
        )
        standing = [[next(looked) for _ in of_image] for of_image in detections]
        return [
            of_image if any(one.is_confirmed for one in of_image) else of_image + self._lying(rgb)
            for rgb, of_image in zip(images, standing, strict=True)
        ]

    def _lying(self, rgb: Image) -> list[_Looked]:
        """The confirmed faces of the turn in which one is found most surely."""
        tries = [
            [
                one
                for one in self._look(
                    [(rgb, found) for found in found_lying(rgb, by, self._detector)]
                )
                if one.is_confirmed
            ]
            for by in (1, 2, 3)
        ]
        return max(tries, key=lambda seen: max((one.detection.score for one in seen), default=0.0))

    def _look(self, found: Sequence[tuple[Image, Detection]]) -> list[_Looked]:
        """Landmarks of each detection, and whether it is a face."""
        views = [upright(rgb, detection, self._detector) for rgb, detection in found]
        boxes = [(view.rgb, view.box) for view in views]
        points106 = self._located106(views)
        meshes = [
            mesh and view.mesh(mesh)
            for mesh, view in zip(self._mesher.locate(boxes), views, strict=True)
        ]
        seen = [looks(of106, mesh) for of106, mesh in zip(points106, meshes, strict=True)]
        confirmed = self._confirmation.confirm(
            boxes,
            [
                one.apart_px / view.scale if one else math.nan
                for one, view in zip(seen, views, strict=True)
            ],
        )
        return [
            _Looked(detection, of106, located68(one) if one else None, mesh, is_confirmed)
            for (_, detection), of106, one, mesh, is_confirmed in zip(
                found, points106, seen, meshes, confirmed, strict=True
            )
        ]

    def _located106(self, views: Sequence[View]) -> Sequence[tuple[Floats, Floats] | None]:
        """The points of face106 and their disagreement, px of the image, in each view."""
        if self._points106 is None:
            return [None] * len(views)
        located = self._points106.locate([(view.rgb, view.box) for view in views])
        return [
            (view.points(points), apart * view.scale)
            for view, (points, apart) in zip(views, located, strict=True)
        ]

    def _masks(
        self, rgb: Image, person: NDArray[np.bool_], faces: Sequence[Detection]
    ) -> tuple[Mask, ...]:
        of_person = encode(person, label="person")
        of_faces = self._parser.parse(rgb, faces) if self._parser else ()
        return ((of_person,) if of_person else ()) + of_faces

    def _face(
        self,
        face_id: str,
        rgb: Image,
        seen: _Looked,
    ) -> Face:
        """The record of one face. Without points, only where it is."""
        detection, of106, of68, mesh = seen.detection, seen.of106, seen.of68, seen.mesh
        height, width = rgb.shape[:2]
        left, top, right, bottom = np.clip(detection.box, 0, [width, height, width, height])
        face = Face(
            face_id=face_id,
            box=(_px(left), _px(top), _px(right), _px(bottom)),
            score=round(detection.score, 4),
        )
        if of68 is None:
            return face
        pose = head_pose(mesh.matrix) if mesh else pose_from_points(of68.points)
        region = face_region(rgb, of68.points)
        points = {"ibug68": landmarks(of68, width, height, _hidden(mesh, of106 is not None))}
        if of106:
            points["face106"] = landmarks(located106(*of106), width, height)
        return face.model_copy(
            update={
                "landmarks": points,
                "uncertainty": round(of68.uncertainty, 4),
                "pose": pose,
                "lighting": lighting(region, self._params.lighting),
                "quality": quality(rgb, detection.box, of68.points, region, pose),
                "blendshapes": {
                    name: round(score, 4)
                    for name, score in (mesh.blendshapes if mesh else {}).items()
                },
            }
        )


def profile_models(name: str) -> tuple[Model, ...]:
    """The weight files of that profile, in the order in which labels state them.

    Raises SettingsError for an unknown name.
    """
    if name not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise SettingsError(f"There is no profile {name!r}; there are {known}.")
    registry = load_registry()
    return tuple(registry[model] for model in PROFILES[name].models)


def load_profile(name: str, cache: Path, params: ProfileParams | None = None) -> Profile:
    """The profile of that name, its weights fetched into `cache` where they are missing.

    Raises SettingsError for an unknown name, UnavailableError and IntegrityError as `fetch` does.
    """
    return Profile(name, cache, params)


def second_look(
    detector: str, path: Path, params: ConfirmationParams | None = None
) -> Confirmation:
    """What confirms the faces of `detector`: the same, looking at crops, with a low threshold."""
    wanted = params or CONFIRMATIONS[detector]
    sides = (wanted.crop_side_px,)
    second = ProfileParams(
        scrfd=ScrfdParams(min_score=_SECOND_MIN_SCORE, input_sides_px=sides),
        yunet=YuNetParams(min_score=_SECOND_MIN_SCORE, input_sides_px=sides),
    )
    return Confirmation(_DETECTORS[detector](path, second), wanted)


def _hidden(mesh: Mesh | None, is_jaw_outline: bool) -> NDArray[np.bool_] | None:
    """Which of the ibug68 points the head hides, (68,) bool; None where no mesh tells."""
    if mesh is None:
        return None
    hidden = hidden_points(load_schema("ibug68"), np.column_stack([mesh.points, mesh.depth_px]))
    if is_jaw_outline:
        hidden[_JAW] = False
    return hidden


def _px(value: float) -> float:
    return round(float(value), 2)
