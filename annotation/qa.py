"""How good people's labels are: who agrees, what was moved, what is suspicious; image by image."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from annotation.agreement import (
    AgreementRow,
    Axis,
    Comparison,
    Disagreement,
    Drift,
    Standing,
    Work,
    agreement,
    comparisons,
    disagreement,
    drift,
    farthest,
    standings,
)
from annotation.checks import CheckParams, Finding, findings, verdicts
from annotation.edits import Edit, EditParams, EditRow, edit_rows, edits, to_replace
from annotation.schema import LabelSchema
from faces.matching import match_faces
from faces.slices import selfie_slice_of, slice_of
from mirrorset.geometry import area
from mirrorset.records import (
    Annotation,
    Honeypot,
    ImageRecord,
    Origin,
    Provenance,
    Record,
    Verdict,
)

PEOPLE_AGREE = "people_agree"
ANNOTATOR_AGREES = "annotator_agrees"


class QaParams(Record):
    """When people's labels may be released: the section `qa`.

    max_disagreement: NME of two people on one image. max_gold_nme: an annotator's NME on gold; they
    fail where even the lower end of its interval lies beyond, and not before min_gold_images.
    edits: from where on a pre-label counts as wrong. is_reopening: whether what is suspicious
    becomes an issue in CVAT.
    """

    max_disagreement: float = Field(default=0.1, gt=0)
    max_gold_nme: float = Field(default=0.05, gt=0)
    min_gold_images: int = Field(default=5, ge=1)
    edits: EditParams = EditParams()
    is_reopening: bool = True


class DefaultRow(Record):
    """An attribute as one annotator leaves it. is_untouched: it has its default on every face."""

    annotator: str
    attribute: str
    default: str
    faces: int
    at_default: int

    @property
    def is_untouched(self) -> bool:
        """Whether there are faces enough to notice that it never was anything else."""
        return self.at_default == self.faces >= _FACES_TO_NOTICE


class Suspicious(Record):
    """A finding, and where the labels were read that it is about."""

    finding: Finding
    provenance: Provenance


class QaReport(Record):
    """What `mirrorset annotate qa` tells; people under their pseudonyms.

    standings: annotators against gold and honeypots, the best first. drift: the same week by week.
    disagreements: the images on which two lie farthest apart, the farthest first. replace: models,
    the one that people corrected most first. untouched: attributes that an annotator never set.
    failed: images by the check they fail. suspicious: findings by check.
    """

    reviewed: int = 0
    agreement: tuple[AgreementRow, ...] = ()
    standings: tuple[Standing, ...] = ()
    drift: tuple[Drift, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    edits: tuple[EditRow, ...] = ()
    replace: tuple[str, ...] = ()
    untouched: tuple[DefaultRow, ...] = ()
    failed: dict[str, int] = Field(default_factory=dict)
    suspicious: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True)
class Assessment:
    """The report, the verdicts to be kept, and what annotators are to look at again."""

    report: QaReport
    verdicts: tuple[Verdict, ...]
    suspicious: tuple[Suspicious, ...]


_FARTHEST = 24
# An annotator who sets nothing on so many faces in a row is no chance.
_FACES_TO_NOTICE = 20


@dataclass
class _Seen:
    """What is kept of all images while they pass by, one at a time."""

    compared: list[Comparison] = field(default_factory=list)
    farthest: list[Comparison] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    suspicious: list[Suspicious] = field(default_factory=list)
    annotators: dict[str, str] = field(default_factory=dict)
    defaults: dict[tuple[str, str], Counter[bool]] = field(
        default_factory=lambda: defaultdict(Counter)
    )


def assess(
    by_image: Iterable[Sequence[Annotation]],
    images: Mapping[str, ImageRecord],
    schema: LabelSchema,
    params: QaParams,
    checks: CheckParams,
    *,
    honeypots: Iterable[Honeypot] = (),
) -> Assessment:
    """Judge what people made of each image.

    by_image: all annotations of one image after another. images: by id; what is no longer kept is
    passed over.
    """
    seen = _Seen()
    drawn = {(one.batch_id, one.image_id) for one in honeypots}
    for annotations in by_image:
        image = images.get(annotations[0].image_id) if annotations else None
        if image is None or all(one.origin == "model" for one in annotations):
            continue
        works = [_work(one, drawn) for one in annotations if one.origin != "model"]
        slices = {image.image_id: _slices(annotations, image)}
        compared = list(comparisons(works, schema, slices))
        seen.compared += (one.without_pair() for one in compared)
        seen.farthest = farthest([*seen.farthest, *compared], schema.skeleton.name, _FARTHEST)
        _look_at(seen, annotations, compared, image, schema, params, checks)
    ranking = standings(seen.compared, schema.skeleton.name)
    judged = (*seen.verdicts, *_by_annotator(seen.annotators, ranking, params))
    rows = edit_rows(seen.edits, schema)
    return Assessment(
        report=QaReport(
            reviewed=len(seen.annotators),
            agreement=tuple(agreement(seen.compared)),
            standings=tuple(ranking),
            drift=tuple(drift(seen.compared, schema.skeleton.name)),
            disagreements=tuple(disagreement(one, schema.skeleton.name) for one in seen.farthest),
            edits=tuple(rows),
            replace=to_replace(rows),
            untouched=tuple(
                row for row in _default_rows(seen.defaults, schema) if row.is_untouched
            ),
            failed=dict(sorted(Counter(one.check for one in judged if not one.passed).items())),
            suspicious=dict(sorted(Counter(one.finding.check for one in seen.suspicious).items())),
        ),
        verdicts=judged,
        suspicious=tuple(seen.suspicious),
    )


def _work(annotation: Annotation, drawn: Collection[tuple[str, str]]) -> Work:
    """The annotation with its job; what an archive brought has its batch for one."""
    place = annotation.provenance
    return Work(
        annotation,
        place.job if place else annotation.batch_id,
        is_honeypot=annotation.origin == "replica"
        and (annotation.batch_id, annotation.image_id) in drawn,
    )


def _look_at(
    seen: _Seen,
    annotations: Sequence[Annotation],
    compared: Sequence[Comparison],
    image: ImageRecord,
    schema: LabelSchema,
    params: QaParams,
    checks: CheckParams,
) -> None:
    """See what became of the label that was sent, and judge the one that would be released."""
    if corrected := _newest(annotations, "human"):
        if sent := _sent(corrected, annotations):
            seen.edits += edits(corrected, sent, schema, params.edits)
        for name, is_default in _attributes(corrected, schema):
            seen.defaults[corrected.by, name][is_default] += 1
    best = _newest(annotations, "gold") or corrected
    if best is None:
        return
    width_px, height_px = image.width_px, image.height_px
    seen.annotators[image.image_id] = best.by if best.origin == "human" else ""
    seen.verdicts += verdicts(best, width_px, height_px, schema, checks)
    found = findings(best, width_px, height_px, schema, checks)
    # Gold settles what people disagreed on.
    worst = _largest_disagreement(compared, schema) if best.origin == "human" else None
    is_agreed = worst is None or worst <= params.max_disagreement
    seen.verdicts.append(
        Verdict(
            image_id=image.image_id,
            check=PEOPLE_AGREE,
            passed=is_agreed,
            measured=None if worst is None else round(worst, 4),
            threshold=params.max_disagreement,
        )
    )
    if not is_agreed:
        others = [one for one in annotations if one.origin in ("human", "replica")]
        found += _disputed(best, others, schema)
    if best.provenance is not None:
        seen.suspicious += [Suspicious(finding=one, provenance=best.provenance) for one in found]


def _newest(annotations: Sequence[Annotation], origin: Origin) -> Annotation | None:
    """The newest annotation of that origin: of people's, gold is released before human."""
    own = [one for one in annotations if one.origin == origin]
    return max(own, key=lambda one: (one.made_at, one.by), default=None)


def _sent(corrected: Annotation, annotations: Sequence[Annotation]) -> Annotation | None:
    """The pre-label that a person corrected: a correction names the models of what it began as."""
    return next(
        (one for one in annotations if one.origin == "model" and one.models == corrected.models),
        None,
    )


def _slices(annotations: Sequence[Annotation], image: ImageRecord) -> tuple[tuple[Axis, str], ...]:
    """Where the image counts, by the faces that were measured, whoever labelled it."""
    faces = max(
        (one.faces for one in annotations),
        key=lambda faces: sum(face.pose is not None for face in faces),
    )
    if not faces:
        return ()
    main = max(faces, key=lambda face: float(area(face.box)[0]))
    pose, lighting = slice_of(main)
    selfie = selfie_slice_of(faces, image.width_px, image.height_px)
    return ("pose", pose), ("lighting", lighting), ("selfie", selfie)


def _largest_disagreement(compared: Sequence[Comparison], schema: LabelSchema) -> float | None:
    """The largest NME between two people, None where there are no two."""
    errors = (
        one.compared.values.get((schema.skeleton.name, "nme"))
        for one in compared
        if one.against == "replica"
    )
    return max((error for error in errors if error is not None), default=None)


def _disputed(
    best: Annotation, others: Sequence[Annotation], schema: LabelSchema
) -> Iterator[Finding]:
    """The point of each face on which another person differs most from the label."""
    name = schema.skeleton.name
    farthest: dict[str, tuple[float, int]] = {}
    for other in others:
        if other.by == best.by:
            continue
        for face, rival in match_faces(best.faces, other.faces).pairs:
            a, b = face.landmarks.get(name), rival.landmarks.get(name)
            if a is None or b is None:
                continue
            given = (np.asarray(a.visibility) > 0) & (np.asarray(b.visibility) > 0)
            apart = np.linalg.norm(np.asarray(a.points) - np.asarray(b.points), axis=1) * given
            index = int(apart.argmax())
            known = farthest.get(face.face_id, (0.0, 0))
            farthest[face.face_id] = max(known, (float(apart[index]), index))
    for face in best.faces:
        if face.face_id in farthest:
            _, index = farthest[face.face_id]
            yield Finding(
                image_id=best.image_id,
                check=PEOPLE_AGREE,
                face_id=face.face_id,
                at=face.landmarks[name].points[index],
                message=f"Another person has {schema.point_names[index]} elsewhere, farther than "
                "the rest of this face: look at it again.",
            )


def _by_annotator(
    annotators: Mapping[str, str], ranking: Sequence[Standing], params: QaParams
) -> Iterator[Verdict]:
    """Whether whoever labelled an image holds up against gold; nobody is doubted without it."""
    known = {one.annotator: one for one in ranking if one.images >= params.min_gold_images}
    for image_id, annotator in annotators.items():
        standing = known.get(annotator)
        yield Verdict(
            image_id=image_id,
            check=ANNOTATOR_AGREES,
            passed=standing is None or standing.low is None or standing.low <= params.max_gold_nme,
            measured=None if standing is None else round(standing.nme, 4),
            threshold=params.max_gold_nme,
        )


def _attributes(annotation: Annotation, schema: LabelSchema) -> Iterator[tuple[str, bool]]:
    for face in annotation.faces:
        for spec in schema.face.attributes:
            if spec.kind == "select":
                yield spec.name, face.attributes.get(spec.name, spec.default) == spec.default


def _default_rows(
    defaults: Mapping[tuple[str, str], Counter[bool]], schema: LabelSchema
) -> Iterator[DefaultRow]:
    default = {spec.name: spec.default for spec in schema.face.attributes}
    for (annotator, attribute), counts in sorted(defaults.items()):
        yield DefaultRow(
            annotator=annotator,
            attribute=attribute,
            default=default[attribute],
            faces=counts.total(),
            at_default=counts[True],
        )
