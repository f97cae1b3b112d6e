"""A re-check: a crawl that asks again for what was found before, and whether its receipt holds.

It is driven over the same frontier as any crawl (crawlers/recheck_spider.py), so that robots.txt,
opt-outs, pacing, shards and kills are dealt with alike. First the page or API record that stated
the licence is read again, where there is one; then the picture is asked for by HEAD, or by its
first bytes where these must tell. Nothing is fetched whole, and nothing is looked up in a listing.

Only a lasting refusal ends a receipt. A lost connection, a server in trouble, a closed host say
nothing of a licence: the receipt stays due.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from crawlers.embedded import is_embedded
from crawlers.items import Candidate, Permit, Refusal, Settled, Statement
from crawlers.order import CrawlOrder, RecheckTerms
from crawlers.source import Answer, Ask, Found, Source
from crawlers.sources import source_of
from crawlers.text import clean
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import Entry, Item
from mirrorset.catalogue.receipts import due, receipt_of
from mirrorset.pixels import PixelParams
from mirrorset.records import (
    Quarantine,
    Reason,
    Record,
    Rejected,
    Sighting,
    Verification,
)

VERIFIED = "verified"
RENEWED = "renewed"
RELEASED = "released"
STILL_QUARANTINED = "still_quarantined"
UNREACHABLE = "unreachable"

_CHUNK_RECEIPTS = 200
# What ends a receipt for good. The rest is the network's or our own affair (a size limit, say).
_ENDING = frozenset(
    {
        Reason.GONE,
        Reason.LICENCE_MISSING,
        Reason.LICENCE_UNKNOWN,
        Reason.NO_DERIVATIVES,
        Reason.NON_COMMERCIAL,
        Reason.ROBOTS,
        Reason.OPT_OUT_NOAI,
        Reason.OPT_OUT_TDM,
        Reason.OPT_OUT_TAG,
    }
)
# Lasting ones: 401, 403, 404 and the like; a page without the picture; a redirect without end.
_AS_GONE = (Reason.HTTP_ERROR, Reason.NOT_AN_IMAGE)
# Headers that tell one state of the bytes from another: as of the bytes that we keep.
_MARKS = ("content-length", "etag", "last-modified")
_NOT_STATED = ("", "application/octet-stream", "binary/octet-stream")


class Checked(Record):
    """One receipt under check: what was kept, and what its source says today.

    candidate: the item as it is today; None where it is refused, by `refusal`.
    """

    sighting: Sighting
    quarantine: Quarantine | None = None
    candidate: Candidate | None = None
    refusal: Refusal | None = None


class Recheck(Source[Any]):
    """Lists the receipts that are due, a chunk an ask; its pages are read as their source does."""

    def __init__(self, order: CrawlOrder, terms: RecheckTerms, catalogue: Catalogue) -> None:
        # What is kept already is not measured again.
        all_sizes = PixelParams(min_side_px=0, max_pixels=sys.maxsize)
        lenient = {"pixels": all_sizes, "max_bytes": sys.maxsize}
        self._source = source_of(order.start, order.terms.model_copy(update=lenient))
        super().__init__(order.start, self._source.terms)
        self.name = self._source.name  # type: ignore[misc]
        self._due_before = terms.due_before
        self._catalogue = catalogue

    @property
    def title(self) -> str:
        """The crawl whose finds are checked."""
        return f"verify {self._source.title}"

    @property
    def address(self) -> str:
        """The address that the crawl began at."""
        return self._source.address

    def begin(self) -> Iterator[Ask]:
        """The first chunk of receipts."""
        yield self._chunk("")

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """What tells today's licence of a chunk of receipts, and then the next chunk."""
        if ask.kind == "page":
            yield from self._source.read(ask, answer)
            return
        sightings = due(
            self._catalogue,
            self.name,
            self._source.title,
            self._due_before,
            after=ask.carried["after"],
            count=_CHUNK_RECEIPTS,
        )
        for sighting in sightings:
            key = sighting.source_item_id
            again = self._source.recheck(key, sighting.page_url, sighting.image_url)
            if again is None:
                yield _as_stated(sighting)
            else:
                yield again.model_copy(update={"source_item_id": key})
        if len(sightings) == _CHUNK_RECEIPTS:
            yield self._chunk(sightings[-1].source_item_id)

    def checked(self, found: Candidate | Rejected) -> Checked | None:
        """What was kept of an item, beside what was found of it; None where nothing is kept."""
        key = found.item_id.removeprefix(f"{self.name}:")
        kept = receipt_of(self._catalogue, self.name, key)
        if kept is None:
            return None
        sighting, quarantine = kept
        if isinstance(found, Candidate):
            return Checked(sighting=sighting, quarantine=quarantine, candidate=found)
        refusal = Refusal(reason=found.reason, detail=found.detail, is_retryable=found.is_retryable)
        return Checked(sighting=sighting, quarantine=quarantine, refusal=refusal)

    def login(self) -> Ask | None:
        """As the source does."""
        return self._source.login()

    def logged_in(self, answer: Answer) -> None:
        """As the source does."""
        self._source.logged_in(answer)

    def signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """As the source does."""
        return self._source.signed(ask)

    def _chunk(self, after: str) -> Ask:
        return Ask(url=f"receipts:///{self.name}", carried={"after": after})


def source_for(order: CrawlOrder, catalogue: Catalogue) -> Source[Any]:
    """What an order reads: the source that it names, or the receipts of what that found."""
    if order.recheck is None:
        return source_of(order.start, order.terms)
    return Recheck(order, order.recheck, catalogue)


def renewed(
    sighting: Sighting,
    permit: Permit,
    crawler: str,
    at: datetime,
    headers: Mapping[str, str],
    host_files: Mapping[str, str],
) -> Sighting:
    """The sighting as it was, or with a receipt for the other licence that it is under now.

    headers, host_files: of the picture's answer, empty where none was asked for.
    """
    if permit.licence == sighting.licence:
        return sighting
    was = sighting.evidence
    # They tell the next crawl which bytes are kept.
    marks = {name: was.headers[name] for name in _MARKS if name in was.headers}
    now = {name: value for name, value in headers.items() if name not in _MARKS}
    evidence = was.model_copy(
        update={
            "licence_read_from": permit.statement.read_from,
            "licence_text": permit.statement.text,
            "host_files": dict(host_files),
            "headers": {**now, **marks},
            "crawler": crawler,
        }
    )
    return sighting.model_copy(
        update={"licence": permit.licence, "evidence": evidence, "seen_at": at}
    )


def held(entry: Entry, checked: Checked, sighting: Sighting, at: datetime) -> Settled:
    """The outcome for a receipt that holds: when, what is new in it, the end of a quarantine."""
    verification = Verification(
        image_id=sighting.image_id,
        source=sighting.source,
        source_item_id=sighting.source_item_id,
        verified_at=at,
    )
    records: list[Record] = [verification]
    outcome = VERIFIED
    if sighting != checked.sighting:
        records.append(sighting)
        outcome = RENEWED
    if checked.quarantine is not None:
        records.append(checked.quarantine.model_copy(update={"released_at": at}))
        outcome = RELEASED
    return Settled(entry, outcome, tuple(records))


def refused(
    entry: Entry, checked: Checked, refusal: Refusal, at: datetime, stay: timedelta
) -> Settled:
    """The outcome for a receipt that could not be confirmed: quarantine, or nothing yet.

    stay: how long a quarantine lasts; being refused again does not prolong it.
    """
    if not refusal.is_retryable and refusal.reason in _AS_GONE:
        refusal = refusal.model_copy(update={"reason": Reason.GONE})
    if refusal.is_retryable or refusal.reason not in _ENDING:
        return Settled(entry, UNREACHABLE)
    why = {"reason": refusal.reason, "detail": clean(refusal.detail)}
    if checked.quarantine is not None:
        return Settled(entry, STILL_QUARANTINED, (checked.quarantine.model_copy(update=why),))
    sighting = checked.sighting
    quarantine = Quarantine(
        image_id=sighting.image_id,
        source=sighting.source,
        source_item_id=sighting.source_item_id,
        reason=refusal.reason,
        detail=clean(refusal.detail),
        since=at,
        expires_at=at + stay,
    )
    return Settled(entry, str(refusal.reason), (quarantine,))


def needs_bytes(checked: Checked) -> bool:
    """Whether only the file can tell: its source is silent, or says something new.

    The file may state a licence that is stricter than what its source says now.
    """
    permit = checked.candidate.permit if checked.candidate else None
    return permit is None or permit.licence != checked.sighting.licence


def has_changed(checked: Checked, headers: Mapping[str, str]) -> bool:
    """Whether the picture's headers tell that its bytes are others than those that were kept."""
    kept = checked.sighting.evidence.headers
    return any(name in kept and name in headers and kept[name] != headers[name] for name in _MARKS)


def _as_stated(sighting: Sighting) -> Candidate:
    """The item as its receipt has it, where nothing but the picture can be asked."""
    evidence = sighting.evidence
    stated = Statement(read_from=evidence.licence_read_from, text=evidence.licence_text)
    return Candidate(
        source=sighting.source,
        source_item_id=sighting.source_item_id,
        page_url=sighting.page_url,
        image_url=sighting.image_url,
        author=sighting.author,
        permit=None
        if is_embedded(evidence.licence_read_from)
        else Permit(licence=sighting.licence, statement=stated),
        version=evidence.version,
    )


def item_of(checked: Checked) -> Item:
    """What the frontier keeps of a receipt under check."""
    shown = checked.candidate or checked.sighting
    return Item(
        source_item_id=checked.sighting.source_item_id,
        url=shown.image_url,
        content=checked.model_dump(mode="json"),
        is_asked_again=True,
    )


def statements(checked: Checked) -> list[Statement]:
    """What the source says of the licence today."""
    permit = checked.candidate.permit if checked.candidate else None
    return [] if permit is None else [permit.statement]


def no_picture(checked: Checked, headers: Mapping[str, str]) -> Refusal | None:
    """Why an answer is no picture: its address may lead to a login page now."""
    stated = headers.get("content-type", "")
    media_type = stated.partition(";")[0].strip().lower()
    is_as_it_was = stated == checked.sighting.evidence.headers.get("content-type", "")
    if is_as_it_was or media_type in _NOT_STATED or media_type.startswith("image/"):
        return None
    return Refusal(
        reason=Reason.GONE, detail=f"Where the picture was, the server sends {media_type}."
    )
