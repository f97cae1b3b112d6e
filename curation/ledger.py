"""The ledger: group ids and splits are minted once, and never move when data grows."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import Field, model_validator

from curation.records import GroupMember
from mirrorset.records import LedgerEntry, Reason, Record, Rejected, Split


class LedgerParams(Record):
    """How new groups are minted; changing it leaves what is minted as it is.

    seed: key of the keyed hashes; keep it for the life of the dataset.
    train, val, test: expected shares of the groups; they sum to 1.
    images_per_shard: images in one file images/NNNNN.parquet at most.
    """

    seed: str = "mirrorset"
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
    splits, so a run that was killed is simply repeated. An image near groups of different splits
    is rejected (SPLIT_CONFLICT).
    """
    components = _components(groups)
    homes: dict[str, tuple[str, Split]] = {}
    for members in components:
        known = [ledger[image_id] for image_id in members if image_id in ledger]
        if len({entry.split for entry in known}) > 1:
            continue
        if known:
            oldest = min(known, key=lambda entry: entry.group_id)
            home = oldest.group_id, oldest.split
        else:
            group_id = _group_id(members[0], params.seed)
            home = group_id, _split(group_id, params)
        homes |= dict.fromkeys((new for new in members if new not in ledger), home)

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
    return entries, _conflicts(components, ledger)


def split_conflicts(
    groups: Iterable[GroupMember], ledger: Mapping[str, LedgerEntry]
) -> list[Rejected]:
    """The images of `groups` that no split can take, in order of image_id.

    They are near-duplicates, directly or by way of others, of images in different splits.
    """
    return _conflicts(_components(groups), ledger)


def _components(groups: Iterable[GroupMember]) -> list[list[str]]:
    """Sorted image ids by component, in order of their keys."""
    components: dict[str, list[str]] = defaultdict(list)
    for member in groups:
        components[member.key].append(member.image_id)
    return [sorted(components[key]) for key in sorted(components)]


def _conflicts(
    components: Iterable[list[str]], ledger: Mapping[str, LedgerEntry]
) -> list[Rejected]:
    rejected = []
    for members in components:
        splits = sorted({ledger[image_id].split for image_id in members if image_id in ledger})
        if len(splits) > 1:
            rejected += [
                Rejected(
                    item_id=image_id,
                    step="group",
                    reason=Reason.SPLIT_CONFLICT,
                    detail=f"A near-duplicate of images in {' and in '.join(splits)}.",
                )
                for image_id in members
                if image_id not in ledger
            ]
    return sorted(rejected, key=lambda record: record.item_id)


def _group_id(image_id: str, seed: str) -> str:
    return _keyed_hash(seed, f"group:{image_id}")[:16]


def _split(group_id: str, params: LedgerParams) -> Split:
    draw = int(_keyed_hash(params.seed, f"split:{group_id}")[:13], 16) / 16**13
    if draw < params.train:
        return "train"
    return "val" if draw < params.train + params.val else "test"


def _keyed_hash(seed: str, message: str) -> str:
    return hmac.new(seed.encode(), message.encode(), hashlib.sha256).hexdigest()
