"""Lists of picture addresses, one row a picture: what img2dataset reads, with licences beside."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, model_validator

from crawlers.addresses import web_address
from crawlers.items import Candidate, Permit, Refusal, Statement, judge, rejected
from crawlers.lists import Row, filesystem, is_list, read_rows, reading
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.terms import Terms
from mirrorset.errors import InputError
from mirrorset.licences import normalise
from mirrorset.records import Reason, Rejected

_LICENCE_COLUMNS = ("license_url", "license", "licence", "license_name")
_AUTHOR_COLUMNS = ("author", "creator", "artist")
_PAGE_COLUMNS = ("page_url", "foreign_landing_url")
# LAION's word for a licence that its crawl did not find.
_NOTHING_STATED = ("", "?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

#: A list, the number of its next row, and its rows from there on.
_Open = tuple[str, int, Iterator[Row]]
_NOTHING_OPEN: _Open = ("", 0, iter(()))


class UrlsStart(SourceStart):
    """A list of picture addresses.

    path: a file, or a folder whose lists are read in the order of their names; local, or any
    address that fsspec reads ("s3://bucket/list.parquet"). `crawlers.lists` names the formats.

    Columns, in any case. url_col: the picture's address. licence_col: a licence's address or name;
    by default what a row states first in license_url, license, licence, license_name. author_col:
    by default author, creator, artist. page_col: the page that shows the picture; by default
    page_url, foreign_landing_url. id_col: an id that no other list of the workspace gives to
    another picture; by default the address is the id. Captions are not kept.

    licence: of every picture whose row states none ("CC BY 4.0"); licence_read_from: where that
    is stated, for the receipts ("https://example.org/dataset-card"). Without either the picture
    file's own metadata must name its licence.
    """

    source: Literal["urls"] = "urls"
    path: str = Field(min_length=1)
    url_col: str = "url"
    licence_col: str = ""
    author_col: str = ""
    page_col: str = ""
    id_col: str = ""
    licence: str = ""
    licence_read_from: str = ""

    @model_validator(mode="after")
    def _is_on_disk_or_in_a_bucket(self) -> Self:
        if "http://" in self.path or "https://" in self.path:
            raise ValueError("download the list and give the path of the file")
        return self

    @model_validator(mode="after")
    def _has_a_licence_with_a_receipt(self) -> Self:
        if bool(self.licence) != bool(self.licence_read_from):
            raise ValueError("licence and licence_read_from go together")
        if self.licence and normalise(self.licence) is None:
            raise ValueError(f"“{self.licence}” is no licence we know")
        return self


class Urls(Source[UrlsStart]):
    """Reads lists a chunk an ask, so that a kill loses no place and no list lies in memory.

    A list stays open between its chunks. The first chunk after a restart passes over the rows
    before it, and one of a list that several processes share over those that the others read: a
    process reads each list at most once. Nothing is converted or written.
    """

    name = "urls"
    chunk_rows = 1000

    def __init__(self, start: UrlsStart, terms: Terms) -> None:
        super().__init__(start, terms)
        self._open = _NOTHING_OPEN

    @property
    def title(self) -> str:
        """The list by its path."""
        return f"urls {self.start.path}"

    @property
    def address(self) -> str:
        """The list's path; the pictures lie on other people's servers."""
        return self.start.path

    def begin(self) -> Iterator[Ask]:
        """The file or folder."""
        yield Ask(url=f"list:///{quote(self.start.path.lstrip('/'))}")

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """The rows of one chunk and then the next chunk, or the first chunk of the next list.

        Raises InputError where a list cannot be read, UnavailableError where its store cannot be
        reached.
        """
        del answer
        file = str(ask.carried.get("file", ""))
        if not file:
            yield from self._chunk_after("")
            return
        first = int(ask.carried["first"])
        rows = self._rows(file, first)
        end = first
        for number, row in enumerate(islice(rows, self.chunk_rows), start=first):
            end = number + 1
            yield self._read_row(file.rpartition("/")[2], end, row)
        if end - first == self.chunk_rows:
            self._open = (file, end, rows)
            yield _chunk(file, end)
        else:
            yield from self._chunk_after(file)

    def _rows(self, file: str, first: int) -> Iterator[Row]:
        (left_open, at, rows), self._open = self._open, _NOTHING_OPEN
        if left_open == file and at <= first:
            for _ in islice(rows, first - at):
                pass
            return rows
        start = self.start
        named = [start.licence_col, start.author_col, start.page_col, start.id_col]
        required = [start.url_col, *(name for name in named if name)]
        fs, _ = filesystem(start.path)
        optional = (*_LICENCE_COLUMNS, *_AUTHOR_COLUMNS, *_PAGE_COLUMNS)
        return read_rows(fs, file, required, optional, first)

    def _chunk_after(self, file: str) -> Iterator[Ask]:
        """The beginning of the list that follows `file`."""
        fs, path = filesystem(self.start.path)
        with reading(path):
            is_folder = fs.isdir(path)
            listed = (
                sorted(str(name) for name in fs.ls(path, detail=False)) if is_folder else [path]
            )
        lists = [name for name in listed if not is_folder or _is_shown_list(name)]
        if not lists:
            raise InputError(f"The folder {path} holds no list, as a .txt, .csv or .parquet file.")
        yield from islice((_chunk(name, 0) for name in lists if name > file), 1)

    def _read_row(self, file_name: str, number: int, row: Row) -> Candidate | Rejected:
        start = self.start
        written = row.get(start.url_col.lower(), "")
        address = web_address(written)
        given_id = " ".join(row.get(start.id_col.lower(), "").split())
        if not address:
            refusal = Refusal(
                reason=Reason.NOT_AN_IMAGE,
                detail=f"Row {number} of {file_name} holds no address that can be asked: "
                f"“{written[:200]}”.",
            )
            return rejected(self.name, given_id or f"{file_name}#{number}", "", refusal)
        source_item_id = given_id or address_id(address)
        permit = self._permit(file_name, row)
        if isinstance(permit, Refusal):
            return rejected(self.name, source_item_id, address, permit)
        return Candidate(
            source=self.name,
            source_item_id=source_item_id,
            page_url=web_address(_first(row, start.page_col, _PAGE_COLUMNS)[1]),
            image_url=address,
            author=_first(row, start.author_col, _AUTHOR_COLUMNS)[1],
            permit=permit,
        )

    def _permit(self, file_name: str, row: Row) -> Permit | Refusal | None:
        column, text = _first(row, self.start.licence_col, _LICENCE_COLUMNS)
        if text:
            stated = Statement(read_from=f"{file_name}:{column}", text=text)
        elif self.start.licence:
            stated = Statement(read_from=self.start.licence_read_from, text=self.start.licence)
        else:
            return None
        return judge([stated], self.terms.intended_use)


def address_id(address: str) -> str:
    """An http(s) address as a stable id: without scheme, credentials and default port.

    >>> address_id("https://h.org:443/a.jpg?size=l")
    'h.org/a.jpg?size=l'
    """
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
    return f"{host}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _chunk(file: str, first: int) -> Ask:
    return Ask(
        url=f"list:///{quote(file.lstrip('/'))}?first={first}",
        carried={"file": file, "first": first},
    )


def _is_shown_list(path: str) -> bool:
    return is_list(path) and not path.rpartition("/")[2].startswith(".")


def _first(row: Row, chosen: str, defaults: Iterable[str]) -> tuple[str, str]:
    """The first of the columns that states something, as (column, text), or ("", "")."""
    columns = (chosen.lower(),) if chosen else defaults
    stated = ((column, row.get(column, "")) for column in columns)
    return next((found for found in stated if found[1] not in _NOTHING_STATED), ("", ""))
