import json
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawlers.addresses import web_address
from crawlers.items import Candidate
from crawlers.source import Answer, Ask
from crawlers.sources.urls import Urls, UrlsStart, address_id
from crawlers.terms import Terms
from mirrorset.errors import InputError
from mirrorset.records import Reason, Rejected

BY = "https://creativecommons.org/licenses/by/4.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/4.0/"
NOTHING = Answer(url="")


def urls(path: Path | str, **start: str) -> Urls:
    return Urls(UrlsStart(path=str(path), **start), Terms())


def walk(source: Urls, *, restarted: bool = False) -> list[Candidate | Rejected]:
    """All items; `restarted`: by a new process for each ask, as the frontier keeps them."""
    waiting, items = list(source.begin()), []
    while waiting:
        ask = Ask.model_validate_json(waiting.pop(0).model_dump_json())
        reader = Urls(source.start, source.terms) if restarted else source
        reader.chunk_rows = source.chunk_rows  # type: ignore[misc]
        for found in reader.read(ask, NOTHING):
            (waiting if isinstance(found, Ask) else items).append(found)
    return items


def listed(tmp_path: Path, *rows: dict[str, object], **start: str) -> list[Candidate | Rejected]:
    path = tmp_path / "faces.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return walk(urls(path, **start))


def only(items: list[Candidate | Rejected]) -> Candidate:
    (item,) = items
    assert isinstance(item, Candidate)
    return item


def test_a_plain_list_leaves_the_word_to_the_files(tmp_path: Path) -> None:
    (tmp_path / "faces.txt").write_text("http://h.org/a.jpg\n\nhttps://h.org/b.jpg?s=1#top\n")
    a, b = walk(urls(tmp_path / "faces.txt"))
    assert isinstance(a, Candidate)
    assert isinstance(b, Candidate)
    assert (a.permit, a.author, a.page_url) == (None, "", "")
    assert (b.item_id, b.image_url) == ("urls:h.org/b.jpg?s=1", "https://h.org/b.jpg?s=1")


def test_a_licence_may_be_stated_for_the_whole_list(tmp_path: Path) -> None:
    path = tmp_path / "faces.txt"
    path.write_text("http://h.org/a.jpg")
    card = "https://h.org/card"
    permit = only(walk(urls(path, licence="CC BY 4.0", licence_read_from=card))).permit
    assert permit is not None
    assert (permit.licence.code, permit.statement.read_from) == ("CC-BY", card)


def test_a_row_names_its_licence_author_and_page(tmp_path: Path) -> None:
    row = {"URL": "http://h.org/a.jpg", "Creator": "Ada", "foreign_landing_url": "http://h.org/a"}
    item = only(listed(tmp_path, {**row, "license": "by", "license_url": BY, "TEXT": "a face"}))
    assert (item.author, item.page_url) == ("Ada", "http://h.org/a")
    assert item.permit is not None
    assert item.permit.statement.read_from == "faces.jsonl:license_url"


def test_a_rows_own_licence_precedes_the_lists(tmp_path: Path) -> None:
    (item,) = listed(
        tmp_path,
        {"url": "http://h.org/a.jpg", "licence": BY_ND},
        licence="CC0",
        licence_read_from="card",
    )
    assert isinstance(item, Rejected)
    assert item.reason is Reason.NO_DERIVATIVES


@pytest.mark.parametrize("nothing", ["", " ", "?", None, float("nan")])
def test_a_cell_that_states_nothing_is_passed_over(tmp_path: Path, nothing: object) -> None:
    row = {"url": "http://h.org/a.jpg", "license_url": nothing, "license_name": "CC BY 4.0"}
    permit = only(listed(tmp_path, row)).permit
    assert permit is not None
    assert permit.statement.read_from == "faces.jsonl:license_name"


@pytest.mark.parametrize(
    ("licence", "reason"),
    [(BY_ND, Reason.NO_DERIVATIVES), ("all mine", Reason.LICENCE_UNKNOWN)],
)
def test_rows_that_give_no_candidate(tmp_path: Path, licence: str, reason: Reason) -> None:
    (item,) = listed(tmp_path, {"url": "http://h.org/a.jpg", "license": licence})
    assert isinstance(item, Rejected)
    assert (item.reason, item.item_id) == (reason, "urls:h.org/a.jpg")


@pytest.mark.parametrize("address", ["", "h.org/a.jpg", "data:image/png;base64,A", None, ["x"], 7])
def test_a_row_without_an_address_is_named(tmp_path: Path, address: object) -> None:
    _, item = listed(tmp_path, {"url": "http://h.org/a.jpg"}, {"url": address})
    assert isinstance(item, Rejected)
    assert item.reason is Reason.NOT_AN_IMAGE
    assert item.item_id == "urls:faces.jsonl#2"
    assert "Row 2 of faces.jsonl" in item.detail


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    row = {"image": "http://h.org/a.jpg", "license": BY_ND, "rights": BY, "who": "Ada", "n": 7}
    start = {"url_col": "image", "licence_col": "Rights", "author_col": "who", "id_col": "n"}
    item = only(listed(tmp_path, row, **start))
    assert (item.source_item_id, item.author) == ("7", "Ada")


@pytest.mark.parametrize("column", ["url_col", "licence_col", "author_col", "page_col", "id_col"])
def test_a_chosen_column_must_be_there(tmp_path: Path, column: str) -> None:
    with pytest.raises(InputError, match="no column “other”; its columns: “url”"):
        listed(tmp_path, {"url": "http://h.org/a.jpg"}, **{column: "other"})


def test_a_folder_of_lists_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv", "notes.md"):
        (tmp_path / name).write_text(f"url\nhttp://h.org/{name}\n")
    assert [item.image_url for item in walk(urls(tmp_path))] == [
        "http://h.org/a.csv",
        "http://h.org/b.csv",
    ]


def test_lists_may_lie_in_a_bucket() -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/lists/a.txt", b"http://h.org/a.jpg")
    assert only(walk(urls("memory://bucket/lists"))).item_id == "urls:h.org/a.jpg"
    assert only(walk(urls("memory://bucket/lists/a.txt"))).item_id == "urls:h.org/a.jpg"


def test_a_folder_without_lists_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no list"):
        walk(urls(tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        walk(urls(tmp_path / "faces.csv"))


@pytest.mark.parametrize(
    "start",
    [
        {"path": "https://h.org/faces.csv"},
        {"path": ""},
        {"path": "a.txt", "licence": "CC0"},
        {"path": "a.txt", "licence_read_from": "card"},
        {"path": "a.txt", "licence": "free", "licence_read_from": "card"},
    ],
)
def test_a_start_that_cannot_be_meant_is_refused(start: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        UrlsStart.model_validate(start)


def test_each_ask_has_an_address_of_its_own_that_nobody_downloads(tmp_path: Path) -> None:
    path = tmp_path / "two words.txt"
    path.write_text("".join(f"http://h.org/{n}.jpg\n" for n in range(5)))
    source = urls(path)
    source.chunk_rows = 2  # type: ignore[misc]
    (ask,) = source.begin()
    asked = [ask]
    for ask in asked:
        asked += [found for found in source.read(ask, NOTHING) if isinstance(found, Ask)]
    assert len({ask.url for ask in asked}) == len(asked) == 4
    assert all(ask.url.startswith("list:///") and " " not in ask.url for ask in asked)


@given(rows=st.integers(0, 12), chunk=st.integers(1, 5), suffix=st.sampled_from(["csv", "parquet"]))
def test_chunks_are_the_whole_even_after_restarts(rows: int, chunk: int, suffix: str) -> None:
    memory = fsspec.filesystem("memory")
    table = pd.DataFrame({"url": [f"http://h.org/{n}.jpg" for n in range(rows)]}, dtype=object)
    for name in ("a", "b"):
        getattr(table, f"to_{suffix}")(f"memory://chunks/{name}.{suffix}")
    source = urls("memory://chunks")
    whole = walk(source)
    source.chunk_rows = chunk  # type: ignore[misc]
    assert walk(source) == walk(source, restarted=True) == whole
    assert len(whole) == 2 * rows
    memory.rm("/chunks", recursive=True)


def test_ids_outlive_scheme_and_default_port() -> None:
    assert address_id("http://H.org:80/a.jpg?s=1") == address_id("https://h.org:443/a.jpg?s=1")
    assert address_id("http://h.org:81/a.jpg") == "h.org:81/a.jpg"
    assert address_id("http://ada:secret@h.org") == "h.org/"


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_address_has_an_id_on_one_line(path: str, query: str) -> None:
    address = web_address(f"http://h.org/{path}?{query}")
    key = address_id(address)
    assert key == address_id(address.replace("http:", "https:", 1))
    assert not {"\n", "\r", "\0"} & set(key)
