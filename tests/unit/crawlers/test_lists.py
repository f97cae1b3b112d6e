import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.lists import Row, filesystem, read_rows
from mirrorset.errors import InputError, UnavailableError

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")
LOCAL = fsspec.filesystem("file")


def read(path: Path, *required: str, first: int = 0) -> list[Row]:
    return list(read_rows(LOCAL, str(path), required or ("url",), ("license",), first))


def write_table(path: Path, table: pd.DataFrame) -> None:
    writers: dict[str, Callable[[], object]] = {
        ".txt": lambda: path.write_text("\n".join(table["URL"])),
        ".csv": lambda: table.to_csv(path, index=False),
        ".tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".json": lambda: table.to_json(path),
        ".parquet": lambda: table.to_parquet(path, row_group_size=2),
    }
    writers[path.suffix]()


TABLE = pd.DataFrame(
    {
        "URL": [f"http://h.org/{n}.jpg" for n in range(5)],
        "TEXT": ["two\nlines", 'say "hi", Ada', "\t", "é", ""],
        "License": ["CC0", None, "?", "CC BY 4.0", float("nan")],
    }
)


@pytest.mark.parametrize("compression", ["", ".gz"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str, compression: str) -> None:
    path = tmp_path / f"faces{suffix}"
    write_table(path, TABLE)
    if compression and suffix != ".parquet":
        path = tmp_path / f"faces{suffix}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"faces{suffix}").read_bytes()))
    rows = read(path)
    assert [row["url"] for row in rows] == list(TABLE["URL"])
    if suffix != ".txt":
        assert [row["license"] for row in rows] == ["CC0", "", "?", "CC BY 4.0", ""]
    assert read(path, first=3) == rows[3:]


def test_json_may_be_a_list_of_rows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(TABLE.to_json(orient="records"))
    assert [row["url"] for row in read(tmp_path / "a.json")] == list(TABLE["URL"])


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfurl\r\nhttp://h.org/a.jpg\r\n\r\n")
    assert read(tmp_path / "a.csv") == [{"url": "http://h.org/a.jpg"}]


def test_short_records_are_filled(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url,license\nhttp://h.org/a.jpg\nb,c,d\n")
    assert read(tmp_path / "a.csv") == [
        {"url": "http://h.org/a.jpg", "license": ""},
        {"url": "b", "license": "c"},
    ]


def test_values_become_text_that_can_be_kept(tmp_path: Path) -> None:
    cells = pa.array([b"http://h.org/\xff"]), pa.array([["a"]])
    pq.write_table(pa.table(cells, names=["url", "license"]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [{"url": "http://h.org/�", "license": "['a']"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"url": "A\ud800d\0a", "license": 7}))
    assert read(tmp_path / "a.jsonl") == [{"url": "Ada", "license": "7"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"", "name it, as it is written"),
        ("a.parquet.gz", b"", "name it, as it is written"),
        ("a.csv", b"", "no column “url”; its columns: none"),
        ("a.csv", b"link,text\n", "no column “url”; its columns: “link”, “text”"),
        ("a.jsonl", b'{"link": 1}\n', "no column “url”; its columns: “link”"),
        ("a.jsonl", b'{"url": 1}\n[]\n', "no JSON object"),
        ("a.jsonl", b'{"url": 1}\n{"url"\n', "line 2 is no JSON"),
        ("a.json", b'{"url": 1}', "cannot be read"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.json", b'{"url": [1, 2], "license": [1]}', "cannot be read"),
        ("a.csv", b"url\n" + b'"' + b"x" * 200_000, "line 2: field larger"),
        ("a.txt", b"x" * 1_000_001, "line 1 is longer than 1000000 bytes"),
        ("a.csv.gz", b"url\n", "cannot be read"),
        ("a.txt.gz", gzip.compress(b"http://h.org/\n" * 9, mtime=0)[:-9], "cannot be read"),
        ("a.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_is_no_list_is_said_so(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as raised:
        read(tmp_path / name)
    assert said in str(raised.value)
    assert str(tmp_path / name) in str(raised.value)


def test_an_absent_list_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv does not exist"):
        read(tmp_path / "a.csv")
    with pytest.raises(InputError, match="nowhere://a"):
        filesystem("nowhere://a")


def test_a_lost_connection_is_not_the_lists_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*args: object) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(LOCAL, "open", lose)
    with pytest.raises(UnavailableError, match="gone"):
        read(Path("a.csv"))


@given(st.binary(max_size=300), st.sampled_from(SUFFIXES), st.booleans())
def test_any_bytes_are_rows_or_an_input_error(content: bytes, suffix: str, is_gzip: bool) -> None:
    memory = fsspec.filesystem("memory")
    for body in (content, b"url\n" + content, b'{"url": ' + content):
        path = f"/fuzz{suffix}" + (".gz" if is_gzip else "")
        memory.pipe_file(path, gzip.compress(body) if is_gzip else body)
        with contextlib.suppress(InputError):
            for row in read_rows(memory, path, ["url"]):
                assert "\0" not in row["url"].encode().decode()


@given(st.data())
def test_a_damaged_parquet_file_is_rows_or_an_input_error(data: st.DataObject) -> None:
    memory = fsspec.filesystem("memory")
    TABLE.to_parquet("memory://damaged.parquet")
    content = bytearray(memory.cat_file("/damaged.parquet"))
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    memory.pipe_file("/damaged.parquet", bytes(content))
    with contextlib.suppress(InputError):
        list(read_rows(memory, "/damaged.parquet", ["url"], ["license", "text"]))
