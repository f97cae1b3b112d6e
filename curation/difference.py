"""What lies between two releases: images in and out, labels, splits, licences, figures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any

import numpy as np
from pydantic import computed_field

from curation.gates import main_face
from faces.matching import match_faces
from faces.schema import load_schema
from faces.slices import GRID, SELFIES, Slice, selfie_slice_of, slice_of, suppressed
from mirrorset.load import Item, Release
from mirrorset.metrics import nme
from mirrorset.records import Annotation, Face, Licence, Record, Split

# When labels were made is not what they say: the content's digest leaves it out as well.
_NOT_CONTENT = {"image_id", "made_at"}


class Change(Record):
    """An attribute or tag by name, and its values; None where there is none."""

    name: str
    before: str | None
    after: str | None


class Relabelled(Record):
    """An image whose labels differ.

    fields: those of Annotation and Face that do; "faces" where one came or went. nme: by landmark
    schema, how far the points moved: the normalised mean error over the interocular distance of
    the points before, of the face that moved farthest. faces_in, faces_out: matched to none.
    """

    image_id: str
    split: Split
    fields: tuple[str, ...]
    nme: dict[str, float]
    attributes: tuple[Change, ...]
    tags: tuple[Change, ...]
    faces_in: int
    faces_out: int

    @property
    def farthest(self) -> float:
        """The largest NME of all schemas, 0 where no point moved."""
        return max(self.nme.values(), default=0.0)


class Relicensed(Record):
    """An image that is under another licence than before, or by another author."""

    image_id: str
    before: str
    after: str


class Moved(Record):
    """What no later release may hold: an image that lies in another split than before.

    image_id: None for a group whose images are others on each side, so that near-duplicates of
    what one release trains on are what the other tests on.
    """

    image_id: str | None
    group_id: str
    before: Split
    after: Split


class Distances(Record):
    """NME of the images whose points of one schema moved."""

    images: int
    median: float
    percentile_95: float
    largest: float


class Figures(Record):
    """One release in figures; no figure tells of fewer than ten images of a slice.

    licences: images by code and version. slices: images by `pose_…_light_…` and `selfie_…`; None
    where withheld (`faces.slices.suppressed`).
    """

    name: str
    version: str
    digest: str
    intended_use: str
    images: int
    splits: dict[Split, int]
    groups: int
    largest_group: int
    faces: int
    unreviewed: int
    unreviewed_test: int
    licences: dict[str, int]
    sources: dict[str, int]
    slices: dict[str, int | None]


class Difference(Record):
    """Two releases held against each other; images by id, in order.

    relabelled: the one whose points moved farthest first. moved: images and groups in another
    split, of which there must be none. distances: by landmark schema.
    """

    before: Figures
    after: Figures
    images_in: dict[Split, tuple[str, ...]]
    images_out: dict[Split, tuple[str, ...]]
    relabelled: tuple[Relabelled, ...]
    distances: dict[str, Distances]
    relicensed: tuple[Relicensed, ...]
    moved: tuple[Moved, ...]

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation has it
    @property
    def is_same(self) -> bool:
        """Whether both say the same (docs/releases.md: equal digests)."""
        return self.before.digest == self.after.digest


def difference(before: Release, after: Release) -> Difference:
    """Between two whole releases, of one dataset or two, in one pass over their labels.

    Memory holds the labels of a shard of each, and of the images that only one has. Raises
    InputError where a file is absent, IntegrityError where one is damaged.
    """
    counted = _Count(), _Count()
    images: tuple[dict[Split, list[str]], dict[Split, list[str]]] = (
        {split: [] for split in before.card.splits},
        {split: [] for split in after.card.splits},
    )
    relabelled, relicensed, moved = [], [], []
    for old, new in _pairs(before, after):
        for item, count in zip((old, new), counted, strict=True):
            if item is not None:
                count.add(item)
        if old is None or new is None:
            for item, alone in zip((old, new), images, strict=True):
                if item is not None:
                    alone[item.split].append(item.image_id)
            continue
        if found := _relabelled(old, new):
            relabelled.append(found)
        if _terms(old) != _terms(new):
            relicensed.append(
                Relicensed(image_id=old.image_id, before=_terms(old), after=_terms(new))
            )
        if old.split != new.split:
            moved.append(_moved(new, old.split))
    moved += _moved_groups(*counted, seen={one.group_id for one in moved})
    return Difference(
        before=counted[0].figures(before),
        after=counted[1].figures(after),
        images_out={split: tuple(sorted(ids)) for split, ids in images[0].items()},
        images_in={split: tuple(sorted(ids)) for split, ids in images[1].items()},
        relabelled=tuple(sorted(relabelled, key=lambda one: (-one.farthest, one.image_id))),
        distances=_distances(relabelled),
        relicensed=tuple(sorted(relicensed, key=lambda one: one.image_id)),
        moved=tuple(sorted(moved, key=lambda one: (one.image_id or "", one.group_id))),
    )


def _pairs(before: Release, after: Release) -> Iterator[tuple[Item | None, Item | None]]:
    """Every image once, its item in each release or None.

    Shards are minted once: an image's two items come in the same turn, or wait for each other.
    """
    old: dict[str, Item] = {}
    new: dict[str, Item] = {}
    for ours, theirs in zip_longest(_shards(before), _shards(after), fillvalue=()):
        old |= {item.image_id: item for item in ours}
        new |= {item.image_id: item for item in theirs}
        for image_id in sorted(old.keys() & new.keys()):
            yield old.pop(image_id), new.pop(image_id)
    yield from ((item, None) for item in old.values())
    yield from ((None, item) for item in new.values())


def _shards(release: Release) -> Iterator[Sequence[Item]]:
    for _, items in groupby(release, key=lambda item: item.image_shard):
        yield tuple(items)


class _Count:
    """Counts over the items of one release."""

    def __init__(self) -> None:
        self.split_of: dict[str, Split] = {}
        self._group_sizes: Counter[str] = Counter()
        self._faces = 0
        self._unreviewed: Counter[Split] = Counter()
        self._licences: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._slices: Counter[Slice] = Counter()
        self._selfies: Counter[str] = Counter()

    def add(self, item: Item) -> None:
        """Count one item."""
        self.split_of[item.group_id] = item.split
        self._group_sizes[item.group_id] += 1
        self._faces += len(item.faces)
        self._unreviewed[item.split] += not item.is_reviewed
        self._licences[_named(item.licence)] += 1
        self._sources[item.source] += 1
        self._slices[slice_of(main_face(item.faces))] += 1
        self._selfies[selfie_slice_of(item.faces, item.width_px, item.height_px)] += 1

    def figures(self, release: Release) -> Figures:
        """The counts, with what the release's card says of it."""
        card = release.card
        poses = suppressed(self._slices, GRID)
        selfies = suppressed(self._selfies, SELFIES)
        return Figures(
            name=card.name,
            version=card.version,
            digest=card.digest,
            intended_use=card.intended_use,
            images=self._group_sizes.total(),
            splits=card.splits,
            groups=len(self._group_sizes),
            largest_group=max(self._group_sizes.values(), default=0),
            faces=self._faces,
            unreviewed=self._unreviewed.total(),
            unreviewed_test=self._unreviewed["test"],
            licences=dict(sorted(self._licences.items())),
            sources=dict(sorted(self._sources.items())),
            slices={
                f"pose_{cell.pose}_light_{cell.lighting}": count for cell, count in poses.items()
            }
            | {f"selfie_{cell}": count for cell, count in selfies.items()},
        )


def _moved(item: Item, before: Split) -> Moved:
    return Moved(image_id=item.image_id, group_id=item.group_id, before=before, after=item.split)


def _moved_groups(old: _Count, new: _Count, seen: set[str]) -> Iterator[Moved]:
    """Groups that moved without any image that both releases hold: near-duplicates leak too."""
    for group_id in old.split_of.keys() & new.split_of.keys() - seen:
        before, after = old.split_of[group_id], new.split_of[group_id]
        if before != after:
            yield Moved(image_id=None, group_id=group_id, before=before, after=after)


def _relabelled(old: Item, new: Item) -> Relabelled | None:
    """How the labels of one image differ, None where they say the same."""
    one, other = old.annotation, new.annotation
    if _content(one) == _content(other):
        return None
    matched = match_faces(one.faces, other.faces)
    fields = set(_differing(one, other, without={*_NOT_CONTENT, "faces"}))
    attributes: list[Change] = []
    distances: dict[str, float] = {}
    for face, now in matched.pairs:
        fields.update(_differing(face, now))
        attributes += _changes(face.attributes, now.attributes)
        for schema, distance in _nme(face, now):
            distances[schema] = max(distances.get(schema, 0.0), distance)
    if matched.first or matched.second:
        fields.add("faces")
    return Relabelled(
        image_id=new.image_id,
        split=new.split,
        fields=tuple(sorted(fields)),
        nme=distances,
        attributes=tuple(attributes),
        tags=tuple(_changes(one.tags, other.tags)),
        faces_in=len(matched.second),
        faces_out=len(matched.first),
    )


def _content(annotation: Annotation) -> dict[str, Any]:
    return annotation.model_dump(exclude=_NOT_CONTENT)


def _differing(one: Record, other: Record, without: Iterable[str] = ()) -> Iterator[str]:
    for name in type(one).model_fields.keys() - set(without):
        if getattr(one, name) != getattr(other, name):
            yield name


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name=name, before=before.get(name), after=after.get(name))


def _nme(face: Face, now: Face) -> Iterator[tuple[str, float]]:
    """By schema of both faces how far the points moved; not where the eyes' corners coincide."""
    for schema in sorted(face.landmarks.keys() & now.landmarks.keys()):
        points = face.landmarks[schema].points
        if points == now.landmarks[schema].points:
            continue
        interocular_px = load_schema(schema).interocular_px(points)
        if interocular_px > 0:
            yield schema, nme(now.landmarks[schema].points, points, interocular_px)


def _distances(relabelled: Iterable[Relabelled]) -> dict[str, Distances]:
    by_schema: dict[str, list[float]] = {}
    for one in relabelled:
        for schema, distance in one.nme.items():
            by_schema.setdefault(schema, []).append(distance)
    return {
        schema: Distances(
            images=len(found),
            median=float(np.median(found)),
            percentile_95=float(np.percentile(found, 95)),
            largest=max(found),
        )
        for schema, found in sorted(by_schema.items())
    }


def _terms(item: Item) -> str:
    return f"{_named(item.licence)}, {item.author or 'author not named'}"


def _named(licence: Licence) -> str:
    return f"{licence.code} {licence.version}".strip()
