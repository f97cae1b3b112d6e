import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cassettes import CASSETTES, exchanges
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawlers.items import Candidate
from crawlers.source import Answer, Ask, BusyError, Found
from crawlers.sources.commons import (
    Commons,
    CommonsStart,
    in_order,
    merge,
    page_key,
    plain,
    read_answer,
    read_page,
)
from crawlers.terms import Terms
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected

API = "https://commons.wikimedia.org/w/api.php"
RECORDINGS = CASSETTES.parent / "wikimedia_commons"


@pytest.fixture
def commons() -> Commons:
    return Commons(CommonsStart(search="selfie"), Terms())


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Path:
    return shared_data / "crawler/wikimedia_commons"


def asked(ask: Ask) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(ask.url).query).items()}


def answer(said: object, **headers: str) -> Answer:
    return Answer(url=API, headers=headers, body=json.dumps(said).encode())


def replay(source: Commons, answers: list[Any]) -> tuple[list[Found], list[Ask]]:
    """What is found while recorded answers are given in turn; and the asks they were given to.

    Every ask goes through JSON, as through the frontier.
    """
    (ask,) = source.begin()
    found: list[Found] = []
    asks = []
    for said in answers:
        asks.append(ask)
        kept = Ask.model_validate_json(ask.model_dump_json())
        brought = list(source.read(kept, answer(said)))
        found += [item for item in brought if not isinstance(item, Ask)]
        following = [item for item in brought if isinstance(item, Ask)]
        if not following:
            break
        (ask,) = following
    return found, asks


def as_pages(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """A recording is an answer, a page, or one imageinfo entry."""
    if "query" in recording:
        return list(recording["query"]["pages"].values())
    if "imageinfo" in recording or "title" in recording:
        return [recording]
    return [{"pageid": 1, "title": "File:A.jpg", "imageinfo": [recording]}]


def page_of(recorded: Path, name: str) -> dict[str, Any]:
    (page,) = as_pages(json.loads((recorded / name).read_text()))
    return page


def read(page: dict[str, Any], terms: Terms | None = None) -> Candidate | Rejected:
    return read_page(page, page_key(page), terms or Terms())


def info(**changes: object) -> dict[str, Any]:
    stated = {"LicenseUrl": {"value": "https://creativecommons.org/licenses/by/4.0"}}
    entry = {
        "url": "https://upload.example.org/A.jpg",
        "mime": "image/jpeg",
        "size": 1000,
        "width": 800,
        "height": 600,
        "extmetadata": stated,
        **changes,
    }
    return {"pageid": 7, "title": "File:A.jpg", "imageinfo": [entry]}


# --- what is asked ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "listing"),
    [
        (
            CommonsStart(search="selfie"),
            {"generator": "search", "gsrsearch": "selfie filetype:bitmap", "gsrlimit": "50"},
        ),
        (
            CommonsStart(category="Portraits", page_size=20),
            {"generator": "categorymembers", "gcmtitle": "Category:Portraits", "gcmlimit": "20"},
        ),
        (
            CommonsStart(user="Ada"),
            {"generator": "allimages", "gaiuser": "Ada", "gaisort": "timestamp"},
        ),
    ],
)
def test_the_question_names_all_that_a_receipt_needs(
    start: CommonsStart, listing: dict[str, str]
) -> None:
    (ask,) = Commons(start, Terms()).begin()
    assert ask.is_api
    assert asked(ask).items() >= listing.items()
    assert asked(ask).items() >= {"maxlag": "5", "formatversion": "2"}.items()
    assert set(asked(ask)["iiprop"].split("|")) == {
        "url", "size", "mime", "sha1", "extmetadata", "user",
    }  # fmt: skip


@pytest.mark.parametrize("ways", [{}, {"search": "a", "user": "b"}, {"category": "a", "user": "b"}])
def test_there_is_one_way_in(ways: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="only one of them"):
        CommonsStart(**ways)


# --- recorded answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted(RECORDINGS.rglob("*.json")), ids=lambda path: path.stem
)
def test_every_recording_is_candidates_or_rejections(path: Path) -> None:
    for page in as_pages(json.loads(path.read_text())):
        outcome = read(page)
        assert outcome.item_id == f"commons:{page_key(page)}"
        if isinstance(outcome, Rejected):
            assert outcome.detail.endswith(".")
            assert outcome.step == "crawl"


@pytest.mark.parametrize(
    "path", sorted(RECORDINGS.rglob("*.json")), ids=lambda path: path.stem
)
def test_every_recording_is_an_answer_or_refused_in_a_sentence(
    commons: Commons, path: Path
) -> None:
    (ask,) = commons.begin()
    recording = json.loads(path.read_text())
    if "query" in recording:
        assert list(commons.read(ask, answer(recording)))
    else:
        with pytest.raises(UnavailableError, match=r"answered no list of pages: .*\.$"):
            list(commons.read(ask, answer(recording)))


@pytest.mark.parametrize("cassette", sorted(CASSETTES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_recorded_exchange_is_read_or_refused_in_a_sentence(
    commons: Commons, cassette: Path
) -> None:
    asks = [*commons.begin(), commons.recheck("1", "", "")]
    for exchange in exchanges(cassette):
        for ask in asks:
            try:
                found = list(commons.read(ask, exchange.answer))
            except UnavailableError as error:
                assert str(error).startswith(API)
            else:
                assert "commons.wikimedia.org" in exchange.url
                assert all(item.detail for item in found if isinstance(item, Rejected))


def test_recorded_refusals_of_the_api_keep_its_words(commons: Commons) -> None:
    said = {
        "error": {"code": "invalidtitle", "info": 'Bad title "File:.".', "docref": "See help."},
        "servedby": "mw1415",
    }
    with pytest.raises(UnavailableError, match=r'invalidtitle: Bad title "File:\.'):
        list(commons.read(commons.begin()[0], answer(said)))


def test_a_recorded_page_gives_its_receipt(recorded: Path) -> None:
    candidate = read(page_of(recorded, "image_data_example.json"))
    assert isinstance(candidate, Candidate)
    assert candidate.item_id == "commons:81754323"
    assert candidate.author == "PtrQs"
    assert candidate.page_url.startswith("https://commons.wikimedia.org/wiki/File:20120925")
    assert candidate.permit is not None
    assert candidate.permit.licence.code == "CC-BY-SA"
    assert candidate.permit.statement.read_from == "extmetadata.LicenseUrl"


def test_without_a_licence_address_the_short_name_speaks(recorded: Path) -> None:
    candidate = read(page_of(recorded, "image_info_missing_license_url.json"))
    assert isinstance(candidate, Candidate)
    assert candidate.permit is not None
    assert candidate.permit.statement.read_from == "extmetadata.LicenseShortName"


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("image_data_missing_image_url.json", Reason.NOT_AN_IMAGE, "neither id nor title"),
        ("image_data_missing_foreign_url.json", Reason.NOT_AN_IMAGE, "neither id nor title"),
        ("image_data_minimal.json", Reason.NOT_AN_IMAGE, "neither id nor title"),
        ("image_data_missing_imageinfo.json", Reason.NOT_AN_IMAGE, "names no picture file"),
        ("response_small_missing_continue.json", Reason.NOT_AN_IMAGE, "names no picture file"),
        ("image_info_html_description.json", Reason.NOT_AN_IMAGE, "names no picture file"),
        ("audio_filedata_ogg.json", Reason.LICENCE_MISSING, "No licence"),
        ("audio_filedata_wav.json", Reason.LICENCE_MISSING, "No licence"),
    ],
)
def test_recorded_pages_that_are_rejected(
    recorded: Path, name: str, reason: Reason, detail: str
) -> None:
    outcome = read(page_of(recorded, name))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason
    assert detail in outcome.detail


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
    stated = json.loads((recorded / name).read_text())["extmetadata"]
    page = info(extmetadata={**info()["imageinfo"][0]["extmetadata"], **stated})
    candidate = read(page)
    assert isinstance(candidate, Candidate)
    assert candidate.author == author


# --- continuation -----------------------------------------------------------------------------


def test_a_recorded_chain_gives_what_its_merged_whole_gives(
    recorded: Path, commons: Commons
) -> None:
    def said(name: str) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads((recorded / f"continuation/{name}.json").read_text())
        return whole

    chain = [said(f"wmc_pretty{n}") for n in (1, 2, 3, 4)]
    found, asks = replay(commons, [*chain, {"batchcomplete": True}])
    merged = [
        read(page)
        for name in ("wmc_pretty123", "wmc_pretty4")
        for page in in_order(said(name)["query"]["pages"])
    ]
    assert found == merged
    assert len(found) == 9 + 50
    assert sum(isinstance(item, Candidate) for item in found) > 50
    continued = [set(asked(ask)) & {"gucontinue", "gaicontinue"} for ask in asks]
    assert continued == [set(), {"gucontinue"}, {"gucontinue"}, {"gaicontinue"}, {"gaicontinue"}]
    assert [len(ask.carried.get("batch", {})) for ask in asks] == [0, 9, 9, 0, 0]


def test_halves_of_an_answer_are_merged_as_recorded(recorded: Path) -> None:
    def pages(name: str) -> dict[str, Any]:
        said = json.loads((recorded / f"continuation/{name}.json").read_text())
        return said["query"]["pages"]  # type: ignore[no-any-return]

    merged: dict[str, Any] = {}
    for number, whole in ((1, "wmc_pretty1"), (2, "wmc_pretty1plus2"), (3, "wmc_pretty123")):
        merged = merge(merged, tuple(pages(f"wmc_pretty{number}").values()))
        assert merged == pages(whole)


@pytest.mark.parametrize("number", [44672185, 44672210, 44672212])
def test_halves_of_a_page_are_merged(recorded: Path, number: int) -> None:
    left, right = (
        json.loads((recorded / f"continuation/page_{number}_{side}.json").read_text())
        for side in ("left", "right")
    )
    (whole,) = merge(merge({}, (left,)), (right,)).values()
    assert whole["globalusage"] == left["globalusage"] + right["globalusage"]
    assert read(whole) == read(left)
    if number == 44672212:
        merged = recorded / f"continuation/page_{number}_merged.json"
        assert whole == json.loads(merged.read_text())


def test_older_versions_do_not_replace_the_current_one(commons: Commons) -> None:
    # Where a batch holds a single file, MediaWiki continues with its history.
    older = info(url="https://upload.example.org/archive/A.jpg", sha1="0" * 40)
    history = {"continue": {"iistart": "2020", "continue": "||"}, "query": {"pages": [info()]}}
    found, asks = replay(commons, [history, {"batchcomplete": True, "query": {"pages": [older]}}])
    assert found == [read(info())]
    assert asked(asks[1])["iistart"] == "2020"


@pytest.mark.parametrize(
    ("name", "continuation"),
    [
        ("response_large_0.json", {"continue": "gaicontinue||", "gaicontinue": "next.jpg"}),
        ("response_large_1.json", {}),
        ("response_small_missing_continue.json", {}),
        ("response_small_no_continue.json", {}),
        (
            "response_small_with_continue.json",
            {"continue": "gaicontinue||", "gaicontinue": "next.jpg"},
        ),
        (
            "response_small_with_continue_2.json",
            {"continue": "gaicontinue||", "gaicontinue": "next2jpg"},
        ),
    ],
)
def test_recorded_continuations_are_followed(
    recorded: Path, name: str, continuation: dict[str, str]
) -> None:
    said = read_answer(Answer(url=API, body=(recorded / name).read_bytes()), API)
    assert said.continuation == continuation
    assert said.is_batch_complete


def test_a_listing_that_continues_where_it_began_is_left(commons: Commons) -> None:
    circle = {"batchcomplete": True, "continue": {"gsroffset": 50, "continue": "gsroffset||"}}
    with pytest.raises(UnavailableError, match="where it began"):
        replay(commons, [circle, circle])


def test_an_empty_listing_ends(commons: Commons) -> None:
    assert replay(commons, [{"batchcomplete": True}])[0] == []


def test_both_formatversions_are_read() -> None:
    page = {"pageid": 3, "title": "File:A.jpg"}
    first = {"batchcomplete": "", "query": {"pages": {"3": page}}}
    second = {"batchcomplete": True, "query": {"pages": [page]}}
    half = {"continue": {"iistart": "x", "continue": "||"}, "query": {"pages": [page]}}
    assert read_answer(answer(first), API) == read_answer(answer(second), API)
    assert not read_answer(answer(half), API).is_batch_complete


def test_pages_follow_the_listing() -> None:
    pages = ({"pageid": 9, "index": 1}, {"pageid": 2, "index": 3}, {"pageid": 5, "index": 2})
    assert [page["pageid"] for page in in_order(merge({}, pages))] == [9, 5, 2]


# --- "later" and "no" -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["maxlag", "ratelimited", "readonly"])
def test_a_busy_wiki_is_asked_again_when_it_says(commons: Commons, code: str) -> None:
    lag = {"error": {"code": code, "info": "Waiting for db1: 6.5 seconds lagged.", "lag": 6.5}}
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for header, least_s, most_s in (({}, 5, 5), ({"retry-after": "7"}, 7, 7)):
        with pytest.raises(BusyError, match=code) as busy:
            list(commons.read(commons.begin()[0], answer(lag, **header)))
        assert least_s <= busy.value.wait_s <= most_s
    with pytest.raises(BusyError) as busy:
        list(commons.read(commons.begin()[0], answer(lag, **{"retry-after": date})))
    assert 60 < busy.value.wait_s <= 90


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe", b"[" * 100_000, b"{}"])
def test_what_is_no_answer_is_said_so(commons: Commons, body: bytes) -> None:
    with pytest.raises(UnavailableError, match=r"answered .*\.$"):
        list(commons.read(commons.begin()[0], Answer(url=API, body=body)))


# --- what a page says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mime": "image/svg+xml"}, Reason.NOT_AN_IMAGE),
        ({"mime": "image/gif"}, Reason.NOT_AN_IMAGE),
        ({"mime": "image/tiff"}, Reason.NOT_AN_IMAGE),
        ({"url": "ftp://example.org/a.jpg"}, Reason.NOT_AN_IMAGE),
        ({"size": 10**12}, Reason.TOO_LARGE),
        ({"width": 60000, "height": 60000}, Reason.DECOMPRESSION_BOMB),
        ({"width": 100}, Reason.TOO_SMALL),
        ({"width": "wide"}, Reason.NOT_AN_IMAGE),
        ({"filehidden": True}, Reason.GONE),
        ({"filemissing": True}, Reason.GONE),
        ({"extmetadata": {}}, Reason.LICENCE_MISSING),
        ({"extmetadata": []}, Reason.LICENCE_MISSING),
        ({"extmetadata": {"UsageTerms": {"value": "Ask me"}}}, Reason.LICENCE_UNKNOWN),
        ({"extmetadata": {"UsageTerms": {"value": {"en": "CC0"}}}}, Reason.LICENCE_UNKNOWN),
        ({"extmetadata": {"LicenseShortName": {"value": "CC BY-ND 2.0"}}}, Reason.NO_DERIVATIVES),
        ({"extmetadata": {"Categories": {"value": "Ada|No AI training"}}}, Reason.OPT_OUT_TAG),
        ({"extmetadata": {"Restrictions": {"value": "personality|noai"}}}, Reason.OPT_OUT_TAG),
    ],
)
def test_what_the_api_tells_is_judged_before_a_byte(
    changes: dict[str, object], reason: Reason
) -> None:
    outcome = read(info(**changes))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason
    assert outcome.item_id == "commons:7"


def test_personality_rights_only_inform() -> None:
    stated = {
        **info()["imageinfo"][0]["extmetadata"],
        "Restrictions": {"value": "personality"},
        "Categories": {"value": "Personality rights warning|Portraits"},
    }
    assert isinstance(read(info(extmetadata=stated, sha1="ab" * 20)), Candidate)


def test_the_promised_sha1_is_kept() -> None:
    candidate = read(info(sha1="ab" * 20))
    assert isinstance(candidate, Candidate)
    assert candidate.sha1 == "ab" * 20


def test_noncommercial_is_refused_for_commercial_use() -> None:
    page = info(extmetadata={"LicenseShortName": {"value": "CC BY-NC 2.0"}})
    assert isinstance(read(page), Candidate)
    outcome = read(page, Terms(intended_use="commercial"))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NON_COMMERCIAL


def test_styles_are_no_words() -> None:
    assert plain("<style>.a {color: red}</style><span>Ada</span>\n Lovelace") == "Ada Lovelace"


# --- the same item again ----------------------------------------------------------------------


def test_a_recheck_asks_for_the_same_properties(commons: Commons) -> None:
    listing = asked(commons.begin()[0])
    ask = commons.recheck("7", "", "")
    assert (ask.kind, ask.is_api) == ("page", True)
    assert asked(ask)["pageids"] == "7"
    assert {name: listing[name] for name in ("prop", "iiprop")}.items() <= asked(ask).items()
    assert asked(commons.recheck("File:A.jpg", "", ""))["titles"] == "File:A.jpg"


def test_a_recheck_reads_the_current_version_alone(commons: Commons) -> None:
    ask = commons.recheck("7", "", "")
    said = {"continue": {"iistart": "2020", "continue": "||"}, "query": {"pages": [info()]}}
    assert list(commons.read(ask, answer(said))) == [read(info())]


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([{"pageid": 7, "missing": True}], Reason.GONE),
        ({"7": {"pageid": 7, "missing": ""}}, Reason.GONE),
        ([info(filemissing=True)], Reason.GONE),
        ([info(extmetadata={"LicenseShortName": {"value": "CC BY-ND 2.0"}})], Reason.NO_DERIVATIVES),
        ([], Reason.HTTP_ERROR),
    ],
)
def test_a_recheck_tells_what_became_of_an_item(
    commons: Commons, pages: object, reason: Reason
) -> None:
    ask = commons.recheck("7", "", "")
    (outcome,) = commons.read(ask, answer({"batchcomplete": True, "query": {"pages": pages}}))
    assert isinstance(outcome, Rejected)
    assert (outcome.item_id, outcome.reason) == ("commons:7", reason)


def test_the_file_of_another_wiki_is_not_gone(commons: Commons) -> None:
    foreign = info() | {"missing": True, "known": True, "imagerepository": "shared"}
    del foreign["pageid"]
    outcome = read(foreign)
    assert isinstance(outcome, Candidate)
    assert outcome.source_item_id == "File:A.jpg"


# --- whatever is answered ---------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
entries = st.dictionaries(
    st.sampled_from(["url", "mime", "size", "width", "extmetadata", "sha1", "user"]), values
)
pages = st.dictionaries(
    st.sampled_from(["pageid", "title", "index", "imageinfo", "missing"]),
    values | st.lists(entries, max_size=2),
)


@given(entries)
def test_no_imageinfo_raises(entry: dict[str, Any]) -> None:
    assert isinstance(read({"pageid": 1, "imageinfo": [entry]}), Candidate | Rejected)


@given(
    st.dictionaries(
        st.sampled_from(["query", "continue", "batchcomplete", "error"]),
        values | st.fixed_dictionaries({"pages": st.lists(pages, max_size=3)}),
    )
)
def test_no_answer_raises_anything_else(said: dict[str, Any]) -> None:
    commons = Commons(CommonsStart(search="a"), Terms())
    for ask in (*commons.begin(), commons.recheck("1", "", "")):
        try:
            found = list(commons.read(ask, answer(said)))
        except (BusyError, UnavailableError):
            continue
        assert all(isinstance(item, Ask | Candidate | Rejected) for item in found)
