"""Rejected images that may be looked at: nothing is held against showing them but their quality."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorset.blobs import BlobStore
from mirrorset.decisions import NOT_STOPPED, dropped
from mirrorset.files import part_file, parts_of, read_records
from mirrorset.licences import refusal
from mirrorset.pixels import decode
from mirrorset.records import (
    Annotation,
    Decision,
    ImageRecord,
    IntendedUse,
    Quarantine,
    Reason,
    Rejected,
    Sighting,
    Verdict,
)
from reports.rejections import words_of
from reports.shown import Shown

R = TypeVar("R", Annotation, Decision, Quarantine, Sighting, Verdict)

_VISIBLE = frozenset(
    {
        Reason.QUALITY,
        Reason.SEVERAL_FACES,
        Reason.OCCLUSION,
        Reason.SMALL_FACE,
        Reason.BLURRED,
        Reason.EXPOSURE,
        Reason.POSE,
        Reason.CHECK_FAILED,
        Reason.UNREVIEWED,
        Reason.DUPLICATE_PIXELS,
        Reason.SPLIT_CONFLICT,
        Reason.OVERSIZED_GROUP,
    }
)
_STOP = "do_not_use"
_ORIGINS = ("model", "human", "gold")
_ADULT, _INTIMATE = "adult", "intimate"


def read_refused(
    rejected: Iterable[Rejected], snapshot: Path, blobs: BlobStore, use: IntendedUse
) -> Iterator[Shown]:
    """Those of `rejected` that may be shown, in the snapshot's order.

    May be: every licence under which it was seen allows the use, no receipt is in doubt, nobody has
    dropped or stopped it, and the checks for minors and intimacy passed. All this is read from the
    snapshot anew, whatever the reason of the rejection says. Pixels are read when they are asked
    for. Raises InputError naming the file where one holds another record.
    """
    reasons = {one.item_id: one for one in rejected if one.reason in _VISIBLE}
    if not reasons:
        return
    for part in parts_of(snapshot / "images"):
        images = [one for one in read_records(part, ImageRecord) if one.image_id in reasons]
        if not images:
            continue
        wanted = {image.image_id for image in images}
        number = int(part.stem)
        read = partial(_of_images, snapshot, number, wanted)
        sightings, annotations = read("sightings", Sighting), read("annotations", Annotation)
        verdicts, decisions = read("verdicts", Verdict), read("decisions", Decision)
        quarantines = read("quarantine", Quarantine)
        for image in images:
            image_id = image.image_id
            labels = [one for one in annotations[image_id] if one.origin in _ORIGINS]
            is_allowed = may_be_seen(
                sightings[image_id],
                annotations[image_id],
                verdicts[image_id],
                quarantines[image_id],
                decisions[image_id],
                use,
            )
            if is_allowed and labels and blobs.has(image_id):
                yield _shown(image, labels, sightings[image_id][0], reasons[image_id], blobs)


def _of_images(
    snapshot: Path, part: int, wanted: set[str], folder: str, kind: type[R]
) -> Mapping[str, list[R]]:
    found: dict[str, list[R]] = defaultdict(list)
    path = snapshot / folder / part_file(part)
    for record in read_records(path, kind) if path.exists() else ():
        if record.image_id in wanted:
            found[record.image_id].append(record)
    return found


def may_be_seen(
    sightings: Sequence[Sighting],
    annotations: Sequence[Annotation],
    verdicts: Sequence[Verdict],
    quarantines: Sequence[Quarantine],
    decisions: Sequence[Decision],
    use: IntendedUse,
) -> bool:
    """Whether a report may show an image of which these are all the records, for the `use`.

    Every licence allows the use, no receipt is in doubt, nobody has dropped or stopped it, and the
    checks for minors and intimacy passed.
    """
    passed = {one.check for one in verdicts if one.passed}
    failed = {one.check for one in verdicts if not one.passed}
    return (
        bool(sightings)
        and all(refusal(one.licence, use) is None for one in sightings)
        and not any(one.is_active for one in quarantines)
        and not dropped(decisions)
        and not any(_STOP in one.tags for one in annotations)
        and _ADULT in passed
        and not failed & {_ADULT, _INTIMATE, NOT_STOPPED}
    )


def _shown(
    image: ImageRecord,
    labels: Sequence[Annotation],
    sighting: Sighting,
    rejected: Rejected,
    blobs: BlobStore,
) -> Shown:
    def rgb() -> NDArray[np.uint8]:
        return decode(blobs.get(image.image_id))

    return Shown(
        image_id=image.image_id,
        group_id="",
        split="",
        width_px=image.width_px,
        height_px=image.height_px,
        annotation=max(labels, key=lambda one: (_ORIGINS.index(one.origin), one.made_at)),
        licence=sighting.licence,
        author=sighting.author,
        source=sighting.source,
        page_url=sighting.page_url,
        rgb=rgb,
        verdict=words_of(rejected.reason),
        detail=rejected.detail,
    )
