"""The ledger: group ids and splits are minted once, and never move when data grows."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from datetime import datetime

from pydantic import Field, model_validator

from curation.records import GroupMember
from mirrorset.records import LedgerEntry, Reason, Record, Rejected, Split

# Where groups of several splits merge, the images of the first of these stay: what a model was
# trained on is easily replaced, what it was measured on is not.
_KEEPS_FIRST: tuple[Split, ...] = ("test", "val", "train")


class LedgerParams(Record):
    """How new groups are minted; changing it leaves what is minted as it is.

    seed: key of the keyed hashes; keep it for the life of the dataset.
    train, val, test: expected shares of the groups; they sum to 1.
    images_per_shard: images in one file images/NNNNN.parquet at most.
    """

    seed: str = Field(default="mirrorset", min_length=1)
    train: float = Field(default=0.8, ge=0, le=1)
    val: float = Field(default=0.1, ge=0, le=1)
    test: float = Field(default=0.1, ge=0, le=1)
    images_per_shard: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> "LedgerParams":
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError("train, val and test do not sum to 1")
        return self


def mint(
    groups: Iterable[GroupMember],
    ledger: Mapping[str, LedgerEntry],
    params: LedgerParams,
    at: datetime,
) -> tuple[list[LedgerEntry], list[Rejected]]:
    """Entries for the images of `groups` that `ledger` (by image_id) lacks, in order of image_id.

    An image near an existing group joins it; near several, the one with the smallest group_id.
    New images fill new shards after the last existing one. The same input mints the same ids and
    splits, so a run that was killed is simply repeated. What `kept_out` names is rejected and gets
    no entry.
    """
    components, oversized = _components(groups)
    rejected = _kept_out(components, oversized, ledger)
    waiting = {record.item_id for record in rejected}
    homes: dict[str, tuple[str, Split]] = {}
    for members in components:
        known = [ledger[image_id] for image_id in members if image_id in ledger]
        if known:
            oldest = min(known, key=lambda entry: entry.group_id)
            home = oldest.group_id, oldest.split
        else:
            group_id = _group_id(members[0], params.seed)
            home = group_id, _split(group_id, params)
        placed = (new for new in members if new not in ledger and new not in waiting)
        homes |= dict.fromkeys(placed, home)

    next_shard = 1 + max((entry.image_shard for entry in ledger.values()), default=-1)
    entries = [
        LedgerEntry(
            image_id=image_id,
            group_id=homes[image_id][0],
            split=homes[image_id][1],
            image_shard=next_shard + position // params.images_per_shard,
            minted_at=at,
        )
        for position, image_id in enumerate(sorted(homes))
    ]
    return entries, rejected


def kept_out(groups: Iterable[GroupMember], ledger: Mapping[str, LedgerEntry]) -> list[Rejected]:
    """The images of `groups` that no release may hold, in order of image_id, and why.

    SPLIT_CONFLICT: where images of different splits turn out to belong together (near-duplicates,
    or of one person), directly or by way of others, test keeps its images, or val where none is in
    test. The others wait, and keep the places they have for the day on which they are found apart.
    OVERSIZED_GROUP: a new image is near so many that these cannot all be copies of one picture, or
    pictures of one person.
    """
    return _kept_out(*_components(groups), ledger)


def _components(groups: Iterable[GroupMember]) -> tuple[list[list[str]], set[str]]:
    """Sorted image ids by component, in order of their keys; and those of oversized groups."""
    components: dict[str, list[str]] = defaultdict(list)
    oversized = set()
    for member in groups:
        components[member.key].append(member.image_id)
        if member.is_oversized:
            oversized.add(member.image_id)
    return [sorted(components[key]) for key in sorted(components)], oversized


def _kept_out(
    components: Iterable[list[str]], oversized: Set[str], ledger: Mapping[str, LedgerEntry]
) -> list[Rejected]:
    rejected = []
    for members in components:
        new = [image_id for image_id in members if image_id not in ledger]
        splits = {ledger[image_id].split for image_id in members if image_id in ledger}
        if len(splits) > 1:
            kept = next(split for split in _KEEPS_FIRST if split in splits)
            detail = f"It belongs together with images in {' and in '.join(sorted(splits))}."
            rejected += [
                _rejected(image_id, Reason.SPLIT_CONFLICT, detail)
                for image_id in members
                if image_id not in ledger or ledger[image_id].split != kept
            ]
        else:
            detail = (
                f"One of {sum(image_id in oversized for image_id in members)} images that are "
                "near-duplicates of one another or show one person: look at them, then drop them "
                "or raise max_images in the section group of params.yaml."
            )
            rejected += [
                _rejected(image_id, Reason.OVERSIZED_GROUP, detail)
                for image_id in new
                if image_id in oversized
            ]
    return sorted(rejected, key=lambda record: record.item_id)


def _rejected(image_id: str, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=image_id, step="group", reason=reason, detail=detail)


def _group_id(image_id: str, seed: str) -> str:
    return _keyed_hash(seed, f"group:{image_id}")[:16]


def _split(group_id: str, params: LedgerParams) -> Split:
    draw = int(_keyed_hash(params.seed, f"split:{group_id}")[:13], 16) / 16**13
    if draw < params.train:
        return "train"
    return "val" if draw < params.train + params.val else "test"


def _keyed_hash(seed: str, message: str) -> str:
    return hmac.new(seed.encode(), message.encode(), hashlib.sha256).hexdigest()
