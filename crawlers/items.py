"""What a source yields before it is a record: a candidate, a fetched picture, a refusal."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from crawlers.text import clean
from mirrorset.catalogue.frontier import Entry
from mirrorset.licences import CONSENT, normalise, refusal
from mirrorset.masking import masked
from mirrorset.records import AgeBand, IntendedUse, Licence, Reason, Record, Rejected, Tone

logger = logging.getLogger(__name__)

# From the most to the least restrictive.
_TERMS = ("ND", "NC", "NKC", "SA", "BY")


class Refusal(Record):
    """Why an item is not taken. detail: one sentence. is_retryable: another day may differ."""

    reason: Reason
    detail: str
    is_retryable: bool = False


class RefusedError(Exception):
    """Carries a refusal through Scrapy to the request's errback."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class Statement(Record):
    """Words about a licence, and where they stood ("extmetadata.LicenseUrl")."""

    read_from: str
    text: str


class Permit(Record):
    """A licence that allows the intended use, and the statement it was read from."""

    licence: Licence
    statement: Statement


class Candidate(Record):
    """An item that may be fetched.

    permit: None where the page is silent and the file itself may name its licence.
    sha1: hex digest that the source promises, or "". version: the source's own mark of the item's
    state, or "": while it stays the same, nothing is asked again. subject_ids, age_band, tone: what
    the source says of the people shown, as in `Sighting`.
    """

    source: str
    source_item_id: str
    page_url: str
    image_url: str
    author: str = ""
    permit: Permit | None
    sha1: str = ""
    version: str = ""
    subject_ids: tuple[str, ...] = ()
    age_band: AgeBand | None = None
    tone: Tone | None = None

    @property
    def item_id(self) -> str:
        """The key under which it is settled, rejected and known."""
        return item_id(self.source, self.source_item_id)


@dataclass(frozen=True)
class Picture:
    """A candidate's original bytes as received, and what the answer said with them.

    host_files: what the host says of its use, as read: name → sha256 or status.
    """

    candidate: Candidate
    content: bytes = field(repr=False)
    headers: dict[str, str]
    host_files: dict[str, str]


@dataclass(frozen=True)
class Unchanged:
    """A candidate whose bytes are as an earlier run kept them (304)."""

    candidate: Candidate


@dataclass(frozen=True)
class Settled:
    """What an item came to: an outcome to count, and the records to keep."""

    entry: Entry
    outcome: str
    records: tuple[Record, ...] = ()


def item_id(source: str, source_item_id: str) -> str:
    """The key of an item over all sources."""
    return f"{source}:{source_item_id}"


def rejected(source: str, source_item_id: str, image_url: str, refusal: Refusal) -> Rejected:
    """The record of a refused item."""
    return Rejected(
        item_id=item_id(source, source_item_id),
        step="crawl",
        reason=refusal.reason,
        detail=masked(clean(refusal.detail)),
        image_url=image_url,
        is_retryable=refusal.is_retryable,
    )


def unreadable(error: Exception) -> Refusal:
    """The refusal of an item that we failed to read; the log says where."""
    logger.error("An item could not be read.", exc_info=error)
    words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return Refusal(reason=Reason.NOT_AN_IMAGE, detail=f"It could not be read: {words}.")


def judge(statements: Sequence[Statement], intended_use: IntendedUse) -> Permit | Refusal:
    """The permit that equally ranking statements give together: the most restrictive of them.

    Doubt excludes: one statement that is no known licence, or forbids the use, refuses the item.
    """
    stated = [statement for statement in statements if statement.text.strip()]
    if not stated:
        return Refusal(reason=Reason.LICENCE_MISSING, detail="No licence is stated.")
    permits: list[Permit] = []
    for statement in stated:
        licence = normalise(statement.text)
        if licence is None or not _may_be_stated_so(licence, statement):
            words = " ".join(statement.text.split())[:200]
            return Refusal(
                reason=Reason.LICENCE_UNKNOWN,
                detail=f"A stated licence is not one we know: “{words}” ({statement.read_from}).",
            )
        permits.append(Permit(licence=licence, statement=statement))
    strictest = max(permits, key=_restrictions)
    if reason := refusal(strictest.licence, intended_use):
        return Refusal(
            reason=reason,
            detail=f"{strictest.licence.code} does not allow {intended_use} use with crops "
            f"({strictest.statement.read_from}).",
        )
    return strictest


def _may_be_stated_so(licence: Licence, statement: Statement) -> bool:
    """Consent is stated by a consent id of one's own, never by a stranger's page."""
    return licence != CONSENT or "consent_id=" in statement.read_from


def _restrictions(permit: Permit) -> tuple[bool, ...]:
    terms = permit.licence.code.split("-")
    return tuple(term in terms for term in _TERMS)
