"""The verdict on a receipt: what a source says today against what was kept."""

from datetime import UTC, datetime, timedelta

import pytest

from crawlers.items import Candidate, Permit, Refusal, Statement
from crawlers.recheck import (
    RELEASED,
    RENEWED,
    STILL_QUARANTINED,
    UNREACHABLE,
    VERIFIED,
    Checked,
    has_changed,
    held,
    needs_bytes,
    no_picture,
    refused,
    renewed,
)
from mirrorset.catalogue.frontier import Entry, Kind
from mirrorset.licences import normalise
from mirrorset.records import Evidence, Quarantine, Reason, Sighting, Verification

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=40)
MONTH = timedelta(days=30)
ENTRY = Entry("item:a", Kind.ITEM, "http://h.org/a.jpg", {})


def permit(text: str) -> Permit:
    licence = normalise(text)
    assert licence is not None
    return Permit(licence=licence, statement=Statement(read_from="rel=license", text=text))


def seen(text: str = "CC BY 4.0", **headers: str) -> Sighting:
    return Sighting(
        image_id="ab" * 32,
        source="gallery",
        source_item_id="a",
        page_url="http://h.org/a.html",
        image_url="http://h.org/a.jpg",
        licence=permit(text).licence,
        evidence=Evidence(
            licence_read_from="rel=license",
            licence_text=text,
            version="v1",
            headers=headers,
            crawler="mirrorset/0",
        ),
        seen_at=NOON,
    )


def now(sighting: Sighting, today: str = "") -> Checked:
    """The receipt, and the item as its source shows it today; "": silent on the licence."""
    candidate = Candidate(
        source="gallery",
        source_item_id="a",
        page_url=sighting.page_url,
        image_url=sighting.image_url,
        permit=permit(today) if today else None,
    )
    return Checked(sighting=sighting, candidate=candidate)


QUARANTINE = Quarantine(
    image_id="ab" * 32,
    source="gallery",
    source_item_id="a",
    reason=Reason.GONE,
    detail="The server answered 404.",
    since=NOON,
    expires_at=NOON + MONTH,
)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal(reason=Reason.NO_DERIVATIVES, detail="d"), Reason.NO_DERIVATIVES),
        (Refusal(reason=Reason.LICENCE_UNKNOWN, detail="d"), Reason.LICENCE_UNKNOWN),
        (Refusal(reason=Reason.OPT_OUT_TAG, detail="d"), Reason.OPT_OUT_TAG),
        (Refusal(reason=Reason.ROBOTS, detail="d"), Reason.ROBOTS),
        (Refusal(reason=Reason.HTTP_ERROR, detail="d"), Reason.GONE),
        (Refusal(reason=Reason.NOT_AN_IMAGE, detail="d"), Reason.GONE),
        (Refusal(reason=Reason.HTTP_ERROR, detail="d", is_retryable=True), None),
        (Refusal(reason=Reason.ROBOTS, detail="d", is_retryable=True), None),
        (Refusal(reason=Reason.FORBIDDEN_ADDRESS, detail="d"), None),
        (Refusal(reason=Reason.TOO_LARGE, detail="d"), None),
    ],
)
def test_only_a_lasting_refusal_of_the_use_quarantines(
    refusal: Refusal, reason: Reason | None
) -> None:
    settled = refused(ENTRY, now(seen()), refusal, LATER, MONTH)
    if reason is None:
        assert (settled.outcome, settled.records) == (UNREACHABLE, ())
        return
    assert settled.outcome == reason
    (record,) = settled.records
    assert record == Quarantine(
        image_id="ab" * 32,
        source="gallery",
        source_item_id="a",
        reason=reason,
        detail="d",
        since=LATER,
        expires_at=LATER + MONTH,
    )


def test_a_second_refusal_tells_why_and_prolongs_nothing() -> None:
    checked = now(seen()).model_copy(update={"quarantine": QUARANTINE})
    refusal = Refusal(reason=Reason.NO_DERIVATIVES, detail="CC-BY-ND.")
    settled = refused(ENTRY, checked, refusal, LATER, MONTH)
    assert settled.outcome == STILL_QUARANTINED
    why = {"reason": Reason.NO_DERIVATIVES, "detail": "CC-BY-ND."}
    assert settled.records == (QUARANTINE.model_copy(update=why),)


def test_a_receipt_that_holds_gets_its_time_and_ends_a_quarantine() -> None:
    checked = now(seen(), "CC BY 4.0")
    settled = held(ENTRY, checked, checked.sighting, LATER)
    time = Verification(image_id="ab" * 32, source="gallery", source_item_id="a", verified_at=LATER)
    assert (settled.outcome, settled.records) == (VERIFIED, (time,))
    waiting = checked.model_copy(update={"quarantine": QUARANTINE})
    settled = held(ENTRY, waiting, checked.sighting, LATER)
    ended = QUARANTINE.model_copy(update={"released_at": LATER})
    assert (settled.outcome, settled.records) == (RELEASED, (time, ended))


def test_another_licence_makes_a_new_receipt_that_remembers_the_bytes() -> None:
    before = seen("CC BY 4.0", etag='"1"', server="old")
    headers = {"etag": '"2"', "last-modified": "now", "content-type": "image/jpeg"}
    hosts = {"robots.txt": "f" * 64}
    same = renewed(
        before, permit("https://creativecommons.org/licenses/by/4.0/"), "m", LATER, headers, hosts
    )
    assert same == before
    after = renewed(before, permit("CC BY-SA 4.0"), "mirrorset/1", LATER, headers, hosts)
    assert after.licence.code == "CC-BY-SA"
    assert after.seen_at == LATER
    assert after.evidence == Evidence(
        licence_read_from="rel=license",
        licence_text="CC BY-SA 4.0",
        version="v1",
        host_files=hosts,
        headers={"etag": '"1"', "content-type": "image/jpeg"},
        crawler="mirrorset/1",
    )
    assert held(ENTRY, now(before), after, LATER).outcome == RENEWED


@pytest.mark.parametrize(
    ("today", "is_asked_for"), [("CC BY 4.0", False), ("CC BY-SA 4.0", True), ("", True)]
)
def test_the_file_is_asked_where_its_source_is_silent_or_says_something_new(
    today: str, is_asked_for: bool
) -> None:
    assert needs_bytes(now(seen(), today)) == is_asked_for


@pytest.mark.parametrize(
    ("kept", "headers", "is_other"),
    [
        ({"etag": "1"}, {"etag": "1"}, False),
        ({"etag": "1"}, {"etag": "2"}, True),
        ({"etag": "1"}, {}, False),
        ({}, {"etag": "1"}, False),
        ({"etag": "1", "content-length": "7"}, {"etag": "1", "content-length": "8"}, True),
    ],
)
def test_headers_tell_other_bytes(
    kept: dict[str, str], headers: dict[str, str], is_other: bool
) -> None:
    assert has_changed(now(seen(**kept)), headers) == is_other


@pytest.mark.parametrize(
    ("kept", "media_type", "is_gone"),
    [
        ("image/jpeg", "image/webp", False),
        ("image/jpeg", "text/html; charset=utf-8", True),
        ("text/plain", "text/plain", False),
        ("", "application/octet-stream", False),
        ("image/jpeg", "", False),
    ],
)
def test_a_page_is_no_picture(kept: str, media_type: str, is_gone: bool) -> None:
    checked = now(seen(**({"content-type": kept} if kept else {})))
    refusal = no_picture(checked, {"content-type": media_type} if media_type else {})
    assert (refusal is not None) == is_gone
