"""The gates: what an image must be to enter a release, and the reason where it may not.

A gate is a function, a limit of `SelectParams`, or several of both that share its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from curation.snapshot import Candidate, best_annotation, binding_sighting, unquarantined
from mirrorset.decisions import NOT_STOPPED, dropped, released
from mirrorset.geometry import area
from mirrorset.licences import refusal
from mirrorset.records import (
    Annotation,
    Face,
    IntendedUse,
    Licence,
    Quarantine,
    Reason,
    Record,
    Sighting,
)

_STOP = "do_not_use"  # the annotators' tag
_ADULT = "adult"
_INTIMATE = "intimate"
_OCCLUDED = 1  # a point's visibility
_OPT_OUTS = (Reason.OPT_OUT_NOAI, Reason.OPT_OUT_TDM, Reason.OPT_OUT_TAG)
_DEGREES = ("none", "partial", "heavy")


class SelectParams(Record):
    """What a release admits. All limits are inclusive and hold for the main (largest) face.

    max_faces: faces in the image.
    max_occlusion: what annotators say of what covers the face; "heavy" admits all.
    max_occluded_points: share of the face's landmarks that something hides, the head included.
    min_inter_eye_distance_px: between the eye centres.
    min_head_size: distance from between the eyes to the chin over height of the image.
    min_sharpness: variance of the Laplacian on the face scaled to 128 px.
    min_luminance, max_luminance: mean linear luminance of the face, 0 to 1.
    max_under_exposure, max_over_exposure: share of black and of white face pixels.
    max_abs_yaw_deg, max_abs_pitch_deg, max_abs_roll_deg: head pose either way.
    """

    max_faces: int = Field(default=3, ge=1)
    max_occlusion: Literal["none", "partial", "heavy"] = "partial"
    max_occluded_points: float = Field(default=0.5, ge=0, le=1)
    min_inter_eye_distance_px: float = Field(default=32, ge=0)
    min_head_size: float = Field(default=0.09, ge=0, le=1)
    min_sharpness: float = Field(default=60, ge=0)
    min_luminance: float = Field(default=0.01, ge=0, le=1)
    max_luminance: float = Field(default=0.79, ge=0, le=1)
    max_under_exposure: float = Field(default=0.6, ge=0, le=1)
    max_over_exposure: float = Field(default=0.4, ge=0, le=1)
    max_abs_yaw_deg: float = Field(default=45, ge=0)
    max_abs_pitch_deg: float = Field(default=35, ge=0)
    max_abs_roll_deg: float = Field(default=45, ge=0)

    @model_validator(mode="after")
    def _require_room(self) -> Self:
        if self.min_luminance > self.max_luminance:
            raise ValueError("min_luminance is above max_luminance: no face would be admitted")
        return self


class Refusal(NamedTuple):
    """Why a gate keeps an image out. detail: one sentence for a person."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Subject:
    """An image before the gates. annotation: the labels that would be released."""

    candidate: Candidate
    use: IntendedUse
    annotation: Annotation

    @cached_property
    def sighting(self) -> Sighting | None:
        """The sighting whose licence binds, of those that hold; of all, where none does."""
        sightings = unquarantined(self.candidate) or self.candidate.sightings
        return binding_sighting(sightings, self.use)

    @cached_property
    def face(self) -> Face | None:
        """The main face."""
        return main_face(self.annotation.faces) if self.annotation.faces else None

    @cached_property
    def measured_face(self) -> Face | None:
        """The main face with measures: a person's annotation may lack what a model measured."""
        others = (self.annotation, *self.candidate.annotations)
        faces = (main_face(other.faces) for other in others if other.faces)
        return next((face for face in faces if face.quality and face.pose), None)


class Gate(NamedTuple):
    """A gate that is a function."""

    name: str
    refuse: Callable[[Subject], Refusal | None]


class Limit(NamedTuple):
    """A gate that is a threshold.

    param: its field of SelectParams, which begins with "min_" or "max_". measure: None where there
    is nothing to measure, which breaks no limit. degrees: for a threshold in words, these from the
    least to the most; measured is a word's place among them.
    """

    name: str
    param: str
    reason: Reason
    measure: Callable[[Subject], float | None]
    degrees: Sequence[str] = ()

    @property
    def is_ceiling(self) -> bool:
        """Whether more than the threshold is refused, else less."""
        return self.param.startswith("max_")

    def threshold(self, params: SelectParams) -> float:
        """The threshold in the unit of the measure."""
        value = getattr(params, self.param)
        return float(self.degrees.index(value) if self.degrees else value)

    def is_broken(self, measured: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
        """Which of `measured`, of any shape, the threshold refuses. NaN breaks no limit."""
        return measured > threshold if self.is_ceiling else measured < threshold

    def fault(self, subject: Subject, params: SelectParams) -> str:
        """What is wrong with the image in words, or ""."""
        measured, threshold = self.measure(subject), self.threshold(params)
        if measured is None or not self.is_broken(np.array(measured), threshold):
            return ""
        bound, _, name = self.param.partition("_")
        wanted = "at most" if bound == "max" else "at least"
        return f"{name} is {self.worded(measured)}, {wanted} {self.worded(threshold)} wanted"

    def worded(self, value: float) -> str:
        """A measure or threshold as params.yaml writes it, to four digits."""
        return self.degrees[int(value)] if self.degrees else f"{value:.4g}"


def subject_of(candidate: Candidate, use: IntendedUse) -> Subject | None:
    """The image with its best annotation; None where it has none, so nothing can be judged."""
    annotation = _best_for(candidate.annotations, use)
    return None if annotation is None else Subject(candidate, use, annotation)


def first_refusal(subject: Subject, params: SelectParams) -> Refusal | None:
    """What the first gate says that the image fails: it is rejected for what weighs most."""
    for gate in GATES:
        if refused := gate.refuse(subject):
            return refused
    for reason, limits in groupby(LIMITS, key=lambda limit: limit.reason):
        if faults := [fault for limit in limits if (fault := limit.fault(subject, params))]:
            return Refusal(reason, f"{'; '.join(faults)}.")
    return None


def main_face(faces: Sequence[Face]) -> Face:
    """The face with the largest box."""
    return max(faces, key=lambda face: float(area(face.box)[0]))


def _best_for(annotations: Sequence[Annotation], use: IntendedUse) -> Annotation | None:
    """The best annotation; of machine labels, for commerce, the best that no weights forbid.

    A person's labels began as a machine's: where that machine's weights forbid commerce they are
    not passed over in silence for labels that nobody has looked at.
    """
    best = best_annotation(annotations)
    if best is None or best.origin != "model" or use != "commercial":
        return best
    return best_annotation([one for one in annotations if not _forbidding_commerce(one)]) or best


def _forbidding_commerce(annotation: Annotation) -> list[str]:
    """The weights of its models that may not be used commercially, with their licences."""
    return [
        f"{model.name} ({model.licence})"
        for model in annotation.models
        if not model.is_commercial_use_allowed
    ]


def _is_not_dropped(subject: Subject) -> Refusal | None:
    if not dropped(subject.candidate.decisions):
        return None
    return Refusal(Reason.DROPPED, "A person decided that it stays out.")


def _has_not_opted_out(subject: Subject) -> Refusal | None:
    """An opt-out at one place counts for all."""
    opted_out = (one for one in subject.candidate.quarantines if one.reason in _OPT_OUTS)
    return next(map(_waits, opted_out), None)


def _is_not_quarantined(subject: Subject) -> Refusal | None:
    """A licence withdrawn at one place counts for all.

    A picture that is gone from one place may stay where another shows it under the very licence
    that bound it before.
    """
    held = [one for one in subject.candidate.quarantines if one.reason not in _OPT_OUTS]
    if not held:
        return None
    withdrawn = next((one for one in held if one.reason is not Reason.GONE), None)
    if withdrawn is None:
        bound_by = binding_sighting(subject.candidate.sightings, subject.use)
        still_bound_by = binding_sighting(unquarantined(subject.candidate), subject.use)
        if _licence(bound_by) == _licence(still_bound_by):
            return None
    return _waits(withdrawn or held[0])


def _waits(quarantine: Quarantine) -> Refusal:
    since = f"In quarantine since {quarantine.since:%Y-%m-%d}"
    return Refusal(quarantine.reason, f"{since}: {quarantine.detail}")


def _licence(sighting: Sighting | None) -> Licence | None:
    return None if sighting is None else sighting.licence


def _has_licence(subject: Subject) -> Refusal | None:
    if subject.sighting is None:
        return Refusal(Reason.LICENCE_MISSING, "No sighting tells a licence.")
    licence, use = subject.sighting.licence, subject.use
    reason = refusal(licence, use)
    if reason is None:
        return None
    return Refusal(reason, f"{licence.code} forbids the intended use {use}.")


def _has_free_labels(subject: Subject) -> Refusal | None:
    forbidding = _forbidding_commerce(subject.annotation)
    if subject.use != "commercial" or not forbidding:
        return None
    return Refusal(
        Reason.MODEL_LICENCE,
        f"Its labels come from {', '.join(sorted(forbidding))}, which may not be used "
        "commercially: label it again with other models.",
    )


def _is_not_intimate(subject: Subject) -> Refusal | None:
    passed = [one.passed for one in subject.candidate.verdicts if one.check == _INTIMATE]
    return None if all(passed) else Refusal(Reason.INTIMATE, "")


def _is_adult(subject: Subject) -> Refusal | None:
    adult = [one.passed for one in subject.candidate.verdicts if one.check == _ADULT]
    if released(subject.candidate.decisions) or (adult and all(adult)):
        return None
    state = "failed" if adult else "is missing"
    return Refusal(Reason.MINOR_DOUBT, f"The adult verdict {state}.")


def _is_not_stopped(subject: Subject) -> Refusal | None:
    # Verdicts know the last annotator only; whoever set the tag is to be heard all the same.
    stops = {one.tags[_STOP] for one in subject.candidate.annotations if _STOP in one.tags}
    if stops:
        reasons = ", ".join(sorted(stops))
        return Refusal(Reason.CHECK_FAILED, f"An annotator set {_STOP}: {reasons}.")
    if NOT_STOPPED in _failed(subject):
        return Refusal(Reason.CHECK_FAILED, f"Failed: {NOT_STOPPED}.")
    return None


def _has_passed_checks(subject: Subject) -> Refusal | None:
    # Of these, gates of their own judge.
    failed = [one for one in _failed(subject) if one not in (_ADULT, _INTIMATE, NOT_STOPPED)]
    return Refusal(Reason.CHECK_FAILED, f"Failed: {', '.join(failed)}.") if failed else None


def _failed(subject: Subject) -> list[str]:
    return [one.check for one in subject.candidate.verdicts if not one.passed]


def _has_face(subject: Subject) -> Refusal | None:
    if subject.face is not None:
        return None
    return Refusal(Reason.NO_FACE, "The best annotation holds no face.")


def _is_measured(subject: Subject) -> Refusal | None:
    face = subject.face
    if face is None or subject.measured_face is not None:
        return None
    lacking = "quality measures" if face.quality is None else "head pose"
    return Refusal(Reason.QUALITY, f"The main face has no {lacking}.")


def _faces(subject: Subject) -> float:
    return len(subject.annotation.faces)


def _occlusion(subject: Subject) -> float | None:
    stated = subject.face.attributes.get("occlusion") if subject.face else None
    return _DEGREES.index(stated) if stated in _DEGREES else None


def _occluded_points(subject: Subject) -> float | None:
    """Of the landmark schema that has the largest share."""
    schemas = subject.face.landmarks.values() if subject.face else ()
    shares = [one.visibility.count(_OCCLUDED) / len(one.points) for one in schemas if one.points]
    return max(shares, default=None)


def _quality(name: str) -> Callable[[Subject], float | None]:
    def measure(subject: Subject) -> float | None:
        face = subject.measured_face
        return None if face is None else float(getattr(face.quality, name))

    return measure


def _turned(name: str) -> Callable[[Subject], float | None]:
    def measure(subject: Subject) -> float | None:
        face = subject.measured_face
        return None if face is None else abs(float(getattr(face.pose, name)))

    return measure


#: In this order, before the limits.
GATES = (
    Gate("dropped", _is_not_dropped),
    Gate("opt_out", _has_not_opted_out),
    Gate("quarantine", _is_not_quarantined),
    Gate("licence", _has_licence),
    Gate("model_licence", _has_free_labels),
    Gate("intimate", _is_not_intimate),
    Gate("minors", _is_adult),
    Gate("stopped", _is_not_stopped),
    Gate("verdicts", _has_passed_checks),
    Gate("faces", _has_face),
    Gate("measures", _is_measured),
)

#: In this order, those of one reason together.
LIMITS = (
    Limit("faces", "max_faces", Reason.SEVERAL_FACES, _faces),
    Limit("occlusion", "max_occlusion", Reason.OCCLUSION, _occlusion, _DEGREES),
    Limit("occlusion", "max_occluded_points", Reason.OCCLUSION, _occluded_points),
    Limit(
        "face_size",
        "min_inter_eye_distance_px",
        Reason.SMALL_FACE,
        _quality("inter_eye_distance_px"),
    ),
    Limit("face_size", "min_head_size", Reason.SMALL_FACE, _quality("head_size")),
    Limit("sharpness", "min_sharpness", Reason.BLURRED, _quality("sharpness")),
    Limit("exposure", "min_luminance", Reason.EXPOSURE, _quality("luminance_mean")),
    Limit("exposure", "max_luminance", Reason.EXPOSURE, _quality("luminance_mean")),
    Limit("exposure", "max_under_exposure", Reason.EXPOSURE, _quality("under_exposure")),
    Limit("exposure", "max_over_exposure", Reason.EXPOSURE, _quality("over_exposure")),
    Limit("pose", "max_abs_yaw_deg", Reason.POSE, _turned("yaw_deg")),
    Limit("pose", "max_abs_pitch_deg", Reason.POSE, _turned("pitch_deg")),
    Limit("pose", "max_abs_roll_deg", Reason.POSE, _turned("roll_deg")),
)
