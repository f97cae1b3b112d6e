"""Groups: images that must never lie on both sides of a split, of one picture or one person."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curation.likeness import Pixels
from curation.near_duplicates import Close, HashColumns, Hashed, hash_image, near_duplicates
from curation.people import Floats32, people
from curation.records import GroupMember, Selected
from curation.snapshot import (
    Candidate,
    best_annotation,
    numbered_candidates,
    read_ledger,
)
from faces.identity import FaceEmbedder, IdentityParams
from faces.schema import load_schema
from mirrorset.authors import shown_author
from mirrorset.blobs import BlobStore
from mirrorset.columns import IdColumn, Ids, KeyColumn, hex_ids, run_starts
from mirrorset.files import part_file, read_records, write_parts
from mirrorset.pixels import decode
from mirrorset.records import Face, Record

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

FivePoints = NDArray[np.float64]  # (5, 2) px, schema face5
Pairs = NDArray[np.int64]  # (P, 2) indices of images
_LOOKED_AT_AT_ONCE = 512
_REMEMBERED = 256  # pictures decoded to be looked at, of which many have several neighbours


class GroupParams(Record):
    """How close two images must be to count as one.

    face_radius_bits: of the 512-bit hash of an aligned face.
    frame_radius_bits: of the 64-bit hash of the whole frame, mirrored or turned by 90, 180 or 270°
    as well.
    min_likeness: of the pixels of two images whose hashes are close; below it they are strangers.
    max_images: a larger group is no group of copies; its new images are kept out and looked at.
    min_inter_eye_distance_px: smaller faces blur into each other and are not compared.
    identity: how faces are told apart; None, by itself, looks for no identities at all.
    """

    face_radius_bits: int = Field(default=48, ge=0, le=255)
    frame_radius_bits: int = Field(default=6, ge=0, le=31)
    min_likeness: float = Field(default=0.7, ge=-1, le=1)
    max_images: int = Field(default=100, ge=1)
    min_inter_eye_distance_px: float = Field(default=24, ge=0)
    identity: IdentityParams | None = None


class GroupCounts(Record):
    """images: how many were compared. groups: how many remain. largest: images in the largest.
    oversized: groups with more images than `max_images`. strangers: pairs that were close by their
    hashes and not by their pixels. joined: groups that identity joined to others, so many fewer
    remain. look_alikes: pairs of faces as in `curation.people.People`.
    """

    images: int
    groups: int
    largest: int
    oversized: int
    strangers: int
    joined: int = 0
    look_alikes: int = 0


def group(
    snapshot: Path, work: Path, blobs: BlobStore, params: GroupParams, models: Path
) -> GroupCounts:
    """Write groups/ into `work`: selected images and those that the ledger already holds.

    An image that left the selection still ties its near-duplicates to its split: a model may have
    been trained on it in an earlier version.

    models: cache of weights, for `identity` alone; then it raises UnavailableError and
    IntegrityError as `faces.registry.fetch` does. What tells people apart stays in this function's
    memory: counts and groups are all that leaves it.
    """
    embedder = FaceEmbedder(models, params.identity) if params.identity else None
    images = _Images()
    labels = _Labels()
    hashed = HashColumns()
    vectors: list[Floats32] = []

    def looked_at(subject: _Subject) -> tuple[Hashed, Floats32 | None]:
        rgb = decode(blobs.get(subject.image_id))
        own = embedder.embed(rgb, subject.points) if embedder else None
        return hash_image(rgb, subject.phash, subject.points), own

    # Decoders, networks and array operations run outside of Python's lock.
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        subjects = _subjects(snapshot, work, blobs, params)
        while batch := list(islice(subjects, _LOOKED_AT_AT_ONCE)):
            for subject, (hashes, own) in zip(batch, pool.map(looked_at, batch), strict=True):
                labels.add(len(images), subject.labels)
                images.append(subject)
                hashed.append(hashes)
                if own is not None:
                    vectors.append(own)

    @lru_cache(maxsize=_REMEMBERED)
    def pixels(index: int) -> Pixels:
        return Pixels(decode(blobs.get(images.image_id(index))), images.points(index))

    close = near_duplicates(hashed, params.face_radius_bits, params.frame_radius_bits)
    copies, strangers = join_copies(close, pixels, params.min_likeness)
    del hashed
    oversized = [members for members in copies.subsets() if len(members) > params.max_images]
    joined = look_alikes = 0
    pairs = [_pairs(copies), labels.pairs()]
    components = _components(len(images), pairs)
    if params.identity:
        by_person, look_alikes = _by_person(vectors, params.identity)
        vectors.clear()
        oversized += [
            members for members in by_person.subsets() if len(members) > params.identity.max_images
        ]
        before = _count(components)
        components = _components(len(images), [*pairs, _pairs(by_person)])
        joined = before - _count(components)
    is_oversized = {i for members in oversized for i in members}

    ids = images.ids()
    write_parts(
        work / "groups",
        (
            (part, GroupMember(image_id=image_id, key=key, is_oversized=i in is_oversized))
            for i, (part, image_id, key) in enumerate(
                zip(images.parts, hex_ids(ids), hex_ids(_keys(ids, components)), strict=True)
            )
        ),
    )
    return GroupCounts(
        images=len(images),
        groups=_count(components),
        largest=int(np.bincount(components).max(initial=0)),
        oversized=len(oversized),
        strangers=strangers,
        joined=joined,
        look_alikes=look_alikes,
    )


class _Subject(NamedTuple):
    """An image that is compared. labels: whom it shows, as far as its sources say."""

    part: int
    image_id: str
    phash: str
    points: list[FivePoints]
    labels: set[tuple[str, str, str]]


def _subjects(
    snapshot: Path, work: Path, blobs: BlobStore, params: GroupParams
) -> Iterator[_Subject]:
    """The selected images, and those that the ledger already holds."""
    for part, candidates in groupby(numbered_candidates(snapshot), key=itemgetter(0)):
        ledger = read_ledger(snapshot, part)
        selected = _selected_ids(work / "selected" / part_file(part))
        for _, candidate in candidates:
            image_id = candidate.image.image_id
            if image_id in selected or (image_id in ledger and blobs.has(image_id)):
                points = comparable(_faces(candidate), params)
                phash = candidate.image.phash
                yield _Subject(part, image_id, phash, points, _labels(candidate))


def _selected_ids(part: Path) -> set[str]:
    if not part.exists():
        return set()
    return {record.image.image_id for record in read_records(part, Selected)}


class _Images:
    """The images that are compared, packed: 40 bytes of each, and 80 of each face."""

    def __init__(self) -> None:
        self.parts = array("i")
        self._ids = IdColumn()
        self._points = bytearray()
        self._ends = array("q", [0])

    def append(self, subject: _Subject) -> None:
        self.parts.append(subject.part)
        self._ids.append(subject.image_id)
        for five in subject.points:
            self._points += np.asarray(five, dtype=np.float64).tobytes()
        self._ends.append(len(self._points))

    def __len__(self) -> int:
        return len(self.parts)

    def ids(self) -> Ids:
        return self._ids.array()

    def image_id(self, index: int) -> str:
        return next(hex_ids(self.ids()[index : index + 1]))

    def points(self, index: int) -> list[FivePoints]:
        packed = self._points[self._ends[index] : self._ends[index + 1]]
        return list(np.frombuffer(packed, dtype=np.float64).reshape(-1, 5, 2))


class _Labels:
    """Whom images show, as far as their sources say."""

    def __init__(self) -> None:
        self._owners = array("q")
        self._keys = KeyColumn()

    def add(self, index: int, labels: set[tuple[str, str, str]]) -> None:
        for label in labels:
            self._owners.append(index)
            self._keys.append(label)

    def pairs(self) -> Pairs:
        """Pairs (P, 2) of images that share a label, which join all that do."""
        keys, owners = self._keys.array(), np.array(self._owners, dtype=np.int64)
        order = np.lexsort((owners, keys))
        starts = run_starts(keys[order])
        firsts = np.repeat(order[starts], np.diff(starts, append=len(order)))
        return np.column_stack([owners[firsts], owners[order]])


def _pairs(sets: "DisjointSet") -> Pairs:
    """Pairs that join what is in one set."""
    joined = [(min(members), i) for members in sets.subsets() for i in members]
    return np.array(joined, dtype=np.int64).reshape(-1, 2)


def _components(count: int, pairs: Sequence[Pairs]) -> NDArray[np.int64]:
    """Of each image the number (count,) of its component, where these pairs are joined."""
    # Whoever reads params needs no SciPy.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = np.concatenate(pairs)
    graph = coo_array((np.ones(len(ends), dtype=np.bool_), ends.T), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _keys(ids: Ids, components: NDArray[np.int64]) -> Ids:
    """Of each image the smallest of the ids of its component."""
    order = np.lexsort((ids, components))
    starts = run_starts(components[order])
    return ids[order[starts]][components]


def _count(components: NDArray[np.int64]) -> int:
    return int(components.max(initial=-1)) + 1


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
) -> tuple["DisjointSet", int]:
    """The images of `close` in the sets that their pixels join; how many pairs the pixels refused.

    A pair joins two sets only when its pixels have been looked at, so that no chain of look-alikes
    leads from one picture to another. One whose images are together already adds nothing.
    """
    # Whoever reads params needs no SciPy.
    from scipy.cluster.hierarchy import DisjointSet  # noqa: PLC0415

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


def _by_person(vectors: list[Floats32], params: IdentityParams) -> tuple["DisjointSet", int]:
    """The images in sets by whom they show, and pairs of faces as `curation.people.People` has.

    vectors: of the faces of each image. An image of two people ties all images of either.
    """
    from scipy.cluster.hierarchy import DisjointSet  # noqa: PLC0415

    owners = np.repeat(np.arange(len(vectors)), [len(of_image) for of_image in vectors])
    by_person, look_alikes = DisjointSet(range(len(vectors))), 0
    if len(owners):
        found = people(np.concatenate([one for one in vectors if len(one)]), params.threshold)
        look_alikes = found.look_alikes
        for first, own in zip(owners[found.firsts].tolist(), owners.tolist(), strict=True):
            by_person.merge(first, own)
    return by_person, look_alikes


def _labels(candidate: Candidate) -> set[tuple[str, str, str]]:
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
