"""Asks and candidates as rows of the frontier, and back."""

import json
from hashlib import sha256

from crawlers.items import Candidate
from crawlers.source import Ask
from mirrorset.catalogue.frontier import Entry, Item, Kind, place

_KINDS = {"listing": Kind.LISTING, "page": Kind.PAGE}


def entry_of(ask: Ask) -> Entry:
    """The entry of a listing or page; what it carries tells two of one address apart."""
    key = f"{ask.kind}:{place(ask.url)}"
    if ask.carried or ask.body:
        told_apart = json.dumps([ask.body, ask.carried], sort_keys=True)
        key += f"#{sha256(told_apart.encode()).hexdigest()[:16]}"
    return Entry(key=key, kind=_KINDS[ask.kind], url=ask.url, content=ask.model_dump(mode="json"))


def as_ask(entry: Entry) -> Ask:
    """The ask of a listing's or page's entry."""
    return Ask.model_validate(entry.content)


def item_of(candidate: Candidate) -> Item:
    """What the frontier keeps of a candidate."""
    return Item(
        source_item_id=candidate.source_item_id,
        url=candidate.image_url,
        content=candidate.model_dump(mode="json"),
        version=candidate.version or candidate.sha1,
        statement=candidate.permit.statement.text if candidate.permit else "",
    )


def as_candidate(entry: Entry) -> Candidate:
    """The candidate of an item's entry."""
    return Candidate.model_validate(entry.content)
