"""The gates: which images of a snapshot may enter a release, and why the others may not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

from pydantic import Field

from curation.records import Selected
from curation.snapshot import (
    Candidate,
    best_annotation,
    binding_sighting,
    read_candidates,
    read_ledger,
    read_rejected,
    unquarantined,
)
from mirrorset.errors import LicenceError
from mirrorset.files import write_records
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
    Rejected,
    Sighting,
)

_STOP = "do_not_use"  # the annotators' tag


class SelectParams(Record):
    """What a release admits. All limits are inclusive and hold for the main (largest) face.

    min_inter_eye_distance_px: between the eye centres.
    min_head_size: height of the face box over height of the image.
    max_faces: faces in the image.
    max_abs_yaw_deg, max_abs_pitch_deg, max_abs_roll_deg: head pose either way.
    min_sharpness: variance of the Laplacian on the face scaled to 128 px.
    min_luminance, max_luminance: mean luminance of the face, 0 to 1.
    max_under_exposure, max_over_exposure: share of dark and of bright face pixels.
    """

    min_inter_eye_distance_px: float = Field(default=32, ge=0)
    min_head_size: float = Field(default=0.15, ge=0, le=1)
    max_faces: int = Field(default=3, ge=1)
    max_abs_yaw_deg: float = Field(default=45, ge=0)
    max_abs_pitch_deg: float = Field(default=35, ge=0)
    max_abs_roll_deg: float = Field(default=45, ge=0)
    min_sharpness: float = Field(default=60, ge=0)
    min_luminance: float = Field(default=0.1, ge=0, le=1)
    max_luminance: float = Field(default=0.9, ge=0, le=1)
    max_under_exposure: float = Field(default=0.6, ge=0, le=1)
    max_over_exposure: float = Field(default=0.4, ge=0, le=1)


class Counts(Record):
    """How a step ended: records kept, and records rejected by reason."""

    kept: int
    rejected: dict[Reason, int]


def select(snapshot: Path, work: Path, intended_use: IntendedUse, params: SelectParams) -> Counts:
    """Write selected.jsonl and rejected.jsonl into `work`, in order of image_id.

    Of several images with the same pixels the one that is in the ledger stays, else the smallest
    image_id. Raises LicenceError where the intended use is commercial and labels of the selected
    images come from weights that forbid it.
    """
    ledger = read_ledger(snapshot)
    judged_before = {rejected.item_id for rejected in read_rejected(snapshot)}
    rejected: list[Rejected] = []
    first_by_pixels: dict[str, tuple[bool, str]] = {}
    passed: dict[str, str] = {}
    for candidate in read_candidates(snapshot):
        image = candidate.image
        if not candidate.annotations and image.image_id in judged_before:
            continue
        outcome = _judge(candidate, intended_use, params)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        rank = (image.image_id not in ledger, image.image_id)
        first_by_pixels[image.pixel_hash] = min(rank, first_by_pixels.get(image.pixel_hash, rank))
        passed[image.image_id] = image.pixel_hash

    kept = {image_id for _, image_id in first_by_pixels.values()}
    for image_id in passed.keys() - kept:
        twin = first_by_pixels[passed[image_id]][1]
        rejected.append(
            _rejected(image_id, Reason.DUPLICATE_PIXELS, f"Same pixels as image {twin}.")
        )
    rejected.sort(key=lambda record: record.item_id)

    # A second reading, so that memory holds ids and never all annotations.
    write_records(work / "selected.jsonl", _selected(snapshot, kept, intended_use, params))
    write_records(work / "rejected.jsonl", rejected)
    return Counts(
        kept=len(kept), rejected=dict(sorted(Counter(r.reason for r in rejected).items()))
    )


def main_face(faces: Sequence[Face]) -> Face:
    """The face with the largest box."""
    return max(faces, key=lambda face: float(area(face.box)[0]))


def _selected(
    snapshot: Path, kept: set[str], intended_use: IntendedUse, params: SelectParams
) -> Iterator[Selected]:
    refused: Counter[str] = Counter()
    for candidate in read_candidates(snapshot):
        outcome = _judge(candidate, intended_use, params)
        if isinstance(outcome, Rejected) or candidate.image.image_id not in kept:
            continue
        if intended_use == "commercial":
            refused.update(_forbidding_commerce(outcome.annotation))
        yield outcome
    if refused:
        raise LicenceError(
            f"Labels of {max(refused.values())} images come from {', '.join(sorted(refused))}, "
            "which may not be used commercially: label again with other models, or set "
            "dataset.intended_use to research in params.yaml."
        )


def _judge(
    candidate: Candidate, intended_use: IntendedUse, params: SelectParams
) -> Selected | Rejected:
    annotation = _best_for(candidate.annotations, intended_use)
    if annotation is None:
        return Rejected(
            item_id=candidate.image.image_id,
            step="select",
            reason=Reason.MODEL_FAILED,
            detail="No annotation: label the image with `mirrorset prelabel`.",
            is_retryable=True,
        )
    if quarantine := _quarantine(candidate, intended_use):
        return _rejected(
            candidate.image.image_id,
            quarantine.reason,
            f"In quarantine since {quarantine.since:%Y-%m-%d}: {quarantine.detail}",
        )
    sighting = binding_sighting(unquarantined(candidate), intended_use)
    if sighting is None:
        return _rejected(
            candidate.image.image_id, Reason.LICENCE_MISSING, "No sighting tells a licence."
        )
    if reason := refusal(sighting.licence, intended_use):
        return _rejected(
            candidate.image.image_id,
            reason,
            f"{sighting.licence.code} forbids the intended use {intended_use}.",
        )
    selected = Selected(image=candidate.image, sighting=sighting, annotation=annotation)
    for gate in _GATES:
        if refusal_and_detail := gate(selected, candidate, params):
            return _rejected(candidate.image.image_id, *refusal_and_detail)
    return selected


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


def _quarantine(candidate: Candidate, use: IntendedUse) -> Quarantine | None:
    """The quarantine that keeps an image out, or None.

    An opt-out or a licence withdrawn at one place counts for all. A picture that is gone from one
    place may stay where another shows it under the very licence that bound it before.
    """
    quarantines = candidate.quarantines
    said_no = next((one for one in quarantines if one.reason is not Reason.GONE), None)
    if said_no is not None or not quarantines:
        return said_no
    bound_by = binding_sighting(candidate.sightings, use)
    still_bound_by = binding_sighting(unquarantined(candidate), use)
    return None if _licence(bound_by) == _licence(still_bound_by) else quarantines[0]


def _licence(sighting: Sighting | None) -> Licence | None:
    return None if sighting is None else sighting.licence


_Refusal = tuple[Reason, str] | None


def _has_face(selected: Selected, _: Candidate, params: SelectParams) -> _Refusal:
    count = len(selected.annotation.faces)
    if count == 0:
        return Reason.NO_FACE, "The best annotation holds no face."
    if count > params.max_faces:
        return Reason.QUALITY, f"{count} faces, at most {params.max_faces} wanted."
    return None


def _is_adult(_: Selected, candidate: Candidate, __: SelectParams) -> _Refusal:
    adult = [verdict.passed for verdict in candidate.verdicts if verdict.check == "adult"]
    if adult and all(adult):
        return None
    return Reason.MINOR_DOUBT, f"The adult verdict {'failed' if adult else 'is missing'}."


def _is_not_stopped(_: Selected, candidate: Candidate, __: SelectParams) -> _Refusal:
    # Verdicts know the last annotator only; whoever set the tag is to be heard all the same.
    stops = {one.tags[_STOP] for one in candidate.annotations if _STOP in one.tags}
    if not stops:
        return None
    return Reason.CHECK_FAILED, f"An annotator set {_STOP}: {', '.join(sorted(stops))}."


def _has_passed_checks(_: Selected, candidate: Candidate, __: SelectParams) -> _Refusal:
    failed = [verdict.check for verdict in candidate.verdicts if not verdict.passed]
    return (Reason.CHECK_FAILED, f"Failed: {', '.join(failed)}.") if failed else None


def _is_good_enough(selected: Selected, candidate: Candidate, params: SelectParams) -> _Refusal:
    face = _measured_face(selected.annotation, candidate.annotations)
    quality, pose = face.quality, face.pose
    if quality is None or pose is None:
        lacking = "quality measures" if quality is None else "head pose"
        return Reason.QUALITY, f"The main face has no {lacking}."
    faults = [
        f"{name} is {measured:.4g}, {low:.4g} to {high:.4g} wanted"
        for name, measured, low, high in (
            (
                "inter_eye_distance_px",
                quality.inter_eye_distance_px,
                params.min_inter_eye_distance_px,
                inf,
            ),
            ("head_size", quality.head_size, params.min_head_size, inf),
            ("sharpness", quality.sharpness, params.min_sharpness, inf),
            ("luminance_mean", quality.luminance_mean, params.min_luminance, params.max_luminance),
            ("under_exposure", quality.under_exposure, 0, params.max_under_exposure),
            ("over_exposure", quality.over_exposure, 0, params.max_over_exposure),
            ("yaw_deg", pose.yaw_deg, -params.max_abs_yaw_deg, params.max_abs_yaw_deg),
            ("pitch_deg", pose.pitch_deg, -params.max_abs_pitch_deg, params.max_abs_pitch_deg),
            ("roll_deg", pose.roll_deg, -params.max_abs_roll_deg, params.max_abs_roll_deg),
        )
        if not low <= measured <= high
    ]
    return (Reason.QUALITY, f"{'; '.join(faults)}.") if faults else None


# In this order, so that an image is rejected for what weighs most.
_GATES = (_is_adult, _is_not_stopped, _has_passed_checks, _has_face, _is_good_enough)


def _measured_face(annotation: Annotation, annotations: Sequence[Annotation]) -> Face:
    """The main face with measures: a person's annotation may lack what a model measured."""
    faces = [main_face(other.faces) for other in (annotation, *annotations) if other.faces]
    is_measured = (face for face in faces if face.quality is not None and face.pose is not None)
    return next(is_measured, faces[0])


def _rejected(image_id: str, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=image_id, step="select", reason=reason, detail=detail)
