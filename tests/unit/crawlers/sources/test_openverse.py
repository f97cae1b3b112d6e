"""No live answer of Openverse could be had: those here are built from its documented schema.

https://api.openverse.org/v1/ (image_search, images_detail, token).
"""

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cassettes import CASSETTES
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawlers.items import Candidate
from crawlers.source import Answer, Ask
from crawlers.sources.openverse import (
    ID_VARIABLE,
    SECRET_VARIABLE,
    Openverse,
    OpenverseStart,
    read_result,
    result_key,
    usable_licences,
)
from crawlers.terms import Terms
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.records import IntendedUse, Reason, Rejected

API = "https://api.openverse.org"
FOREIGN = sorted((CASSETTES.parent / "openverse_catalog_other").rglob("*.json"))
UUID = "4bc43a04-ef46-4544-a0c1-63c63f56e276"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ID_VARIABLE, raising=False)
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


@pytest.fixture
def openverse() -> Openverse:
    return Openverse(OpenverseStart(query="portrait"), Terms())


@pytest.fixture
def client(openverse: Openverse, monkeypatch: pytest.MonkeyPatch) -> Openverse:
    monkeypatch.setenv(ID_VARIABLE, "an id")
    monkeypatch.setenv(SECRET_VARIABLE, "a&secret")
    return openverse


def asked(ask: Ask) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(ask.url).query).items()}


def answer(said: object, status: int = 200) -> Answer:
    return Answer(url=API, status=status, body=json.dumps(said).encode())


def result(**changes: object) -> dict[str, Any]:
    return {
        "id": UUID,
        "title": "Ada",
        "indexed_on": "2022-08-27T17:39:48Z",
        "foreign_landing_url": "https://www.flickr.com/photos/7@N01/53",
        "url": "https://live.staticflickr.com/1/53_b.jpg",
        "creator": "Ada  Lovelace",
        "creator_url": "https://www.flickr.com/photos/7@N01",
        "license": "by-sa",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": None,
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"accuracy": None, "name": "portrait", "unstable__provider": "flickr"}],
        "attribution": '"Ada" by Ada Lovelace is licensed under CC BY-SA 2.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 768,
        "width": 1024,
        "thumbnail": f"{API}/v1/images/{UUID}/thumb/",
        "detail_url": f"{API}/v1/images/{UUID}/",
        "related_url": f"{API}/v1/images/{UUID}/related/",
        "unstable__sensitivity": [],
        **changes,
    }


def page_of(results: list[Any], page_count: int = 1) -> dict[str, Any]:
    return {
        "result_count": 240,
        "page_count": page_count,
        "page_size": 20,
        "page": 1,
        "results": results,
    }


def read(stated: dict[str, Any], terms: Terms | None = None) -> Candidate | Rejected:
    return read_result(stated, result_key(stated), terms or Terms())


# --- what is asked ----------------------------------------------------------------------------


def test_a_search_asks_for_usable_licences_and_files(openverse: Openverse) -> None:
    (ask,) = openverse.begin()
    assert ask.is_api
    assert urlsplit(ask.url).path == "/v1/images/"
    assert asked(ask) == {
        "q": "portrait",
        "license": "cc0,pdm,by,by-sa,by-nc,by-nc-sa",
        "extension": "jpg,jpeg,png,webp",
        "mature": "false",
        "page_size": "20",
        "page": "1",
    }
    start = OpenverseStart(query="portrait", providers="flickr,wikimedia")
    assert asked(Openverse(start, Terms()).begin()[0])["source"] == "flickr,wikimedia"


@pytest.mark.parametrize("use", ["research", "commercial"])
def test_no_derivatives_is_never_asked_for(use: IntendedUse) -> None:
    codes = usable_licences(use)
    assert {"cc0", "pdm", "by", "by-sa"} <= set(codes)
    assert not any("nd" in code for code in codes)
    assert any("nc" in code for code in codes) == (use == "research")


def test_large_pages_need_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Openverse(OpenverseStart(query="a", page_size=240), Terms())
    with pytest.raises(SettingsError, match=f"lower page_size, or set {ID_VARIABLE}"):
        source.begin()
    monkeypatch.setenv(ID_VARIABLE, "an id")
    with pytest.raises(SettingsError, match=f"set {SECRET_VARIABLE} as well"):
        source.begin()
    monkeypatch.setenv(SECRET_VARIABLE, "a secret")
    assert asked(source.begin()[0])["page_size"] == "240"


@pytest.mark.parametrize("wrong", [{"query": ""}, {"max_pages": 21}, {"page_size": 501}])
def test_what_openverse_would_refuse_is_refused_before(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenverseStart(**{"query": "a", **wrong})


# --- credentials ------------------------------------------------------------------------------


def test_nobody_logs_in_without_credentials(openverse: Openverse) -> None:
    assert openverse.login() is None
    (ask,) = openverse.begin()
    assert openverse.signed(ask) == (ask.url, {})


def test_the_token_is_asked_for_as_a_form_and_kept_in_memory(client: Openverse) -> None:
    login = client.login()
    assert login is not None
    assert login.url == f"{API}/v1/auth_tokens/token/"
    assert dict(parse_qsl(login.body)) == {
        "grant_type": "client_credentials", "client_id": "an id", "client_secret": "a&secret",
    }  # fmt: skip
    assert client.signed(login)[1] == {"Content-Type": "application/x-www-form-urlencoded"}
    token = {
        "access_token": "DLBY", "scope": "read write groups", "expires_in": 36000,
        "token_type": "Bearer",
    }  # fmt: skip
    client.logged_in(answer(token))
    asks = [*client.begin(), client.recheck(f"flickr/{UUID}", "", "")]
    for ask in asks:
        assert client.signed(ask) == (ask.url, {"Authorization": "Bearer DLBY"})
        kept = ask.model_dump_json()
        assert not any(secret in kept for secret in ("an id", "a&secret", "DLBY", "a%26secret"))
    # After a 401 the next login goes without the old token.
    assert "Authorization" not in client.signed(login)[1]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"detail": "Authentication credentials were not provided."}, "were not provided"),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"access_token": ""}, "no detail"),
        ({"access_token": None}, "no detail"),
    ],
)
def test_refused_credentials_are_named(
    client: Openverse, said: dict[str, object], words: str
) -> None:
    with pytest.raises(UnavailableError, match=rf"{words}.*{ID_VARIABLE}") as refused:
        client.logged_in(answer(said, status=401))
    assert "a&secret" not in str(refused.value)


# --- pages ------------------------------------------------------------------------------------


def test_pages_follow_until_max_pages_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    openverse = Openverse(OpenverseStart(query="portrait", max_pages=3), Terms())
    (ask,) = openverse.begin()
    with caplog.at_level(logging.WARNING):
        for page in (1, 2, 3):
            found = list(openverse.read(ask, answer(page_of([result()], page_count=20))))
            assert isinstance(found[0], Candidate)
            if page < 3:
                assert isinstance(found[1], Ask)
                assert asked(found[1])["page"] == str(page + 1)
                ask = Ask.model_validate_json(found[1].model_dump_json())
    assert len(found) == 1
    (line,) = caplog.messages
    assert "20 pages" in line
    assert "max_pages lets 3" in line


def test_no_page_beyond_the_last_is_asked_for(openverse: Openverse) -> None:
    (ask,) = openverse.begin()
    assert len(list(openverse.read(ask, answer(page_of([result()], page_count=1))))) == 1
    assert list(openverse.read(ask, answer(page_of([], page_count=9)))) == []


@pytest.mark.parametrize(
    "said",
    [
        {"detail": "Request was throttled."},
        {"error": "InputError", "detail": "License 'PDMNBCG' does not exist.", "fields": ["li"]},
        [],
        {"results": []},
        {"results": {}, "page_count": 1},
    ],
)
def test_what_is_no_page_is_said_so(openverse: Openverse, said: object) -> None:
    with pytest.raises(UnavailableError, match=rf"^{API} answered .*\.$"):
        list(openverse.read(openverse.begin()[0], answer(said)))


# --- what a result says -----------------------------------------------------------------------


def test_a_result_gives_its_receipt() -> None:
    item = read(result())
    assert isinstance(item, Candidate)
    assert item.item_id == f"openverse:flickr/{UUID}"
    assert item.page_url == "https://www.flickr.com/photos/7@N01/53"
    assert item.image_url == "https://live.staticflickr.com/1/53_b.jpg"
    assert item.author == "Ada Lovelace"
    assert item.permit is not None
    assert item.permit.licence.code == "CC-BY-SA"
    assert item.permit.statement.read_from == "license_url"


@pytest.mark.parametrize(
    ("code", "version", "url", "outcome"),
    [
        ("cc0", "1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("pdm", "1.0", "https://creativecommons.org/publicdomain/mark/1.0/", "PD"),
        ("by", "4.0", "https://creativecommons.org/licenses/by/4.0/", "CC-BY"),
        ("by", "3.0", "https://creativecommons.org/licenses/by/3.0/de/", "CC-BY"),
        ("by-nc", "2.0", None, "CC-BY-NC"),
        ("by", None, "https://creativecommons.org/licenses/by/2.0/", "CC-BY"),
        ("by-nd", "2.0", None, Reason.NO_DERIVATIVES),
        ("by", "2.0", "https://creativecommons.org/licenses/by-nd/2.0/", Reason.NO_DERIVATIVES),
        ("by", "2.0", "https://example.org/terms", Reason.LICENCE_UNKNOWN),
        ("sampling+", "1.0", None, Reason.LICENCE_UNKNOWN),
        (None, None, None, Reason.LICENCE_MISSING),
    ],
)
def test_each_licence_is_taken_or_refused(
    code: str | None, version: str | None, url: str | None, outcome: str
) -> None:
    item = read(result(license=code, license_version=version, license_url=url))
    if isinstance(outcome, Reason):
        assert isinstance(item, Rejected)
        assert item.reason is outcome
    else:
        assert isinstance(item, Candidate)
        assert item.permit is not None
        assert item.permit.licence.code == outcome


def test_noncommercial_is_refused_for_commercial_use() -> None:
    stated = result(license="by-nc", license_url="https://creativecommons.org/licenses/by-nc/2.0/")
    item = read(stated, Terms(intended_use="commercial"))
    assert isinstance(item, Rejected)
    assert item.reason is Reason.NON_COMMERCIAL


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": None}, Reason.NOT_AN_IMAGE),
        ({"url": "javascript:alert(1)"}, Reason.NOT_AN_IMAGE),
        ({"filetype": "svg"}, Reason.NOT_AN_IMAGE),
        ({"filetype": "GIF"}, Reason.NOT_AN_IMAGE),
        ({"filesize": 10**12}, Reason.TOO_LARGE),
        ({"width": 100}, Reason.TOO_SMALL),
        ({"width": "wide"}, Reason.NOT_AN_IMAGE),
        ({"tags": [{"name": "No AI", "accuracy": None}]}, Reason.OPT_OUT_TAG),
        ({"id": None}, Reason.NOT_AN_IMAGE),
    ],
)
def test_what_the_api_tells_is_judged_before_a_byte(
    changes: dict[str, object], reason: Reason
) -> None:
    item = read(result(**changes))
    assert isinstance(item, Rejected)
    assert item.reason is reason
    assert item.detail.endswith(".")


def test_what_is_not_known_refuses_nothing() -> None:
    unknown = dict.fromkeys(("filetype", "filesize", "width", "height", "tags", "creator"))
    assert isinstance(read(result(**unknown)), Candidate)


# --- the same item again ----------------------------------------------------------------------


def test_a_recheck_asks_for_the_picture_by_its_uuid(openverse: Openverse) -> None:
    ask = openverse.recheck(f"flickr/{UUID}", "", "")
    assert (ask.url, ask.kind, ask.is_api) == (f"{API}/v1/images/{UUID}/", "page", True)
    (item,) = openverse.read(ask, answer(result()))
    assert item == read(result())


@pytest.mark.parametrize("status", [404, 410])
def test_a_picture_no_longer_listed_is_gone(openverse: Openverse, status: int) -> None:
    ask = openverse.recheck(f"flickr/{UUID}", "", "")
    (item,) = openverse.read(ask, answer({"detail": "Not found."}, status))
    assert isinstance(item, Rejected)
    assert (item.item_id, item.reason) == (f"openverse:flickr/{UUID}", Reason.GONE)


# --- other providers' recorded answers --------------------------------------------------------


@pytest.mark.parametrize("path", FOREIGN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_foreign_answers_are_refused_in_a_sentence(openverse: Openverse, path: Path) -> None:
    said = json.loads(path.read_text())
    with pytest.raises(UnavailableError, match=r"answered no page of results"):
        list(openverse.read(openverse.begin()[0], answer(said)))
    # Even as Openverse's own page, they have other fields than its results, and none is taken.
    results = said.get("results") or said.get("images") or [said]
    for found in openverse.read(openverse.begin()[0], answer(page_of(results))):
        assert isinstance(found, Rejected)
        assert found.reason is Reason.NOT_AN_IMAGE
    (found,) = openverse.read(openverse.recheck(f"flickr/{UUID}", "", ""), answer(said))
    assert isinstance(found, Rejected)
    assert found.item_id == f"openverse:flickr/{UUID}"


# --- whatever is answered ---------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
results = st.dictionaries(st.sampled_from(sorted(result())), values)


@given(st.lists(results | values, max_size=3) | values, values, results)
def test_no_answer_raises_anything_else(
    listed: object, page_count: object, detail: dict[str, Any]
) -> None:
    openverse = Openverse(OpenverseStart(query="a"), Terms())
    said = answer({"results": listed, "page_count": page_count})
    if not isinstance(listed, list) or not isinstance(page_count, int):
        with pytest.raises(UnavailableError):
            list(openverse.read(openverse.begin()[0], said))
    else:
        for found in openverse.read(openverse.begin()[0], said):
            assert isinstance(found, Ask | Candidate | Rejected)
    (item,) = openverse.read(openverse.recheck("a/b", "", ""), answer(detail))
    assert item.item_id == "openverse:a/b"  # type: ignore[union-attr]
