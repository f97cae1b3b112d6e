"""Items that need not be fetched again."""

import json
from pathlib import Path

from crawlers.items import item_id
from mirrorset.errors import InputError


def settled_items(known: Path | None, spool: Path) -> frozenset[str]:
    """Item ids listed in `known`, and those that shards waiting in `spool` settle.

    A shard's retryable rejections are not settled. Raises InputError where `known` is absent.
    """
    listed: set[str] = set()
    if known is not None:
        try:
            listed = set(known.read_text(encoding="utf-8").split("\n"))
        except FileNotFoundError:
            raise InputError(f"The list of known items {known} does not exist.") from None
    waiting = {
        key
        for shard in spool.glob("*.jsonl")
        for line in shard.read_text(encoding="utf-8").splitlines()
        if (key := _settled_by(line))
    }
    return frozenset((listed | waiting) - {""})


def _settled_by(line: str) -> str:
    ((kind, record),) = json.loads(line).items()
    if kind == "Sighting":
        return item_id(record["source"], record["source_item_id"])
    if kind == "Rejected" and record["step"] == "crawl" and not record["is_retryable"]:
        return str(record["item_id"])
    return ""
