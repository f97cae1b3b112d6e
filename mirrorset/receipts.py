"""Receipts: what a sighting says of where a licence was read, in one flat record with a hash.

A receipt's id is the sha256 of its other fields as canonical JSON (RFC 8785: UTF-8, keys sorted, no
spaces; times in UTC, "2026-03-01T12:00:00Z"). So anybody can recompute it from a line of the file,
without this project:

>>> import hashlib, json
>>> stated = {"licence_code": "CC0", "seen_at": "2026-03-01T12:00:00Z", "author": "Zoë"}
>>> canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
>>> canonical
'{"author":"Zoë","licence_code":"CC0","seen_at":"2026-03-01T12:00:00Z"}'
>>> hashlib.sha256(canonical.encode()).hexdigest()[:8]
'03a58a28'
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from pathlib import Path

from pydantic import AwareDatetime

from mirrorset.errors import InputError
from mirrorset.files import read_records, write_records
from mirrorset.records import Record, Sha256, Sighting

# What a sighting has that is no evidence of a licence, or is told field by field.
_NO_RECEIPT = {"licence", "evidence", "subject_ids", "age_band", "tone", "shows_author"}


class Receipt(Record):
    """One sighting and its evidence; the fields mean what they mean in `Sighting` and `Evidence`.

    receipt_id: sha256 over all other fields, the time included: what is seen again, unchanged, gets
    a receipt of its own.
    """

    receipt_id: Sha256
    image_id: Sha256
    source: str
    source_item_id: str
    version: str
    page_url: str
    image_url: str
    author: str
    licence_code: str
    licence_version: str
    licence_url: str
    licence_read_from: str
    licence_text: str
    host_files: dict[str, str]
    headers: dict[str, str]
    crawler: str
    seen_at: AwareDatetime


def receipt(sighting: Sighting) -> Receipt:
    """The receipt of a sighting: the same for the same sighting, on any machine."""
    licence = sighting.licence
    seen = sighting.model_copy(update={"seen_at": sighting.seen_at.astimezone(UTC)})
    fields = {
        **seen.model_dump(mode="json", exclude=_NO_RECEIPT),
        **sighting.evidence.model_dump(mode="json"),
        "image_url": sighting.public_image_url,
        "licence_code": licence.code,
        "licence_version": licence.version,
        "licence_url": licence.url,
    }
    return Receipt.model_validate({"receipt_id": _hash(fields), **fields})


def verify(receipt: Receipt) -> bool:
    """Whether no field has been changed since the receipt was made."""
    fields = receipt.model_dump(mode="json", exclude={"receipt_id"})
    return _hash(fields) == receipt.receipt_id


def write_receipts(path: Path, sightings: Iterable[Sighting]) -> int:
    """Write the receipts, one a line as JSON, whole or not at all; returns how many."""
    return write_records(path, map(receipt, sightings))


def read_receipts(path: Path) -> Iterator[Receipt]:
    """Read receipts written by `write_receipts`.

    Raises InputError naming file and line where a line is no receipt, or one that was changed.
    """
    for number, read in enumerate(read_records(path, Receipt), start=1):
        if not verify(read):
            raise InputError(
                f"{path}:{number} was changed after it was written: its receipt_id is not the hash "
                "of its fields; take the file from where it was exported."
            )
        yield read


def _hash(fields: Mapping[str, object]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
