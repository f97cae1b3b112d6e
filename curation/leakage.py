"""Leakage: what lies in two splits of a release, so that a model is measured on what it learnt."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations
from pathlib import Path

from curation.records import GroupMember
from mirrorset.authors import shown_author
from mirrorset.errors import GateError
from mirrorset.files import read_parts
from mirrorset.records import DatasetItem, Record, Sighting, Split


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
    split_of: dict[str, Split] = {}
    groups: list[tuple[Hashable, Split]] = []
    for item in read_parts(work / "items", DatasetItem):
        split_of[item.image_id] = item.split
        groups.append((item.group_id, item.split))

    copies: defaultdict[str, Counter[Split]] = defaultdict(Counter)
    for member in read_parts(work / "groups", GroupMember):
        if member.image_id in split_of:
            copies[member.key][split_of[member.image_id]] += 1

    authors: list[tuple[Hashable, Split]] = []
    subjects: list[tuple[Hashable, Split]] = []
    for seen in read_parts(snapshot / "sightings", Sighting):
        if seen.image_id not in split_of:
            continue
        split = split_of[seen.image_id]
        if author := shown_author(seen):
            authors.append(((seen.source, author), split))
        subjects += (((seen.source, subject), split) for subject in seen.subject_ids)
    return Leakage(
        near_duplicate_pairs=sum(map(_pairs_across, copies.values())),
        groups=_across(groups),
        authors=_across(authors),
        subjects=_across(subjects),
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


def _pairs_across(sizes: Mapping[Split, int]) -> int:
    return sum(a * b for a, b in combinations(sizes.values(), 2))


def _across(placed: Iterable[tuple[Hashable, Split]]) -> int:
    """How many of what was placed lie in more than one split."""
    splits: defaultdict[Hashable, set[Split]] = defaultdict(set)
    for one, split in placed:
        splits[one].add(split)
    return sum(len(found) > 1 for found in splits.values())
