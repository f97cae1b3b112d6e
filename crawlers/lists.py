"""Files that list things, row by row: what pandas, pyarrow and img2dataset write.

| suffix                 | a row is                          | memory              |
|------------------------|-----------------------------------|---------------------|
| .txt                   | a line                            | a line              |
| .csv, .tsv             | a record below the header         | a record            |
| .jsonl                 | a line with an object             | a line              |
| .json                  | an object of a list; or columns   | the whole file      |
| .parquet               | a row                             | a batch of pages    |

All but Parquet may be gzipped (".csv.gz"). Column names match in any case.
"""

import codecs
import csv
import gzip
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, BinaryIO

import fsspec

from crawlers.text import clean
from mirrorset.errors import InputError, MirrorsetError, UnavailableError

Row = dict[str, str]
#: Column names as written, and rows by lower-case name.
_Table = tuple[Sequence[str], Iterable[dict[str, object]]]

_LINE_MAX_BYTES = 1_000_000
_JSON_MAX_BYTES = 1_000_000_000
_BATCH_ROWS = 1000
_READ_AHEAD_BYTES = 1_000_000


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of `url` and the path in it. Raises InputError where there is none."""
    with reading(url):
        fs, path = fsspec.core.url_to_fs(url)
        return fs, str(path).rstrip("/")


def is_list(path: str) -> bool:
    """Whether the name is one of a list that can be read.

    >>> is_list("faces.csv.gz"), is_list("faces.xlsx")
    (True, False)
    """
    return _reader(path) is not None


def read_rows(
    fs: Any, path: str, required: Sequence[str], optional: Collection[str] = (), first: int = 0
) -> Iterator[Row]:
    """The text of the columns in rows `first`, `first` + 1, … of the list at `path`, "" for nulls.

    Keys are lower-case; a row lacks an optional column that the list lacks. A line of plain text is
    the first required column. Rows before `first` are read and passed over.

    Raises InputError where there is no such list or it is damaged, UnavailableError where the
    connection is lost.
    """
    wanted = frozenset(name.lower() for name in (*required, *optional))
    reader = _reader(path)
    if reader is None:
        raise InputError(
            f"{path} is no list that can be read: name it, as it is written, .txt, .csv, .tsv, "
            ".jsonl, .json (all also with .gz) or .parquet."
        )
    with reading(path), fs.open(path, "rb") as file:
        stream: Any = gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file
        names, rows = reader(stream, wanted, required[0])
        held = {name.lower() for name in names}
        for name in required:
            if name.lower() not in held:
                has = ", ".join(f"“{clean(other)[:40]}”" for other in names[:20]) or "none"
                raise InputError(f"{path} has no column “{name}”; its columns: {has}.")
        for row in islice(rows, first, None):
            yield {name: _text(value) for name, value in row.items() if name in wanted}


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns whatever goes wrong while `path` is read into InputError or UnavailableError."""
    try:
        yield
    except MirrorsetError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist.") from None
    except ImportError as error:
        raise InputError(f"{path} needs a package that is not installed: {error}.") from None
    except (ConnectionError, TimeoutError) as error:
        raise UnavailableError(f"{path} could not be reached: {_words(error)}.") from error
    except Exception as error:
        # The parsers of gzip, CSV and Parquet raise all kinds on damaged bytes.
        raise InputError(
            f"{path} cannot be read: {_words(error)}; is it whole, and named as it is written?"
        ) from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(clean(str(error)).split())[:200].rstrip('.')}"


def _reader(path: str) -> Callable[[BinaryIO, frozenset[str], str], _Table] | None:
    name = path.lower().rpartition("/")[2]
    suffix = "." + name.removesuffix(".gz").rpartition(".")[2]
    return None if suffix == ".parquet" and name.endswith(".gz") else _READERS.get(suffix)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return clean(text).strip()


def _lines(stream: BinaryIO) -> Iterator[str]:
    for number in range(1, 1 << 62):
        line = stream.readline(_LINE_MAX_BYTES)
        if not line:
            return
        if len(line) == _LINE_MAX_BYTES:
            raise ValueError(f"line {number} is longer than {_LINE_MAX_BYTES} bytes")
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        yield line.decode("utf-8", errors="replace")


def _read_txt(stream: BinaryIO, wanted: frozenset[str], column: str) -> _Table:
    name = column.lower()
    return [column], ({name: line} for line in _lines(stream) if line.strip())


def _read_csv(
    stream: BinaryIO, wanted: frozenset[str], column: str, delimiter: str = ","
) -> _Table:
    records = _records(csv.reader(_lines(stream), delimiter=delimiter))
    header = next(records, [])
    keys = [name.strip().lower() for name in header]
    # Missing cells are empty.
    blank: dict[str, object] = dict.fromkeys(keys, "")
    return header, (blank | dict(zip(keys, record, strict=False)) for record in records if record)


def _records(reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _read_tsv(stream: BinaryIO, wanted: frozenset[str], column: str) -> _Table:
    return _read_csv(stream, wanted, column, delimiter="\t")


def _read_jsonl(stream: BinaryIO, wanted: frozenset[str], column: str) -> _Table:
    return _objects(_values(_lines(stream)))


def _values(lines: Iterator[str]) -> Iterator[object]:
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                yield json.loads(line)
        except ValueError:
            raise ValueError(f"line {number} is no JSON") from None


def _read_json(stream: BinaryIO, wanted: frozenset[str], column: str) -> _Table:
    content = stream.read(_JSON_MAX_BYTES + 1)
    if len(content) > _JSON_MAX_BYTES:
        raise ValueError(f"it is over {_JSON_MAX_BYTES} bytes: write it as .jsonl")
    loaded = json.loads(content)
    if isinstance(loaded, dict):
        # Columns, each a list or (as pandas writes by default) an object of row labels.
        columns = [v.values() if isinstance(v, dict) else list(v) for v in loaded.values()]
        loaded = [dict(zip(loaded, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return _objects(iter(loaded))


def _objects(values: Iterator[object]) -> _Table:
    first = next(values, {})
    rows = (_lowered(value) for value in chain([first], values))
    return list(_lowered(first)), rows if first else ()


def _lowered(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"a row is no JSON object but {json.dumps(value)[:60]}")
    return {str(name).lower(): cell for name, cell in value.items()}


def _read_parquet(stream: BinaryIO, wanted: frozenset[str], column: str) -> _Table:
    # A tenth of a second to import, for this kind of list alone.
    import pyarrow.parquet as pq  # noqa: PLC0415

    # Buffered, so that memory does not grow with the row groups.
    file = pq.ParquetFile(stream, buffer_size=_READ_AHEAD_BYTES)
    names = file.schema_arrow.names
    chosen = [name for name in names if name.lower() in wanted]
    keys = [name.lower() for name in chosen]
    batches = file.iter_batches(batch_size=_BATCH_ROWS, columns=chosen, use_threads=False)
    return names, (
        dict(zip(keys, cells, strict=True))
        for batch in batches
        for cells in zip(*(batch[name].to_pylist() for name in chosen), strict=True)
    )


_READERS: dict[str, Callable[[BinaryIO, frozenset[str], str], _Table]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
