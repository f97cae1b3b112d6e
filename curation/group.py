"""Near-duplicate groups: images that must never lie on both sides of a split."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curation.hashes import Words, close_pairs, face_hash, words
from curation.records import GroupMember, Selected
from curation.snapshot import (
    Candidate,
    best_annotation,
    read_candidates,
    read_ledger,
)
from faces.align import squared_face
from faces.schema import load_schema
from mirrorset.blobs import BlobStore
from mirrorset.files import read_records, write_records
from mirrorset.pixels import decode, phash
from mirrorset.records import Face, Record


class GroupParams(Record):
    """How close two images must be to count as one.

    face_radius_bits: of the 512-bit hash of an aligned face.
    frame_radius_bits: of the 64-bit hash of the whole frame; decides where one of two images has
    no face to compare, and whether one is the other turned by 90, 180 or 270°.
    min_inter_eye_distance_px: smaller faces blur into each other and are not compared.
    sources_grouped_by_author: sources whose pictures show their own author; there all images of
    one author form a group.
    """

    face_radius_bits: int = Field(default=48, ge=0, le=255)
    frame_radius_bits: int = Field(default=4, ge=0, le=31)
    min_inter_eye_distance_px: float = Field(default=24, ge=0)
    sources_grouped_by_author: tuple[str, ...] = ()


class GroupCounts(Record):
    """images: how many were compared. groups: how many remain. largest: images in the largest."""

    images: int
    groups: int
    largest: int


class Hashed(NamedTuple):
    """The hashes of one image.

    faces: (8,) words of each comparable face and of its mirror. frame: (1,) word of the whole
    frame. mirrored_frame: of its mirror, where there is no comparable face. turned_frames: of the
    frame turned by 90, 180 and 270°.
    """

    faces: list[tuple[Words, Words]]
    frame: Words
    mirrored_frame: Words | None
    turned_frames: tuple[Words, ...]


def group(snapshot: Path, work: Path, blobs: BlobStore, params: GroupParams) -> GroupCounts:
    """Write groups.jsonl into `work`: selected images and those that the ledger already holds.

    An image that left the selection still ties its near-duplicates to its split: a model may have
    been trained on it in an earlier version.
    """
    selected = {record.image.image_id for record in read_records(work / "selected.jsonl", Selected)}
    ledger = read_ledger(snapshot)
    image_ids: list[str] = []
    hashed: list[Hashed] = []
    authors: list[set[tuple[str, str]]] = []
    for candidate in read_candidates(snapshot):
        image_id = candidate.image.image_id
        if image_id in selected or (image_id in ledger and blobs.has(image_id)):
            image_ids.append(image_id)
            hashed.append(
                hash_image(blobs.get(image_id), candidate.image.phash, _faces(candidate), params)
            )
            authors.append(_authors(candidate, params))

    components = Components(len(image_ids))
    for i, j in near_duplicates(hashed, params):
        components.join(i, j)
    for i, j in _sharing_a_label(authors):
        components.join(i, j)

    members = [
        GroupMember(image_id=image_id, key=image_ids[components.root(i)])
        for i, image_id in enumerate(image_ids)
    ]
    write_records(work / "groups.jsonl", members)
    sizes = np.unique([member.key for member in members], return_counts=True)[1]
    return GroupCounts(images=len(members), groups=len(sizes), largest=int(sizes.max(initial=0)))


def hash_image(
    content: bytes, frame_phash: str, faces: Iterable[Face], params: GroupParams
) -> Hashed:
    """The hashes of the encoded picture `content` and of its `faces` with ibug68 landmarks."""
    rgb = decode(content)
    comparable = []
    for face in faces:
        five = _five_points(face)
        if five is None or np.linalg.norm(five[0] - five[1]) < params.min_inter_eye_distance_px:
            continue
        squared = squared_face(rgb, five)
        if squared is not None:
            comparable.append((face_hash(squared), face_hash(_mirrored(squared))))
    mirrored_frame = None if comparable else words(phash(_mirrored(rgb)))
    turned = (np.ascontiguousarray(np.rot90(rgb, quarters)) for quarters in (1, 2, 3))
    turned_frames = tuple(words(phash(frame)) for frame in turned)
    return Hashed(comparable, words(frame_phash), mirrored_frame, turned_frames)


def near_duplicates(hashed: list[Hashed], params: GroupParams) -> Iterator[tuple[int, int]]:
    """Pairs of indices of `hashed` that are near-duplicates.

    Two images with comparable faces are judged by these: different people before the same
    backdrop have frames as close as copies have. But not when one is turned, and on a turned face
    landmarks go astray: there the frames tell.
    """
    if not hashed:
        return
    faces = [(owner, *face) for owner, image in enumerate(hashed) for face in image.faces]
    if faces:
        owners, direct, mirrored = zip(*faces, strict=True)
        yield from _close(owners, direct, (direct, mirrored), params.face_radius_bits)

    faceless = [i for i, image in enumerate(hashed) if image.mirrored_frame is not None]
    if faceless:
        owners = (*faceless, *(i for i, image in enumerate(hashed) if image.mirrored_frame is None))
        frames = [hashed[owner].frame for owner in owners]
        mirrors = [image.mirrored_frame for image in hashed if image.mirrored_frame is not None]
        upright = frames[: len(mirrors)]
        yield from _close(owners, frames, (upright, mirrors), params.frame_radius_bits)

    turned = tuple(zip(*(image.turned_frames for image in hashed), strict=True))
    frames = [image.frame for image in hashed]
    yield from _close(range(len(hashed)), frames, turned, params.frame_radius_bits)


class Components:
    """Union-find over the indices 0 to `count` − 1; a component's root is its smallest index."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, index: int) -> int:
        """The smallest index that `index` is joined with."""
        while self._parents[index] != index:
            self._parents[index] = self._parents[self._parents[index]]
            index = self._parents[index]
        return index

    def join(self, i: int, j: int) -> None:
        """Make the components of `i` and `j` one."""
        low, high = sorted((self.root(i), self.root(j)))
        self._parents[high] = low


def _close(
    owners: Sequence[int],
    hashes: Sequence[Words],
    variants: Sequence[Sequence[Words]],
    radius: int,
) -> Iterator[tuple[int, int]]:
    stacked = [np.stack(variant) for variant in variants]
    for pairs in close_pairs(np.stack(hashes), stacked, radius):
        for i, j in pairs:
            yield owners[i], owners[j]


def _sharing_a_label(labels: list[set[tuple[str, str]]]) -> Iterator[tuple[int, int]]:
    first: dict[tuple[str, str], int] = {}
    for i, own in enumerate(labels):
        for label in own:
            yield first.setdefault(label, i), i


def _authors(candidate: Candidate, params: GroupParams) -> set[tuple[str, str]]:
    return {
        (sighting.source, sighting.author)
        for sighting in candidate.sightings
        if sighting.source in params.sources_grouped_by_author and sighting.author
    }


def _faces(candidate: Candidate) -> tuple[Face, ...]:
    annotation = best_annotation(candidate.annotations)
    return annotation.faces if annotation else ()


def _five_points(face: Face) -> NDArray[np.float64] | None:
    """The points (5, 2) px of the schema "face5"; None where the face has no ibug68."""
    landmarks = face.landmarks.get("ibug68")
    return load_schema("face5").derive(landmarks.points, "ibug68") if landmarks else None


def _mirrored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rgb[:, ::-1])
