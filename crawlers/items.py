"""What a source yields before it is a record: a candidate, a fetched picture, a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mirrorset.licences import normalise, refusal
from mirrorset.records import IntendedUse, Licence, Reason, Record, Rejected


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
    sha1: hex digest that the source promises, or "".
    """

    source: str
    source_item_id: str
    page_url: str
    image_url: str
    author: str = ""
    permit: Permit | None
    sha1: str = ""

    @property
    def item_id(self) -> str:
        """The key under which it is settled, rejected and known."""
        return item_id(self.source, self.source_item_id)


@dataclass(frozen=True)
class Picture:
    """A candidate's original bytes as received, and what the answer said with them."""

    candidate: Candidate
    content: bytes = field(repr=False)
    headers: dict[str, str]
    robots_sha256: str


def item_id(source: str, source_item_id: str) -> str:
    """The key of an item over all sources."""
    return f"{source}:{source_item_id}"


def rejected(source: str, source_item_id: str, image_url: str, refusal: Refusal) -> Rejected:
    """The record of a refused item."""
    return Rejected(
        item_id=item_id(source, source_item_id),
        step="crawl",
        reason=refusal.reason,
        detail=refusal.detail,
        image_url=image_url,
        is_retryable=refusal.is_retryable,
    )


def judge(statements: Sequence[Statement], intended_use: IntendedUse) -> Permit | Refusal:
    """The permit that equally ranking statements give together.

    The first known licence is kept; a stated licence that forbids the use outweighs the others.
    """
    stated = [statement for statement in statements if statement.text.strip()]
    if not stated:
        return Refusal(reason=Reason.LICENCE_MISSING, detail="No licence is stated.")
    permits = [
        Permit(licence=licence, statement=statement)
        for statement in stated
        if (licence := normalise(statement.text))
    ]
    for permit in permits:
        if reason := refusal(permit.licence, intended_use):
            return Refusal(
                reason=reason,
                detail=f"{permit.licence.code} does not allow {intended_use} use with crops "
                f"({permit.statement.read_from}).",
            )
    if not permits:
        words = " ".join(stated[0].text.split())[:200]
        return Refusal(
            reason=Reason.LICENCE_UNKNOWN,
            detail=f"The stated licence is not one we know: “{words}” ({stated[0].read_from}).",
        )
    return permits[0]
