"""Leakage: what lies in two splits of a release, so that a model is measured on what it learnt."""

from collections.abc import Hashable
from itertools import combinations
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from curation.records import GroupMember
from mirrorset.authors import shown_author
from mirrorset.columns import IdColumn, Ids, KeyColumn, Keys, in_several, run_starts
from mirrorset.errors import GateError
from mirrorset.files import read_parts
from mirrorset.records import DatasetItem, Record, Sighting, Split

_SPLITS: tuple[Split, ...] = get_args(Split)


class Leakage(Record):
    """All of it must be 0.

    near_duplicate_pairs: pairs of images in different splits that are near-duplicates, directly or
    by way of others, or that groups by identity hold together. groups: in several splits. authors:
    whom the pictures show that were found where pictures show their own author. subjects: people
    whom a source tells apart.
    """

    near_duplicate_pairs: int
    groups: int
    authors: int
    subjects: int


def leakage(snapshot: Path, work: Path) -> Leakage:
    """Count it over the items that `work` would release.

    It is counted from what was found of the images, not from how they were placed: a fault in
    placing them is seen.
    """
    ids, groups, splits = IdColumn(), KeyColumn(), bytearray()
    for item in read_parts(work / "items", DatasetItem):
        ids.append(item.image_id)
        groups.append(item.group_id)
        splits.append(_SPLITS.index(item.split))
    placed = _Placed(ids.array(), np.frombuffer(splits, dtype=np.uint8))

    copies, authors, subjects = _Found(), _Found(), _Found()
    for member in read_parts(work / "groups", GroupMember):
        copies.add(member.image_id, member.key)
    for seen in read_parts(snapshot / "sightings", Sighting):
        if author := shown_author(seen):
            authors.add(seen.image_id, (seen.source, author))
        for subject in seen.subject_ids:
            subjects.add(seen.image_id, (seen.source, subject))
    return Leakage(
        near_duplicate_pairs=_pairs_across(*placed.of(copies)),
        groups=in_several(groups.array(), placed.splits),
        authors=in_several(*placed.of(authors)),
        subjects=in_several(*placed.of(subjects)),
    )


def refuse(found: Leakage) -> None:
    """Raise GateError where anything leaks."""
    leaks = [
        f"{count} {name.replace('_', ' ')}" for name, count in found.model_dump().items() if count
    ]
    if leaks:
        raise GateError(
            f"No release: {', '.join(leaks)} would lie in several splits: run `mirrorset release`, "
            "which groups all images anew, and report it where it does not help."
        )


class _Found:
    """What was found of images: a key each, some 50 bytes."""

    def __init__(self) -> None:
        self.ids = IdColumn()
        self.keys = KeyColumn()

    def add(self, image_id: str, key: Hashable) -> None:
        self.ids.append(image_id)
        self.keys.append(key)


class _Placed:
    """Where images lie: their splits (N,) in the order of their ids."""

    def __init__(self, ids: Ids, splits: NDArray[np.uint8]) -> None:
        self.splits = splits
        self._order = np.argsort(ids)
        self._ids = ids[self._order]

    def of(self, found: _Found) -> tuple[Keys, NDArray[np.uint8]]:
        """The keys found of images that are placed, and the splits of these."""
        ids = found.ids.array()
        at = np.searchsorted(self._ids, ids).clip(max=max(len(self._ids) - 1, 0))
        if not len(self._ids):
            return found.keys.array()[:0], self.splits
        is_placed = self._ids[at] == ids
        return found.keys.array()[is_placed], self.splits[self._order[at[is_placed]]]


def _pairs_across(keys: Keys, splits: NDArray[np.uint8]) -> int:
    """Pairs with the same key in different splits."""
    order = np.argsort(keys, kind="stable")
    starts = run_starts(keys[order])
    if not len(starts):
        return 0
    sizes = [
        np.add.reduceat((splits[order] == split).astype(np.int64), starts)
        for split in range(len(_SPLITS))
    ]
    return sum(int((a * b).sum()) for a, b in combinations(sizes, 2))
