"""Near-duplicate groups: images that must never lie on both sides of a split."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.cluster.hierarchy import DisjointSet

from curation.likeness import Pixels
from curation.near_duplicates import Close, Hashed, hash_image, near_duplicates
from curation.records import GroupMember, Selected
from curation.snapshot import (
    Candidate,
    best_annotation,
    read_candidates,
    read_ledger,
)
from faces.schema import load_schema
from mirrorset.authors import shown_author
from mirrorset.blobs import BlobStore
from mirrorset.files import read_records, write_records
from mirrorset.pixels import decode
from mirrorset.records import Face, Record

FivePoints = NDArray[np.float64]  # (5, 2) px, schema face5
_REMEMBERED = 256  # pictures decoded to be looked at, of which many have several neighbours


class GroupParams(Record):
    """How close two images must be to count as one.

    face_radius_bits: of the 512-bit hash of an aligned face.
    frame_radius_bits: of the 64-bit hash of the whole frame, mirrored or turned by 90, 180 or 270°
    as well.
    min_likeness: of the pixels of two images whose hashes are close; below it they are strangers.
    max_images: a larger group is no group of copies; its new images are kept out and looked at.
    min_inter_eye_distance_px: smaller faces blur into each other and are not compared.
    """

    face_radius_bits: int = Field(default=48, ge=0, le=255)
    frame_radius_bits: int = Field(default=6, ge=0, le=31)
    min_likeness: float = Field(default=0.7, ge=-1, le=1)
    max_images: int = Field(default=100, ge=1)
    min_inter_eye_distance_px: float = Field(default=24, ge=0)


class GroupCounts(Record):
    """images: how many were compared. groups: how many remain. largest: images in the largest.
    oversized: groups with more images than `max_images`. strangers: pairs that were close by their
    hashes and not by their pixels.
    """

    images: int
    groups: int
    largest: int
    oversized: int
    strangers: int


def group(snapshot: Path, work: Path, blobs: BlobStore, params: GroupParams) -> GroupCounts:
    """Write groups.jsonl into `work`: selected images and those that the ledger already holds.

    An image that left the selection still ties its near-duplicates to its split: a model may have
    been trained on it in an earlier version.
    """
    selected = {record.image.image_id for record in read_records(work / "selected.jsonl", Selected)}
    ledger = read_ledger(snapshot)
    image_ids: list[str] = []
    points: list[list[FivePoints]] = []
    hashed: list[Hashed] = []
    people: list[set[tuple[str, str, str]]] = []
    for candidate in read_candidates(snapshot):
        image_id = candidate.image.image_id
        if image_id in selected or (image_id in ledger and blobs.has(image_id)):
            image_ids.append(image_id)
            points.append(comparable(_faces(candidate), params))
            rgb = decode(blobs.get(image_id))
            hashed.append(hash_image(rgb, candidate.image.phash, points[-1]))
            people.append(_people(candidate))

    @lru_cache(maxsize=_REMEMBERED)
    def pixels(index: int) -> Pixels:
        return Pixels(decode(blobs.get(image_ids[index])), points[index])

    close = near_duplicates(hashed, params.face_radius_bits, params.frame_radius_bits)
    sets, strangers = join_copies(close, pixels, params.min_likeness)
    oversized = [members for members in sets.subsets() if len(members) > params.max_images]
    is_oversized = {i for members in oversized for i in members}
    for i, j in _sharing_a_label(people):
        sets.add(i)
        sets.add(j)
        sets.merge(i, j)

    keys = dict(enumerate(image_ids))
    for members in sets.subsets():
        keys |= dict.fromkeys(members, image_ids[min(members)])
    write_records(
        work / "groups.jsonl",
        (
            GroupMember(image_id=image_id, key=keys[i], is_oversized=i in is_oversized)
            for i, image_id in enumerate(image_ids)
        ),
    )
    sizes = Counter(keys.values())
    return GroupCounts(
        images=len(image_ids),
        groups=len(sizes),
        largest=max(sizes.values(), default=0),
        oversized=len(oversized),
        strangers=strangers,
    )


def comparable(faces: Iterable[Face], params: GroupParams) -> list[FivePoints]:
    """The points of schema face5 of the faces that have ibug68 landmarks and are large enough."""
    located = (_five_points(face) for face in faces)
    return [
        five
        for five in located
        if five is not None
        and np.linalg.norm(five[0] - five[1]) >= params.min_inter_eye_distance_px
    ]


def join_copies(
    close: Iterable[Close], pixels: Callable[[int], Pixels], min_likeness: float
) -> tuple[DisjointSet, int]:
    """The images of `close` in the sets that their pixels join; how many pairs the pixels refused.

    A pair joins two sets only when its pixels have been looked at, so that no chain of look-alikes
    leads from one picture to another. One whose images are together already adds nothing.
    """
    sets, strangers = DisjointSet(), 0
    for first, second, by in close:
        sets.add(first)
        sets.add(second)
        if sets.connected(first, second):
            continue
        if pixels(first).is_copy(pixels(second), by, min_likeness):
            sets.merge(first, second)
        else:
            strangers += 1
    return sets, strangers


def _sharing_a_label(labels: list[set[tuple[str, str, str]]]) -> Iterator[tuple[int, int]]:
    first: dict[tuple[str, str, str], int] = {}
    for i, own in enumerate(labels):
        for label in own:
            yield first.setdefault(label, i), i


def _people(candidate: Candidate) -> set[tuple[str, str, str]]:
    """Whom the image shows, as far as its sources say: its author, subjects they tell apart."""
    found = set()
    for sighting in candidate.sightings:
        found |= {("subject", sighting.source, one) for one in sighting.subject_ids}
        if author := shown_author(sighting):
            found.add(("author", sighting.source, author))
    return found


def _faces(candidate: Candidate) -> tuple[Face, ...]:
    annotation = best_annotation(candidate.annotations)
    return annotation.faces if annotation else ()


def _five_points(face: Face) -> NDArray[np.float64] | None:
    """The points (5, 2) px of the schema "face5"; None where the face has no ibug68."""
    landmarks = face.landmarks.get("ibug68")
    return load_schema("face5").derive(landmarks.points, "ibug68") if landmarks else None
