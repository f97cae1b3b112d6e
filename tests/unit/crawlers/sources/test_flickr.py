import json
import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cassettes import CASSETTES, exchanges
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from crawlers.items import Candidate
from crawlers.source import Answer, Ask, BusyError
from crawlers.sources.flickr import (
    KEY_VARIABLE,
    LICENCES,
    Flickr,
    FlickrStart,
    Size,
    largest,
    read_photo,
    sizes_of_photo,
    usable_licences,
)
from crawlers.terms import Terms
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.licences import normalise
from mirrorset.pixels import PixelParams
from mirrorset.records import Reason, Rejected

API = "https://api.flickr.com/services/rest/"
RECORDINGS = CASSETTES.parent / "flickr"
PHOTOS_OF_OPENVERSE = sorted(RECORDINGS.glob("image_data_*.json"))
ANSWERS_OF_LIBRARIES = sorted(RECORDINGS.glob("*/*.json"))


@pytest.fixture
def flickr() -> Flickr:
    return Flickr(FlickrStart(tags="portrait"), Terms())


def asked(ask: Ask) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(ask.url).query).items()}


def answer(said: object, **headers: str) -> Answer:
    return Answer(url=API, headers=headers, body=json.dumps(said).encode())


def page_of(photos: list[Any], page: int = 1, pages: int = 1, total: int = 1) -> dict[str, Any]:
    listing = {"page": page, "pages": pages, "perpage": 500, "total": total, "photo": photos}
    return {"photos": listing, "stat": "ok"}


def photo(**changes: object) -> dict[str, Any]:
    return {
        "id": "53",
        "owner": "7@N01",
        "ownername": "Ada",
        "license": "4",
        "media": "photo",
        "ispublic": 1,
        "tags": "portrait woman",
        "machine_tags": "",
        "url_o": "https://live.staticflickr.com/1/53_o.jpg",
        "width_o": "3000",
        "height_o": 2000,
        **changes,
    }


def read(stated: dict[str, Any], terms: Terms | None = None) -> Candidate | Rejected | None:
    return read_photo(stated, sizes_of_photo(stated), terms or Terms())


def as_json(element: etree._Element) -> dict[str, Any]:
    """An element in the JSON that Flickr makes of it (services/api/response.json.html)."""
    said: dict[str, Any] = dict(element.attrib)
    for child in element:
        if child.tag in ("photo", "size", "tag", "url", "license"):
            said.setdefault(child.tag, []).append(as_json(child))
        else:
            said[child.tag] = as_json(child)
    if text := (element.text or "").strip():
        said["_content"] = text
    return said


def recorded_answers(method: str) -> Iterator[Answer]:
    """The recorded XML answers to a method, in Flickr's JSON."""
    for cassette in sorted(CASSETTES.glob("*.yml")):
        for exchange in exchanges(cassette):
            if f"method={method}" in exchange.url:
                root = etree.fromstring(exchange.answer.body)
                said: dict[str, Any] = {"stat": root.get("stat")}
                for child in root:
                    name = {"photoset": "photos"}.get(child.tag, child.tag)
                    said[name] = as_json(child)
                if "err" in said:
                    said |= {"code": int(said["err"]["code"]), "message": said["err"]["msg"]}
                yield answer(said)


# --- what is asked ----------------------------------------------------------------------------


def test_a_search_asks_for_usable_licences_and_what_a_receipt_needs(flickr: Flickr) -> None:
    (ask,) = flickr.begin()
    assert ask.is_api
    question = asked(ask)
    assert question["method"] == "flickr.photos.search"
    assert (question["format"], question["nojsoncallback"]) == ("json", "1")
    assert question["license"] == "1,2,4,5,7,8,9,10,11,12,14,15"
    assert (question["tags"], question["tag_mode"], question["page"]) == ("portrait", "any", "1")
    assert question["per_page"] == "500"
    assert "api_key" not in question
    assert set(question["extras"].split(",")) >= {
        "license", "owner_name", "url_o", "url_l", "url_c", "o_dims", "original_format",
        "last_update", "tags", "machine_tags", "media",
    }  # fmt: skip


def test_commercial_use_asks_for_no_noncommercial_licence() -> None:
    assert usable_licences("commercial") == ["4", "5", "8", "9", "10", "11", "12"]


def test_a_window_of_days_is_asked_for_in_seconds() -> None:
    day = date(2020, 1, 2)
    start = FlickrStart(text="a b", user="7@N01", min_upload_date=day, max_upload_date=day)
    question = asked(Flickr(start, Terms()).begin()[0])
    assert (question["text"], question["user_id"]) == ("a b", "7@N01")
    first_s, last_s = int(question["min_upload_date"]), int(question["max_upload_date"])
    assert (first_s, last_s - first_s) == (1577923200, 86399)
    assert "tag_mode" not in question


def test_a_search_for_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="give a text, tags or a user"):
        FlickrStart()


def test_the_key_is_added_only_where_the_question_is_sent(
    flickr: Flickr, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ask,) = flickr.begin()
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match=f"set {KEY_VARIABLE}"):
        flickr.signed(ask)
    monkeypatch.setenv(KEY_VARIABLE, "a&b")
    url, headers = flickr.signed(ask)
    assert parse_qs(urlsplit(url).query)["api_key"] == ["a&b"]
    assert headers == {}
    assert "a&b" not in flickr.signed(ask)[0]
    assert "api_key" not in ask.model_dump_json()


# --- licences ---------------------------------------------------------------------------------


def test_the_table_is_what_flickr_answered() -> None:
    answers = list(recorded_answers("flickr.photos.licenses.getInfo"))
    assert len(answers) >= 14
    for recorded in answers:
        stated = json.loads(recorded.body)["licenses"]["license"]
        assert {entry["id"] for entry in stated} == set(LICENCES)
        for entry in stated:
            known = normalise(LICENCES[entry["id"]])
            assert known == normalise(entry["url"])
            assert LICENCES[entry["id"]] in (entry["url"], entry["name"])


@pytest.mark.parametrize(
    ("licence_id", "outcome"),
    [
        ("0", Reason.LICENCE_UNKNOWN), ("1", "CC-BY-NC-SA"), ("2", "CC-BY-NC"),
        ("3", Reason.NO_DERIVATIVES), ("4", "CC-BY"), ("5", "CC-BY-SA"),
        ("6", Reason.NO_DERIVATIVES), ("7", "NKC"), ("8", "PD"), ("9", "CC0"), ("10", "PD"),
        ("11", "CC-BY"), ("12", "CC-BY-SA"), ("13", Reason.NO_DERIVATIVES), ("14", "CC-BY-NC"),
        ("15", "CC-BY-NC-SA"), ("16", Reason.NO_DERIVATIVES), ("17", Reason.LICENCE_UNKNOWN),
        ("", Reason.LICENCE_MISSING), (None, Reason.LICENCE_MISSING), (4, "CC-BY"),
    ],
)  # fmt: skip
def test_each_licence_is_taken_or_refused(licence_id: object, outcome: str) -> None:
    item = read(photo(license=licence_id))
    if isinstance(outcome, Reason):
        assert isinstance(item, Rejected)
        assert item.reason is outcome
    else:
        assert isinstance(item, Candidate)
        assert item.permit is not None
        assert item.permit.licence.code == outcome
        assert item.permit.statement.read_from.startswith(f"license {licence_id} ")


def test_noncommercial_is_refused_for_commercial_use() -> None:
    item = read(photo(license="14"), Terms(intended_use="commercial"))
    assert isinstance(item, Rejected)
    assert item.reason is Reason.NON_COMMERCIAL


# --- recorded photos --------------------------------------------------------------------------


@pytest.mark.parametrize("path", PHOTOS_OF_OPENVERSE, ids=lambda path: path.stem)
def test_every_recorded_photo_is_read_refused_or_asked_about(flickr: Flickr, path: Path) -> None:
    stated = json.loads(path.read_text())
    (found,) = flickr.read(flickr.begin()[0], answer(page_of([stated])))
    if isinstance(found, Rejected):
        assert found.detail.endswith(".")
    else:
        assert isinstance(found, Candidate)
        assert found.source_item_id == stated["id"]


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("image_data_no_image_url", Reason.NO_DERIVATIVES, "CC-BY-NC-ND"),
        ("image_data_no_meta_data_info", Reason.NOT_AN_IMAGE, "photo.id cannot be read"),
        ("image_data_full_meta_data_example", Reason.NOT_AN_IMAGE, "photo.id cannot be read"),
        ("image_data_long_tags_string", Reason.LICENCE_MISSING, "No licence"),
        ("image_data_unsorted_tags", Reason.LICENCE_MISSING, "No licence"),
    ],
)
def test_recorded_photos_that_are_rejected(
    shared_data: Path, name: str, reason: Reason, detail: str
) -> None:
    item = read(json.loads((shared_data / f"crawler/flickr/{name}.json").read_text()))
    assert isinstance(item, Rejected)
    assert item.reason is reason
    assert detail in item.detail


def test_a_recorded_photo_gives_its_receipt(shared_data: Path) -> None:
    path = shared_data / "crawler/flickr/image_data_complete_example.json"
    item = read(json.loads(path.read_text()))
    assert isinstance(item, Candidate)
    assert item.item_id == "flickr:49514824541"
    assert item.page_url == "https://www.flickr.com/photos/71925535@N03/49514824541/"
    assert item.image_url.endswith("_b.jpg")
    assert item.author == "Marine Explorer"
    assert item.permit is not None
    assert item.permit.licence.code == "CC-BY-NC-SA"


def test_a_recorded_list_and_a_recorded_page_are_the_same_photos(
    shared_data: Path, flickr: Flickr
) -> None:
    folder = shared_data / "crawler/flickr"
    listed = json.loads((folder / "flickr_example_photo_list.json").read_text())
    said = json.loads((folder / "flickr_example_pretty.json").read_text())
    (ask,) = flickr.begin()
    found = list(flickr.read(ask, answer(said)))
    assert len(found) == len(said["photos"]["photo"])
    assert all(isinstance(item, Candidate | Rejected) for item in found)
    assert sum(isinstance(read(stated), Candidate) for stated in listed) > 0


@pytest.mark.parametrize("path", ANSWERS_OF_LIBRARIES, ids=lambda path: path.stem)
def test_answers_in_other_shapes_are_refused_in_a_sentence(flickr: Flickr, path: Path) -> None:
    said = json.loads(path.read_text())
    with pytest.raises(UnavailableError, match=rf"^{API} answered without a stat: .*\.$"):
        list(flickr.read(flickr.begin()[0], answer(said)))
    # Even as Flickr's own page, its photos have other fields than ours, and none is taken.
    for found in flickr.read(flickr.begin()[0], answer(page_of(said.get("photos", [said])))):
        assert isinstance(found, Rejected)
        assert found.reason in (Reason.NOT_AN_IMAGE, Reason.LICENCE_MISSING)


# --- recorded exchanges -----------------------------------------------------------------------


@pytest.mark.parametrize("cassette", sorted(CASSETTES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_recorded_exchange_is_refused_in_a_sentence(flickr: Flickr, cassette: Path) -> None:
    for exchange in exchanges(cassette):
        for ask in (*flickr.begin(), flickr.recheck("53", "", "")):
            with pytest.raises(UnavailableError, match=rf"^{API} answered .*\.$"):
                list(flickr.read(ask, exchange.answer))


@pytest.mark.parametrize(
    "method",
    [
        "flickr.photos.search", "flickr.photosets.getPhotos", "flickr.galleries.getPhotos",
        "flickr.groups.pools.getPhotos",
    ],
)  # fmt: skip
def test_recorded_listings_are_read(flickr: Flickr, method: str) -> None:
    (ask,) = flickr.begin()
    pages = [said for said in recorded_answers(method) if json.loads(said.body)["stat"] == "ok"]
    assert pages
    for said in pages:
        found = [item for item in flickr.read(ask, said) if not isinstance(item, Ask)]
        assert len(found) == len(json.loads(said.body)["photos"]["photo"]) > 0
        for item in found:
            if isinstance(item, Candidate):
                assert item.author
                assert item.image_url.startswith("https://live.staticflickr.com/")
            else:
                assert isinstance(item, Rejected)
                assert item.reason in (
                    Reason.LICENCE_UNKNOWN, Reason.NO_DERIVATIVES, Reason.NOT_AN_IMAGE,
                )  # fmt: skip


def test_a_recorded_original_is_preferred(flickr: Flickr) -> None:
    found = [
        item
        for said in recorded_answers("flickr.photosets.getPhotos")
        if json.loads(said.body)["stat"] == "ok"
        for item in flickr.read(flickr.begin()[0], said)
        if isinstance(item, Candidate)
    ]
    assert "https://live.staticflickr.com/5137/5536044022_44d052df5a_o.jpg" in {
        item.image_url for item in found
    }


def test_recorded_sizes_are_read(flickr: Flickr) -> None:
    ask = Ask(url=API, kind="page", carried={"photo": photo()})
    answers = list(recorded_answers("flickr.photos.getSizes"))
    assert len(answers) >= 7
    for said in answers:
        (item,) = flickr.read(ask, said)
        areas_px = {
            size["source"]: int(size["width"]) * int(size["height"])
            for size in json.loads(said.body)["sizes"]["size"]
        }
        assert isinstance(item, Candidate)
        assert areas_px[item.image_url] == max(areas_px.values())


def test_recorded_photos_are_rechecked(flickr: Flickr) -> None:
    page_url, image_url = "https://www.flickr.com/photos/a/1/", "https://live.example.org/1_o.jpg"
    outcomes = {}
    for said in recorded_answers("flickr.photos.getInfo"):
        body = json.loads(said.body)
        photo_id = body.get("photo", {}).get("id", "12345678901234567890")
        (item,) = flickr.read(flickr.recheck(photo_id, page_url, image_url), answer(body))
        assert isinstance(item, Candidate | Rejected)
        assert item.item_id == f"flickr:{photo_id}"
        assert item.image_url in ("", image_url)
        outcomes[photo_id] = item
    assert len(outcomes) >= 7
    gone = outcomes["12345678901234567890"]
    assert isinstance(gone, Rejected)
    assert gone.reason is Reason.GONE
    botanical = outcomes["7982377911"]
    assert isinstance(botanical, Candidate)
    assert (botanical.author, botanical.page_url) == ("BioDivLibrary", page_url)
    assert botanical.permit is not None
    assert botanical.permit.licence.code == "PD"


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([Size("a_o.jpg", 4000, 3000, True), Size("a_b.jpg", 1024, 768)], "a_o.jpg"),
        ([Size("a_o.jpg", 40000, 30000, True), Size("a_b.jpg", 1024, 768)], "a_b.jpg"),
        ([Size("a_c.jpg", 800, 600), Size("a_b.jpg", 1024, 768)], "a_b.jpg"),
        ([Size("a_o.tif", 4000, 3000, True), Size("a_b.jpg", 1024, 768)], "a_b.jpg"),
        ([Size("a_o.png", 0, 0, True), Size("a_b.jpg", 1024, 768)], "a_o.png"),
        ([Size("a_o.jpg", 40000, 30000, True), Size("a_b.jpg", 20000, 10000)], "a_b.jpg"),
    ],
)
def test_the_original_is_taken_where_it_fits(sizes: list[Size], chosen: str) -> None:
    best = largest(sizes, 100_000_000)
    assert best is not None
    assert best.url == chosen


sides_px = st.integers(0, 99)


@given(
    st.lists(st.tuples(sides_px, sides_px).map(lambda sides: Size("a.jpg", *sides)), min_size=1),
    st.integers(0, 9999),
)
def test_no_larger_size_fits(sizes: list[Size], max_pixels: int) -> None:
    best = largest(sizes, max_pixels)
    assert best is not None
    areas = [size.width_px * size.height_px for size in sizes]
    fitting = [area for area in areas if area <= max_pixels]
    assert best.width_px * best.height_px == (max(fitting) if fitting else min(areas))


def test_a_photo_without_sizes_is_asked_about(flickr: Flickr) -> None:
    stated = photo(url_o=None, url_t="https://live.staticflickr.com/1/53_t.jpg")
    (ask,) = flickr.read(flickr.begin()[0], answer(page_of([stated])))
    assert isinstance(ask, Ask)
    assert (ask.kind, ask.is_api) == ("page", True)
    assert asked(ask)["method"] == "flickr.photos.getSizes"
    assert asked(ask)["photo_id"] == "53"
    kept = Ask.model_validate_json(ask.model_dump_json())
    size = {"label": "Original", "source": "http://live.example.org/53_o.png", "media": "photo"}
    (item,) = flickr.read(kept, answer({"sizes": {"size": [size]}, "stat": "ok"}))
    assert isinstance(item, Candidate)
    assert (item.item_id, item.image_url) == ("flickr:53", "http://live.example.org/53_o.png")
    (item,) = flickr.read(kept, answer({"sizes": {"size": []}, "stat": "ok"}))
    assert isinstance(item, Rejected)
    assert item.reason is Reason.NOT_AN_IMAGE
    (item,) = flickr.read(kept, answer({"stat": "fail", "code": 2, "message": "Denied"}))
    assert isinstance(item, Rejected)
    assert (item.item_id, item.reason, item.detail) == (
        "flickr:53", Reason.GONE, "The photo is private.",
    )  # fmt: skip


# --- what a photo says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tags": "portrait nocv"}, Reason.OPT_OUT_TAG),
        ({"tags": "no_ai"}, Reason.OPT_OUT_TAG),
        ({"machine_tags": "flickr:no_cv=1"}, Reason.OPT_OUT_TAG),
        ({"media": "video"}, Reason.NOT_AN_IMAGE),
        ({"ispublic": 0}, Reason.GONE),
        ({"url_o": "https://live.staticflickr.com/1/53_o.gif"}, Reason.NOT_AN_IMAGE),
        ({"width_o": 120}, Reason.TOO_SMALL),
        ({"width_o": 60000, "height_o": 60000}, Reason.DECOMPRESSION_BOMB),
        ({"id": ""}, Reason.NOT_AN_IMAGE),
        ({"license": {"id": "cc-by-2.0"}}, Reason.NOT_AN_IMAGE),
    ],
)
def test_what_the_api_tells_is_judged_before_a_byte(
    changes: dict[str, object], reason: Reason
) -> None:
    item = read(photo(**changes))
    assert isinstance(item, Rejected)
    assert item.reason is reason


def test_the_original_gives_way_to_a_size_that_may_be_decoded() -> None:
    stated = photo(url_l="https://live.staticflickr.com/1/53_b.jpg", width_l=1024, height_l=683)
    item = read(stated, Terms(pixels=PixelParams(max_pixels=1_000_000)))
    assert isinstance(item, Candidate)
    assert item.image_url.endswith("_b.jpg")


# --- pages ------------------------------------------------------------------------------------


def test_pages_follow_until_the_last(flickr: Flickr) -> None:
    (ask,) = flickr.begin()
    for page in (1, 2, 3):
        *found, last = flickr.read(ask, answer(page_of([photo()], page, pages=3, total=1200)))
        if page == 3:
            assert not found
            assert isinstance(last, Candidate)
        else:
            assert isinstance(last, Ask)
            assert asked(last)["page"] == str(page + 1)
            ask = Ask.model_validate_json(last.model_dump_json())


def test_beyond_4000_results_nothing_is_asked_and_the_log_says_so(
    flickr: Flickr, caplog: pytest.LogCaptureFixture
) -> None:
    (ask,) = flickr.begin()
    asked_for = [ask]
    with caplog.at_level(logging.WARNING):
        while True:
            *_, last = flickr.read(ask, answer(page_of([photo()], pages=25737, total=2573692)))
            if not isinstance(last, Ask):
                break
            ask = last
            asked_for.append(ask)
    assert len(asked_for) == 8
    (line,) = caplog.messages
    assert "first 4000 of the 2573692 photos" in line
    assert "min_upload_date" in line


def test_an_empty_page_is_the_last(flickr: Flickr) -> None:
    assert list(flickr.read(flickr.begin()[0], answer(page_of([], pages=9)))) == []


# --- "later" and "no" -------------------------------------------------------------------------


def failed(code: int, message: str) -> dict[str, object]:
    return {"stat": "fail", "code": code, "message": message}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (100, rf"Invalid API Key.*{KEY_VARIABLE}"),
        (2, "Unknown user"),
        (112, "Method not found"),
    ],
)
def test_a_refused_search_says_why(flickr: Flickr, code: int, said: str) -> None:
    message = {100: "Invalid API Key (Key has invalid format)"}.get(code, said)
    with pytest.raises(UnavailableError, match=said):
        list(flickr.read(flickr.begin()[0], answer(failed(code, message))))


@pytest.mark.parametrize(("headers", "wait_s"), [({}, 5), ({"retry-after": "30"}, 30)])
def test_a_service_that_is_away_is_asked_again(
    flickr: Flickr, headers: dict[str, str], wait_s: float
) -> None:
    said = answer(failed(105, "Service currently unavailable"), **headers)
    for ask in (*flickr.begin(), flickr.recheck("53", "", "")):
        with pytest.raises(BusyError, match="Service currently unavailable") as busy:
            list(flickr.read(ask, said))
        assert busy.value.wait_s == wait_s


@pytest.mark.parametrize("code", [1, 2])
def test_a_photo_that_nobody_may_see_is_gone(flickr: Flickr, code: int) -> None:
    (item,) = flickr.read(flickr.recheck("53", "", ""), answer(failed(code, "Photo not found")))
    assert isinstance(item, Rejected)
    assert (item.item_id, item.reason) == ("flickr:53", Reason.GONE)
    assert "private" in item.detail


def test_a_photo_made_private_is_gone(flickr: Flickr) -> None:
    said = {"photo": {"license": "4", "visibility": {"ispublic": 0}}, "stat": "ok"}
    (item,) = flickr.read(flickr.recheck("53", "", "https://h.org/a.jpg"), answer(said))
    assert isinstance(item, Rejected)
    assert (item.reason, item.detail) == (Reason.GONE, "The photo is private.")


# --- whatever is answered ---------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
photos = st.dictionaries(
    st.sampled_from(["id", "license", "tags", "url_o", "width_o", "owner", "sizes", "visibility"]),
    values,
)
listings = st.fixed_dictionaries({"photo": st.lists(photos | values, max_size=3), "pages": values})


@given(
    st.dictionaries(
        st.sampled_from(["photos", "photo", "sizes", "code", "message"]), values | photos | listings
    ),
    st.sampled_from(["ok", "fail", None]),
)
def test_no_answer_raises_anything_else(said: dict[str, Any], stat: str | None) -> None:
    flickr = Flickr(FlickrStart(text="a"), Terms())
    sizes = Ask(url=API, kind="page", carried={"photo": photo(url_o=None)})
    for ask in (*flickr.begin(), flickr.recheck("1", "", ""), sizes):
        try:
            found = list(flickr.read(ask, answer({**said, "stat": stat})))
        except (BusyError, UnavailableError):
            continue
        assert all(isinstance(item, Ask | Candidate | Rejected) for item in found)
