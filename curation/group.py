"""Groups: images that must never lie on both sides of a split, of one picture or one person."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curation.likeness import Pixels
from curation.near_duplicates import Close, Hashed, hash_image, near_duplicates
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
from mirrorset.files import read_parts, write_parts
from mirrorset.pixels import decode
from mirrorset.records import Face, Record

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

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
    selected = {record.image.image_id for record in read_parts(work / "selected", Selected)}
    ledger = read_ledger(snapshot)
    parts: list[int] = []
    image_ids: list[str] = []
    points: list[list[FivePoints]] = []
    phashes: list[str] = []
    labels: list[set[tuple[str, str, str]]] = []
    for part, candidate in numbered_candidates(snapshot):
        image_id = candidate.image.image_id
        if image_id in selected or (image_id in ledger and blobs.has(image_id)):
            parts.append(part)
            image_ids.append(image_id)
            points.append(comparable(_faces(candidate), params))
            phashes.append(candidate.image.phash)
            labels.append(_labels(candidate))

    def looked_at(index: int) -> tuple[Hashed, Floats32 | None]:
        rgb = decode(blobs.get(image_ids[index]))
        vectors = embedder.embed(rgb, points[index]) if embedder else None
        return hash_image(rgb, phashes[index], points[index]), vectors

    # Decoders, networks and array operations run outside of Python's lock.
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        looks = list(pool.map(looked_at, range(len(image_ids))))
    hashed = [hashes for hashes, _ in looks]

    @lru_cache(maxsize=_REMEMBERED)
    def pixels(index: int) -> Pixels:
        return Pixels(decode(blobs.get(image_ids[index])), points[index])

    close = near_duplicates(hashed, params.face_radius_bits, params.frame_radius_bits)
    sets, strangers = join_copies(close, pixels, params.min_likeness)
    oversized = [members for members in sets.subsets() if len(members) > params.max_images]
    for i in range(len(image_ids)):
        sets.add(i)
    _join(sets, _sharing_a_label(labels))
    joined = look_alikes = 0
    if params.identity:
        vectors = [vectors for _, vectors in looks if vectors is not None]
        by_person, look_alikes = _by_person(vectors, params.identity)
        vectors.clear()
        looks.clear()
        oversized += [
            members for members in by_person.subsets() if len(members) > params.identity.max_images
        ]
        before = sets.n_subsets
        _join(sets, ((min(members), i) for members in by_person.subsets() for i in members))
        joined = before - sets.n_subsets
    is_oversized = {i for members in oversized for i in members}

    keys = dict(enumerate(image_ids))
    for members in sets.subsets():
        keys |= dict.fromkeys(members, min(image_ids[i] for i in members))
    write_parts(
        work / "groups",
        (
            (parts[i], GroupMember(image_id=image_id, key=keys[i], is_oversized=i in is_oversized))
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
        joined=joined,
        look_alikes=look_alikes,
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
        _join(by_person, zip(owners[found.firsts].tolist(), owners.tolist(), strict=True))
    return by_person, look_alikes


def _join(sets: "DisjointSet", pairs: Iterable[tuple[int, int]]) -> None:
    for first, second in pairs:
        sets.merge(first, second)


def _sharing_a_label(labels: list[set[tuple[str, str, str]]]) -> Iterator[tuple[int, int]]:
    first: dict[tuple[str, str, str], int] = {}
    for i, own in enumerate(labels):
        for label in own:
            yield first.setdefault(label, i), i


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
