"""The ledger: group ids and splits are minted once, and never move when data grows."""

import hashlib
import hmac
from array import array
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from curation.records import GroupMember
from mirrorset.columns import IdColumn, TextColumn, hex_ids, position, runs
from mirrorset.records import LedgerEntry, Reason, Record, Rejected, Split

# Where groups of several splits merge, the images of the first of these stay: what a model was
# trained on is easily replaced, what it was measured on is not.
_KEEPS_FIRST: tuple[Split, ...] = ("test", "val", "train")
_SPLITS: tuple[Split, ...] = get_args(Split)


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


class Placed(Protocol):
    """What placing new images asks of those that have a place, such as a `LedgerEntry`."""

    @property
    def group_id(self) -> str:
        """What belongs together shares it."""

    @property
    def split(self) -> Split:
        """Where all of the group lies."""

    @property
    def image_shard(self) -> int:
        """Number of the file that holds the image."""


class Place(NamedTuple):
    """One image's in `Places`."""

    group_id: str
    split: Split
    image_shard: int


class Places(Mapping[str, Place]):
    """The places of a ledger by image_id, packed: some 60 bytes each."""

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        ids, group_ids = IdColumn(), TextColumn()
        splits, shards = bytearray(), array("i")
        for entry in entries:
            ids.append(entry.image_id)
            group_ids.append(entry.group_id)
            splits.append(_SPLITS.index(entry.split))
            shards.append(entry.image_shard)
        order = np.argsort(ids.array())
        self._ids = ids.array()[order]
        self._group_ids = group_ids.array()[order]
        self._splits = np.frombuffer(splits, dtype=np.uint8)[order]
        self._shards = np.array(shards)[order]

    def __getitem__(self, image_id: str) -> Place:
        place = position(self._ids, image_id)
        if place is None:
            raise KeyError(image_id)
        return Place(
            self._group_ids[place].decode(),
            _SPLITS[self._splits[place]],
            int(self._shards[place]),
        )

    def __iter__(self) -> Iterator[str]:
        return hex_ids(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def mint(
    groups: Iterable[GroupMember], ledger: Mapping[str, Placed], params: LedgerParams, at: datetime
) -> tuple[Iterator[LedgerEntry], list[Rejected]]:
    """Entries for the images of `groups` that `ledger` (by image_id) lacks, in order of image_id.

    An image near an existing group joins it; near several, the one with the smallest group_id.
    New images fill new shards after the last existing one. The same input mints the same ids and
    splits, so a run that was killed is simply repeated. What `kept_out` names is rejected and gets
    no entry. Memory holds some 130 bytes of an image besides the ledger.
    """
    components = _Components(groups)
    rejected = _kept_out(components, ledger)
    waiting = {record.item_id for record in rejected}
    ids, group_ids, splits = IdColumn(), TextColumn(), bytearray()
    for members, _ in components:
        known = [ledger[image_id] for image_id in members if image_id in ledger]
        if len(known) == len(members):
            continue
        if known:
            oldest = min(known, key=lambda entry: entry.group_id)
            group_id, split = oldest.group_id, oldest.split
        else:
            group_id = _group_id(members[0], params.seed)
            split = _split(group_id, params)
        for new in members:
            if new not in ledger and new not in waiting:
                ids.append(new)
                group_ids.append(group_id)
                splits.append(_SPLITS.index(split))

    next_shard = 1 + max((entry.image_shard for entry in ledger.values()), default=-1)
    order = np.argsort(ids.array())
    minted = zip(
        hex_ids(ids.array()[order]),
        group_ids.array()[order],
        np.frombuffer(splits, dtype=np.uint8)[order],
        strict=True,
    )
    entries = (
        LedgerEntry(
            image_id=image_id,
            group_id=group_id.decode(),
            split=_SPLITS[split],
            image_shard=next_shard + number // params.images_per_shard,
            minted_at=at,
        )
        for number, (image_id, group_id, split) in enumerate(minted)
    )
    return entries, rejected


def kept_out(groups: Iterable[GroupMember], ledger: Mapping[str, Placed]) -> list[Rejected]:
    """The images of `groups` that no release may hold, in order of image_id, and why.

    SPLIT_CONFLICT: where images of different splits turn out to belong together (near-duplicates,
    or of one person), directly or by way of others, test keeps its images, or val where none is in
    test. The others wait, and keep the places they have for the day on which they are found apart.
    OVERSIZED_GROUP: a new image is near so many that these cannot all be copies of one picture, or
    pictures of one person.
    """
    return _kept_out(_Components(groups), ledger)


class _Components:
    """Sorted image ids by component, in order of their keys; and which of them are oversized."""

    def __init__(self, groups: Iterable[GroupMember]) -> None:
        ids, keys, oversized = IdColumn(), IdColumn(), bytearray()
        for member in groups:
            ids.append(member.image_id)
            keys.append(member.key)
            oversized.append(member.is_oversized)
        order = np.lexsort((ids.array(), keys.array()))
        self._ids, self._keys = ids.array()[order], keys.array()[order]
        self._oversized = np.frombuffer(oversized, dtype=np.bool_)[order]

    def __iter__(self) -> Iterator[tuple[list[str], NDArray[np.bool_]]]:
        ids = hex_ids(self._ids)
        for start, end in runs(self._keys):
            yield list(islice(ids, end - start)), self._oversized[start:end]


def _kept_out(components: _Components, ledger: Mapping[str, Placed]) -> list[Rejected]:
    rejected = []
    for members, oversized in components:
        if len(members) == 1 and not oversized[0]:
            continue
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
                f"One of {oversized.sum()} images that are "
                "near-duplicates of one another or show one person: look at them, then drop them "
                "or raise max_images in the section group of params.yaml."
            )
            rejected += [
                _rejected(image_id, Reason.OVERSIZED_GROUP, detail)
                for image_id, is_oversized in zip(members, oversized, strict=True)
                if is_oversized and image_id not in ledger
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
