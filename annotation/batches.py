"""Which images go to annotators next, and together: the worst-labelled first."""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from pydantic import Field, model_validator

from annotation.schema import LabelSchema
from mirrorset.decisions import NOT_STOPPED, dropped, released
from mirrorset.records import (
    Annotation,
    Batch,
    Decision,
    Quarantine,
    Record,
    Rejected,
    Sent,
    Verdict,
)

ADULT = "adult"
INTIMATE = "intimate"


class BatchParams(Record):
    """How images are put together and shown: the section `annotate`.

    size: images in a batch; the last may have fewer. CVAT makes one task of each.
    honeypots: images of each batch for which gold is known from before, so that it can be seen how
    its annotators do; fewer where there is not so much gold.

    The rest is for a server, which divides a task into jobs. segment_size: images in a job; 0 makes
    one job of the task. overlap: images that a job has in common with the one before. replicas:
    further jobs on the same images, for others. gold_frames: images of a task that also go into its
    ground-truth job, which nobody is assigned to. done_at: the stage at which a completed job
    counts.
    """

    size: int = Field(default=50, gt=0)
    honeypots: int = Field(default=0, ge=0)
    segment_size: int = Field(default=0, ge=0)
    overlap: int = Field(default=0, ge=0)
    replicas: int = Field(default=0, ge=0)
    gold_frames: int = Field(default=0, ge=0)
    done_at: Literal["annotation", "validation", "acceptance"] = "annotation"

    @model_validator(mode="after")
    def _fits_together(self) -> "BatchParams":
        if self.honeypots >= self.size:
            raise ValueError("honeypots must be fewer than size")
        if self.segment_size and self.overlap >= self.segment_size:
            raise ValueError("overlap must be smaller than segment_size")
        if self.overlap and not self.segment_size:
            raise ValueError("overlap needs a segment_size")
        return self


def plan_batches(
    annotations: Iterable[Annotation],
    verdicts: Iterable[Verdict],
    batches: Iterable[Batch],
    schema: LabelSchema,
    params: BatchParams,
    quarantines: Iterable[Quarantine] = (),
    decisions: Iterable[Decision] = (),
    rejected: Iterable[Rejected] = (),
) -> list[Batch]:
    """Batches of the images that are in none of `batches` yet, the most uncertain first.

    Only images whose verdict "adult" passed or that a person released (`decisions`), that are not
    intimate, that no annotator stopped, whose licence is in no doubt (`quarantines`), that no
    person has labelled or dropped and that could be shown so far (`rejected`). Into each are drawn
    `params.honeypots` images with gold that pass the same gates, those first that were out least
    often: `annotation.honeypots.drawn` says which. The same input gives the same batches; give
    `batches` those of the catalogue and those of `Exchange.batches`.
    """
    labels = list(annotations)
    out = Counter(image_id for batch in batches for image_id in batch.image_ids)
    with_gold = {label.image_id for label in labels if label.origin == "gold"}
    shown = showable(labels, verdicts, quarantines, decisions, rejected)
    gold = [label.image_id for label in shown if label.image_id in with_gold]
    waiting = [label for label in shown if label.image_id not in out.keys() | with_gold]
    waiting.sort(key=lambda one: (-uncertainty(one), one.image_id))
    ids = [annotation.image_id for annotation in waiting]
    planned = []
    step = params.size - min(params.honeypots, len(gold))
    for start in range(0, len(ids), step):
        honeypots = _draw(gold, out, ids[start : start + step], params.honeypots)
        out.update(honeypots)
        planned.append(make_batch([*ids[start : start + step], *honeypots], schema.version))
    return planned


def showable(
    annotations: Iterable[Annotation],
    verdicts: Iterable[Verdict],
    quarantines: Iterable[Quarantine],
    decisions: Iterable[Decision],
    rejected: Iterable[Rejected],
) -> list[Annotation]:
    """Models' labels of the images that people may be shown: those that nobody has labelled yet,
    and those with gold, as honeypots.
    """
    unfit = {one.item_id for one in rejected if one.step == "annotate" and not one.is_retryable}
    judged = list(verdicts)
    decided = list(decisions)
    adult = {verdict.image_id for verdict in judged if verdict.check == ADULT and verdict.passed}
    by_image: dict[str, Annotation] = {}
    seen_by_people = set()
    gold = set()
    for annotation in annotations:
        if annotation.origin == "gold":
            gold.add(annotation.image_id)
        if annotation.origin != "model":
            seen_by_people.add(annotation.image_id)
        elif _is_newer(annotation, by_image.get(annotation.image_id)):
            by_image[annotation.image_id] = annotation
    passed = by_image.keys() & (adult | released(decided))
    kept_away = barred(judged, quarantines, decided)
    shown = passed - kept_away - unfit - (seen_by_people - gold)
    return [by_image[image_id] for image_id in shown]


def barred(
    verdicts: Iterable[Verdict], quarantines: Iterable[Quarantine], decisions: Iterable[Decision]
) -> set[str]:
    """Images that nobody may be shown, also where somebody has been shown them before: stopped,
    intimate, of a minor whom nobody has released, dropped, or in quarantine.
    """
    judged, decided = list(verdicts), list(decisions)

    def failed(check: str) -> set[str]:
        return {one.image_id for one in judged if one.check == check and not one.passed}

    minors = failed(ADULT) - released(decided)
    doubted = {quarantine.image_id for quarantine in quarantines if quarantine.is_active}
    return failed(NOT_STOPPED) | failed(INTIMATE) | minors | doubted | dropped(decided)


def told_anew(batches: Iterable[Batch], settled: Collection[str]) -> list[Batch]:
    """Those batches that are out whose state is another now: "returned" once all their images are
    `settled`, which is labelled by people or never to be shown, and "pushed" until then.
    """
    changed = []
    for batch in batches:
        is_whole = all(image_id in settled for image_id in batch.image_ids)
        state = "returned" if is_whole else "pushed"
        if batch.state not in ("planned", state) and batch.task and batch.image_ids:
            changed.append(batch.model_copy(update={"state": state}))
    return changed


def _is_newer(annotation: Annotation, other: Annotation | None) -> bool:
    return other is None or annotation.made_at >= other.made_at


def sent_with(batches: Iterable[Batch], annotations: Iterable[Annotation]) -> list[Sent]:
    """The labels that each image of `batches` goes out with: the newest of a model.

    To be kept before a batch is pushed: models may say something else meanwhile.
    """
    newest: dict[str, Annotation] = {}
    for annotation in annotations:
        if annotation.origin == "model" and _is_newer(annotation, newest.get(annotation.image_id)):
            newest[annotation.image_id] = annotation
    return [
        Sent(batch_id=batch.batch_id, image_id=image_id, annotation=newest[image_id])
        for batch in batches
        for image_id in batch.image_ids
        if image_id in newest
    ]


def _draw(
    gold: Iterable[str], out: Counter[str], image_ids: Sequence[str], count: int
) -> list[str]:
    """`count` of `gold`, those that were out least often; among equals the batch decides."""
    key = "\n".join(sorted(image_ids))

    def rank(image_id: str) -> tuple[int, str]:
        return out[image_id], hashlib.sha256(f"{key}\n{image_id}".encode()).hexdigest()

    return sorted(gold, key=rank)[:count]


def make_batch(image_ids: Sequence[str], schema_version: str) -> Batch:
    """The batch of these images, before it is pushed; its id is a hash of them and the schema.

    Frames are in the order of names: CVAT sorts what it is given, and when it matches labels to
    frames it falls back on their number, so any other order can put labels on wrong pictures.
    """
    frames = sorted(image_ids)
    key = "\n".join([schema_version, *frames])
    return Batch(
        batch_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        image_ids=tuple(frames),
        schema_version=schema_version,
        server="",
        project="",
        task="",
        state="planned",
    )


def uncertainty(annotation: Annotation) -> float:
    """Expected NME of the least certain face; infinite where a face has none, or there is no face.

    It ranks: the mean error falls with the rank (docs/models.md).
    """
    known = [face.uncertainty for face in annotation.faces]
    return max((math.inf if one is None else one for one in known), default=math.inf)
