import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.items import Candidate
from crawlers.order import CommonsStart, CrawlOrder
from crawlers.spiders.commons import (
    in_order,
    merge,
    page_key,
    plain,
    query,
    read_answer,
    read_page,
)
from mirrorset.records import Reason, Rejected


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Path:
    return shared_data / "crawler/wikimedia_commons"


def as_pages(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """A recording is an answer, a page, or one imageinfo entry."""
    if "query" in recording or "batchcomplete" in recording:
        return read_answer(json.dumps(recording).encode()).pages
    if "imageinfo" in recording or "title" in recording:
        return [recording]
    return [{"pageid": 1, "title": "File:A.jpg", "imageinfo": [recording]}]


def test_every_recorded_answer_is_a_candidate_or_rejected(
    recorded: Path, order: CrawlOrder
) -> None:
    outcomes = {
        (path.name, n): read_page(page, order)
        for path in sorted(recorded.rglob("*.json"))
        for n, page in enumerate(as_pages(json.loads(path.read_text())))
    }
    assert len(outcomes) >= 22
    taken = {name for (name, _), outcome in outcomes.items() if isinstance(outcome, Candidate)}
    assert taken >= {"image_data_example.json", "response_large_0.json", "response_large_1.json"}
    for outcome in outcomes.values():
        if isinstance(outcome, Rejected):
            assert outcome.detail
            assert outcome.item_id.startswith("commons:")


def page_of(recorded: Path, name: str) -> dict[str, Any]:
    (page,) = as_pages(json.loads((recorded / name).read_text()))
    return page


def test_a_recorded_page_gives_its_receipt(recorded: Path, order: CrawlOrder) -> None:
    candidate = read_page(page_of(recorded, "image_data_example.json"), order)
    assert isinstance(candidate, Candidate)
    assert candidate.item_id == "commons:81754323"
    assert candidate.author == "PtrQs"
    assert candidate.page_url.startswith("https://commons.wikimedia.org/wiki/File:20120925")
    assert candidate.permit is not None
    assert candidate.permit.licence.code == "CC-BY-SA"
    assert candidate.permit.statement.read_from == "extmetadata.LicenseUrl"


def test_without_a_licence_address_the_short_name_speaks(recorded: Path, order: CrawlOrder) -> None:
    candidate = read_page(page_of(recorded, "image_info_missing_license_url.json"), order)
    assert isinstance(candidate, Candidate)
    assert candidate.permit is not None
    assert candidate.permit.statement.read_from == "extmetadata.LicenseShortName"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("image_data_missing_image_url.json", Reason.NOT_AN_IMAGE),
        ("image_data_missing_imageinfo.json", Reason.NOT_AN_IMAGE),
        ("audio_filedata_ogg.json", Reason.LICENCE_MISSING),
    ],
)
def test_recorded_pages_that_are_rejected(
    recorded: Path, order: CrawlOrder, name: str, reason: Reason
) -> None:
    outcome = read_page(page_of(recorded, name), order)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason


@pytest.mark.parametrize(
    ("name", "author"),
    [
        ("image_info_artist_div.json", "Jona Lendering"),
        ("image_info_artist_internal_link.json", "NotaRealUser"),
        ("image_info_artist_link.json", "link text"),
        ("image_info_artist_partial_link.json", "Jeff & Brian from Eastbourne"),
        ("image_info_artist_string.json", "Artist Name"),
    ],
)
def test_the_artist_is_read_as_words(recorded: Path, name: str, author: str) -> None:
    recording = json.loads((recorded / name).read_text())
    assert plain(recording["extmetadata"]["Artist"]["value"]) == author


def info(**changes: object) -> dict[str, Any]:
    stated = {"LicenseUrl": {"value": "https://creativecommons.org/licenses/by/4.0"}}
    return {
        "pageid": 7,
        "title": "File:A.jpg",
        "imageinfo": [
            {
                "url": "https://upload.example.org/A.jpg",
                "mime": "image/jpeg",
                "size": 1000,
                "width": 800,
                "height": 600,
                "extmetadata": stated,
                **changes,
            }
        ],
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mime": "image/svg+xml"}, Reason.NOT_AN_IMAGE),
        ({"url": "ftp://example.org/a.jpg"}, Reason.NOT_AN_IMAGE),
        ({"size": 10**12}, Reason.TOO_LARGE),
        ({"width": 60000, "height": 60000}, Reason.DECOMPRESSION_BOMB),
        ({"width": 100}, Reason.TOO_SMALL),
        ({"width": "wide"}, Reason.NOT_AN_IMAGE),
        ({"extmetadata": {}}, Reason.LICENCE_MISSING),
        ({"extmetadata": {"UsageTerms": {"value": "Ask me"}}}, Reason.LICENCE_UNKNOWN),
        ({"extmetadata": {"LicenseShortName": {"value": "CC BY-ND 2.0"}}}, Reason.NO_DERIVATIVES),
    ],
)
def test_what_the_api_tells_is_judged_before_a_byte(
    order: CrawlOrder, changes: dict[str, object], reason: Reason
) -> None:
    outcome = read_page(info(**changes), order)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason
    assert outcome.item_id == "commons:7"


def test_noncommercial_is_refused_for_commercial_use(order: CrawlOrder) -> None:
    stated = {"LicenseShortName": {"value": "CC BY-NC 2.0"}}
    commercial = order.model_copy(update={"intended_use": "commercial"})
    assert isinstance(read_page(info(extmetadata=stated), order), Candidate)
    outcome = read_page(info(extmetadata=stated), commercial)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NON_COMMERCIAL


@pytest.mark.parametrize(
    ("name", "continuation"),
    [
        ("response_large_0.json", {"continue": "gaicontinue||", "gaicontinue": "next.jpg"}),
        ("response_large_1.json", {}),
        ("response_small_missing_continue.json", {}),
        ("response_small_no_continue.json", {}),
        (
            "response_small_with_continue_2.json",
            {"continue": "gaicontinue||", "gaicontinue": "next2jpg"},
        ),
    ],
)
def test_recorded_continuations_are_followed(
    recorded: Path, name: str, continuation: dict[str, str]
) -> None:
    answer = read_answer((recorded / name).read_bytes())
    assert answer.continuation == continuation
    assert answer.is_batch_complete


def test_halves_of_a_page_are_merged(recorded: Path, order: CrawlOrder) -> None:
    for number in ("44672185", "44672210"):
        halves = [
            json.loads((recorded / f"continuation/page_{number}_{side}.json").read_text())
            for side in ("left", "right")
        ]
        (whole,) = merge(merge({}, halves[:1]), halves[1:]).values()
        assert set(whole) == set(halves[0]) | set(halves[1])
        assert isinstance(read_page(whole, order), Candidate)


def test_both_formatversions_are_read() -> None:
    page = {"pageid": 3, "title": "File:A.jpg"}
    first = {"batchcomplete": "", "query": {"pages": {"3": page}}}
    second = {"batchcomplete": True, "query": {"pages": [page]}}
    half = {"continue": {"iistart": "x", "continue": "||"}, "query": {"pages": [page]}}
    assert read_answer(json.dumps(first).encode()) == read_answer(json.dumps(second).encode())
    assert not read_answer(json.dumps(half).encode()).is_batch_complete


def test_an_error_is_an_answer_too() -> None:
    body = {"error": {"code": "maxlag", "info": "Waiting for db1", "lag": 6.5}}
    answer = read_answer(json.dumps(body).encode())
    assert (answer.error_code, answer.error_info, answer.pages) == ("maxlag", "Waiting for db1", [])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe"])
def test_what_is_no_answer_is_said_so(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(body)


def test_pages_follow_the_listing() -> None:
    pages = [{"pageid": 9, "index": 1}, {"pageid": 2, "index": 3}, {"pageid": 5, "index": 2}]
    assert [page["pageid"] for page in in_order(merge({}, pages))] == [9, 5, 2]


def test_the_question_names_all_that_a_receipt_needs() -> None:
    asked = query(CommonsStart(category="Portraits", page_size=20))
    assert asked["gcmtitle"] == "Category:Portraits"
    assert set(asked["iiprop"].split("|")) == {
        "url", "size", "mime", "sha1", "extmetadata", "user",
    }  # fmt: skip
    assert query(CommonsStart(search="selfie"))["gsrnamespace"] == "6"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["url", "mime", "size", "width", "extmetadata", "sha1", "user"]), values
    )
)
def test_no_imageinfo_raises(entry: dict[str, Any]) -> None:
    order = CrawlOrder(
        start=CommonsStart(search="a"),
        intended_use="research",
        blobs_url="memory://",
        spool=Path("spool"),
        log=Path("log"),
        contact="a@example.org",
    )
    page = {"pageid": 1, "imageinfo": [entry]}
    assert page_key(page) == "1"
    assert isinstance(read_page(page, order), Candidate | Rejected)
