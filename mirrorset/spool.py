"""The way of records into the catalogue: whole shards in a folder, ingested once each.

A room writes a shard when it has something to keep; whoever comes next ingests what lies there.
A run killed anywhere therefore loses at most the records it had not written yet.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from mirrorset.erasure import Gone, Removed
from mirrorset.errors import InputError
from mirrorset.files import write_bytes
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    ImageRecord,
    LedgerEntry,
    Record,
    Rejected,
    Sighting,
    Verdict,
)

_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        ImageRecord,
        Sighting,
        Annotation,
        Verdict,
        Rejected,
        Batch,
        AnnotationJob,
        LedgerEntry,
    )
}

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Store(Protocol):
    """Where shards end: all records of one call are kept together or not at all."""

    def upsert(self, records: Sequence[Record]) -> None:
        """Keep the records, replacing what has the same key; InputError where one does not fit."""


def encoded(records: Sequence[Record]) -> bytes:
    """The records as the content of a shard, one a line.

    What no database keeps of a stranger's text, NUL and lone surrogates, becomes U+FFFD.
    """
    lines = [
        json.dumps(
            {type(record).__name__: _storable(record.model_dump(mode="json"))},
            separators=(",", ":"),
        )
        for record in records
    ]
    return ("\n".join(lines) + "\n").encode()


def write_shard(spool: Path, records: Sequence[Record]) -> Path:
    """Write the records as one whole file into `spool`, named by its content."""
    return write_encoded(spool, encoded(records))


def write_encoded(spool: Path, content: bytes) -> Path:
    """Write what `encoded` made, on whatever machine, as `write_shard` does."""
    path = spool / f"{hashlib.sha256(content).hexdigest()[:32]}.jsonl"
    write_bytes(path, content)
    return path


def ingest(spool: Path, store: Store) -> int:
    """Keep every shard's records and remove the shard; returns how many records.

    A shard is removed after it is kept, so a kill between the two only ingests it again.

    Raises InputError naming the shard that holds no records or some that the store refuses.
    """
    count = 0
    for shard in sorted(spool.glob("*.jsonl")):
        records = list(_read(shard))
        try:
            store.upsert(records)
        except InputError as refusal:
            raise InputError(
                f"{shard} cannot be kept, move it away, run again: {refusal}"
            ) from refusal
        shard.unlink()
        count += len(records)
    return count


def erase(spool: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove the records of what is to go, and what killed processes left half written.

    For when nobody else is writing.
    """
    count = 0
    for shard in sorted(spool.glob("*.jsonl")):
        lines = shard.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not gone.is_in(line)]
        count += len(lines) - len(kept)
        if not is_dry_run and not kept:
            shard.unlink()
        elif not is_dry_run and len(kept) < len(lines):
            write_bytes(shard, b"".join(kept))
    for leftover in spool.glob(".*.part"):
        count += gone.is_in(leftover.read_bytes())
        if not is_dry_run:
            leftover.unlink()
    return [Removed(place="spool", name="records", count=count)] if count else []


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(one) for key, one in value.items()}
    return value


def _read(shard: Path) -> Iterator[Record]:
    for number, line in enumerate(shard.read_bytes().splitlines(), start=1):
        try:
            ((kind, fields),) = json.loads(line).items()
            yield _KINDS[kind].model_validate(fields)
        except (ValueError, KeyError, AttributeError, ValidationError):
            raise InputError(
                f"{shard}:{number} is no record of this version: move the file away, run again."
            ) from None
