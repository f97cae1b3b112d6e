"""How far people agree with known truth and with each other, with 95 % bootstrap intervals.

What is drawn again is images, never points or faces: those of one image stand or fall together.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nlargest
from itertools import combinations
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from annotation.comparing import Compared, Floats, Kappa, Value, compare
from annotation.pseudonyms import CONSENSUS
from annotation.schema import LabelSchema
from faces.matching import match_faces
from faces.schema import load_schema
from mirrorset.metrics import (
    bootstrap_interval,
    kappa,
    percentile_interval,
    resampled_kappa,
)
from mirrorset.records import Annotation, Record, Xy

Against = Literal["gold", "honeypot", "replica"]
Axis = Literal["all", "annotator", "job", "pose", "lighting", "selfie"]

#: Answers in an order, of which near ones agree more: outside, occluded, visible.
_ORDERED: frozenset[Kappa] = frozenset({"visibility_kappa", "point_visibility_kappa"})


class Work(NamedTuple):
    """A person's annotation of an image, and the job it was made in.

    is_honeypot: whether the image was drawn into that job because its gold was known.
    """

    annotation: Annotation
    job: str
    is_honeypot: bool = False


@dataclass(frozen=True)
class Comparison:
    """Two people's annotations of one image held against each other.

    against: what the second is; "honeypot" is gold that the first did not know of. places: where
    it counts, as (axis, name); an annotator's and a job's of "replica" are both people's. made_at:
    when the first was made. pair: both, for as long as somebody wants to draw them.
    """

    image_id: str
    against: Against
    places: tuple[tuple[Axis, str], ...]
    compared: Compared
    made_at: datetime
    pair: tuple[Annotation, Annotation] | None = None

    @property
    def annotators(self) -> list[str]:
        """Whose work is judged."""
        return [name for axis, name in self.places if axis == "annotator"]

    def without_pair(self) -> "Comparison":
        """The figures alone: labels of thousands of images are not held together."""
        return replace(self, pair=None)


class AgreementRow(Record):
    """One measure of one label, over the images of one place.

    measure: nme (share of the interocular distance), oks, box_iou, mask_iou, faces_matched (share
    of all faces either names), pose_error_deg, and Cohen's kappas, those of visibility with linear
    weights; point_visibility_kappa is of one point, the label "ibug68.jaw_0". value: mean of the
    images' values, or the kappa of all answers; None where a kappa has no meaning since nothing but
    one answer was given. low, high: 95 %, None for the mean of one image. same_share: of a kappa,
    how many answers are the same.
    """

    against: Against
    axis: Axis
    name: str
    label: str
    measure: Value | Kappa
    value: float | None
    low: float | None
    high: float | None
    same_share: float | None = None
    images: int


def comparisons(
    works: Iterable[Work],
    schema: LabelSchema,
    slices: Mapping[str, Sequence[tuple[Axis, str]]] | None = None,
) -> Iterator[Comparison]:
    """Every comparison that the works allow, image by image.

    Each person's work is held against the image's newest gold, and every two people's against each
    other, but for honeypots: there gold says more. Nobody is held against their own. Two people's
    work of origin "human" is one and then its correction, which agree wherever nothing was to be
    corrected: of two people who have not seen each other's, one at least did a replica. What was
    merged from replicas is no further opinion: it is held against gold alone. slices: where each
    image counts besides.
    """
    for image_id, of_image in _by_image(works):
        places = tuple((slices or {}).get(image_id, ()))
        golds = [work for work in of_image if work.annotation.origin == "gold"]
        people = [work for work in of_image if work.annotation.origin in ("human", "replica")]
        if golds:
            gold = max(golds, key=lambda work: (work.annotation.made_at, work.annotation.by))
            for work in people:
                against: Against = "honeypot" if work.is_honeypot else "gold"
                if work.annotation.by != gold.annotation.by:
                    yield _comparison(work, gold, against, places, schema)
        opinions = [
            work for work in people if not work.is_honeypot and work.annotation.by != CONSENSUS
        ]
        for one, other in combinations(opinions, 2):
            is_replica = "replica" in (one.annotation.origin, other.annotation.origin)
            if is_replica and one.annotation.by != other.annotation.by:
                yield _comparison(one, other, "replica", places, schema)


def agreement(compared: Iterable[Comparison]) -> list[AgreementRow]:
    """One row for each against, place, label and measure that occurs, in that order."""
    values: dict[tuple[Against, Axis, str, str, Value], dict[str, list[float]]] = {}
    tables: dict[tuple[Against, Axis, str, str, Kappa], dict[str, Floats]] = {}
    for one in compared:
        for axis, name in (("all", ""), *one.places):
            for (label, measure), value in one.compared.values.items():
                of_value = values.setdefault((one.against, axis, name, label, measure), {})
                of_value.setdefault(one.image_id, []).append(value)
            for (label, kind), table in one.compared.tables.items():
                of_kappa = tables.setdefault((one.against, axis, name, label, kind), {})
                of_kappa[one.image_id] = of_kappa.get(one.image_id, 0.0) + table
    rows = [
        *(_mean_row(key, by_image) for key, by_image in values.items()),
        *(row for key, by_image in tables.items() for row in _kappa_rows(key, by_image)),
    ]
    return sorted(
        rows, key=lambda row: (row.against, row.axis != "all", row.axis, row.name, row.label)
    )


class Standing(Record):
    """How an annotator's points stand against truth.

    nme: mean over images, [low, high] 95 %; None for a single image, which says nothing of others.
    """

    annotator: str
    nme: float
    low: float | None
    high: float | None
    images: int


def standings(compared: Iterable[Comparison], skeleton: str) -> list[Standing]:
    """Annotators by their NME against gold and honeypots together, the best first."""
    return sorted(
        (
            Standing(annotator=annotator, nme=nme, low=low, high=high, images=images)
            for annotator, (nme, low, high, images) in _errors(
                compared, skeleton, lambda annotator, _: annotator
            )
        ),
        key=lambda one: (one.nme, one.annotator),
    )


class Drift(Record):
    """An annotator's standing in one week, by the ISO calendar: "2026-W07"."""

    annotator: str
    week: str
    nme: float
    low: float | None
    high: float | None
    images: int


def drift(compared: Iterable[Comparison], skeleton: str) -> list[Drift]:
    """How annotators stood against truth week by week, by when they made their labels."""

    def key(annotator: str, made_at: datetime) -> tuple[str, str]:
        year, week, _ = made_at.isocalendar()
        return annotator, f"{year}-W{week:02}"

    return sorted(
        (
            Drift(annotator=annotator, week=week, nme=nme, low=low, high=high, images=images)
            for (annotator, week), (nme, low, high, images) in _errors(compared, skeleton, key)
        ),
        key=lambda one: (one.annotator, one.week),
    )


class Disagreement(Record):
    """Two annotations of an image that lie far apart, to be drawn.

    first, second: who made them. points: of each face that both have, its landmarks (K, 2) px by
    the first and by the second. nme: over the image's faces.
    """

    image_id: str
    against: Against
    first: str
    second: str
    nme: float
    points: tuple[tuple[tuple[Xy, ...], tuple[Xy, ...]], ...]


def farthest(compared: Iterable[Comparison], skeleton: str, count: int) -> list[Comparison]:
    """The comparisons with the largest NME, the largest first; those that agree are left out."""
    apart = (one for one in compared if one.compared.values.get((skeleton, "nme"), 0) > 0)
    return nlargest(count, apart, key=lambda one: one.compared.values[skeleton, "nme"])


def disagreement(one: Comparison, skeleton: str) -> Disagreement:
    """What is to be drawn of a comparison. Raises ValueError where it has no pair any more."""
    if one.pair is None:
        raise ValueError("the annotations of this comparison are not at hand")
    first, second = one.pair
    return Disagreement(
        image_id=one.image_id,
        against=one.against,
        first=first.by,
        second=second.by,
        nme=one.compared.values[skeleton, "nme"],
        points=tuple(
            (face.landmarks[skeleton].points, other.landmarks[skeleton].points)
            for face, other in match_faces(first.faces, second.faces).pairs
            if skeleton in face.landmarks and skeleton in other.landmarks
        ),
    )


Key = TypeVar("Key", bound=Hashable)


def _errors(
    compared: Iterable[Comparison], skeleton: str, key: Callable[[str, datetime], Key]
) -> Iterator[tuple[Key, tuple[float, float | None, float | None, int]]]:
    """Mean NME against gold and honeypots, its interval, number of images; by annotator's key."""
    errors: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in compared:
        error = one.compared.values.get((skeleton, "nme"))
        if error is None or one.against == "replica":
            continue
        for annotator in one.annotators:
            errors[key(annotator, one.made_at)][one.image_id].append(error)
    for name, by_image in errors.items():
        means = [float(np.mean(each)) for each in by_image.values()]
        low, high = bootstrap_interval(means)
        yield name, (float(np.mean(means)), known(low), known(high), len(means))


def _by_image(works: Iterable[Work]) -> Iterator[tuple[str, list[Work]]]:
    by_image: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        by_image[work.annotation.image_id].append(work)
    for image_id in sorted(by_image):
        yield (
            image_id,
            sorted(by_image[image_id], key=lambda one: (one.annotation.by, one.annotation.origin)),
        )


def _comparison(
    one: Work,
    other: Work,
    against: Against,
    places: tuple[tuple[Axis, str], ...],
    schema: LabelSchema,
) -> Comparison:
    is_truth = against != "replica"
    judged = (one,) if is_truth else (one, other)
    people: set[tuple[Axis, str]] = {("annotator", work.annotation.by) for work in judged}
    jobs: set[tuple[Axis, str]] = {("job", work.job) for work in judged}
    return Comparison(
        image_id=one.annotation.image_id,
        against=against,
        places=(*sorted(people), *sorted(jobs), *places),
        compared=compare(one.annotation, other.annotation, schema, is_truth=is_truth),
        made_at=one.annotation.made_at,
        pair=(one.annotation, other.annotation),
    )


def _mean_row(
    key: tuple[Against, Axis, str, str, Value], by_image: Mapping[str, Sequence[float]]
) -> AgreementRow:
    against, axis, name, label, measure = key
    means = [float(np.mean(each)) for each in by_image.values()]
    low, high = bootstrap_interval(means)
    return AgreementRow(
        against=against,
        axis=axis,
        name=name,
        label=label,
        measure=measure,
        value=float(np.mean(means)),
        low=known(low),
        high=known(high),
        images=len(means),
    )


def _kappa_rows(
    key: tuple[Against, Axis, str, str, Kappa], by_image: Mapping[str, Floats]
) -> Iterator[AgreementRow]:
    """One row, or one for each point, of tables (C, C) or (K, C, C)."""
    against, axis, name, label, measure = key
    is_weighted = measure in _ORDERED
    each = np.stack(list(by_image.values()))
    if measure == "point_visibility_kappa":
        labels = [f"{label}.{point}" for point in load_schema(label).names]
    else:
        labels, each = [label], each[:, np.newaxis]
    whole = each.sum(axis=0)
    values, drawn = kappa(whole, is_weighted), resampled_kappa(each, is_weighted)
    for index, one in enumerate(labels):
        low, high = percentile_interval(drawn[:, index])
        yield AgreementRow(
            against=against,
            axis=axis,
            name=name,
            label=one,
            measure=measure,
            value=known(float(values[index])),
            low=known(low),
            high=known(high),
            same_share=float(np.trace(whole[index]) / whole[index].sum()),
            images=len(by_image),
        )


def known(value: float) -> float | None:
    """The value, or None for NaN: JSON has no word for it."""
    return None if np.isnan(value) else value
