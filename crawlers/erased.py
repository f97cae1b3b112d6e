"""What was erased stays away: it is known by its tombstones, at its address and by its bytes.

What is told and kept of it is the tombstone: no address, no item id.
"""

from functools import cache

from crawlers.items import Candidate, Refusal, rejected
from crawlers.order import CrawlOrder
from crawlers.source import Ask, Found
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.erase import read_tombstones
from mirrorset.records import ImageRecord, Reason, Rejected
from mirrorset.tombstones import Tombstones

_REFUSAL = Refusal(
    reason=Reason.ERASED, detail="It was erased at somebody's request, and is not taken again."
)
_SHOWN_DIGITS = 16


def unless_erased(found: Found, source: str, tombstones: Tombstones) -> Found:
    """What a listing or page named, or its refusal where it names what was erased."""
    if isinstance(found, Candidate):
        standing = tombstones.standing(
            [
                ("item", found.item_id),
                ("address", found.page_url),
                ("address", found.image_url),
            ]
        )
    elif isinstance(found, Ask) and found.kind == "page" and not found.is_api:
        standing = tombstones.standing([("address", found.url)])
    else:
        standing = None
    return found if standing is None else erased(source, standing)


def erased_image(image: ImageRecord, source: str, order: CrawlOrder) -> Rejected | None:
    """The refusal of a picture that was erased, wherever it is met now; None for any other."""
    if not order.tombstone_key:
        return None
    standing = tombstones_of(order.catalogue_url, order.tombstone_key).standing(
        [("bytes", image.image_id), ("pixels", image.pixel_hash)]
    )
    return None if standing is None else erased(source, standing)


def erased(source: str, standing: str) -> Rejected:
    """The record of something that was erased. standing: its tombstone."""
    return rejected(source, f"erased-{standing[:_SHOWN_DIGITS]}", "", _REFUSAL)


@cache
def tombstones_of(catalogue_url: str, key: str) -> Tombstones:
    """The tombstones that stand, read once in each process: none is added while a crawl runs."""
    with Catalogue(catalogue_url) as catalogue:
        return read_tombstones(catalogue, key)
