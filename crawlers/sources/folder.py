"""A folder or bucket of consented in-house captures → pictures, each with a consent id beside."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote

from pydantic import Field

from crawlers.items import Candidate, Permit, Refusal, Statement, judge, rejected
from crawlers.lists import Row, filesystem, read_rows, reading
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.text import clean, read_json
from mirrorset.errors import InputError
from mirrorset.records import AgeBand, Reason, Rejected, Tone

T = TypeVar("T", bound=str)

_CONSENTS = "consent.csv"
_FIELDS = ("consent_id", "licence", "author", "subject_id", "age_band", "tone")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_SIDECAR_MAX_BYTES = 100_000
# Ids are kept one a line, and fsspec chains addresses by "::".
_UNKEEPABLE = re.compile("[\0-\x1f\x7f\ud800-\udfff]|::")


class FolderStart(SourceStart):
    """A folder of consented captures.

    path: local, or any address that fsspec reads ("s3://bucket/captures"). Consents stand in its
    `consent.csv`, a row a picture and person:

        file,consent_id,licence,author
        day-1/ada.jpg,C-0001,consented,Studio North

    file: path below the folder, with "/". consent_id: what your own files keep the consent under.
    licence: "consented" where the people in the picture agreed to the intended use and nothing
    is granted to others, or a public licence ("CC BY 4.0"). author: may be left out. A picture
    with several people has a row for each.

    Three more columns may say something of the person: subject_id, the same in all pictures of one
    person, so that these lie in one split; age_band (18-29, 30-44, 45-59, 60+) and tone (light,
    medium, dark), which are only counted over the whole dataset.

    `day-1/ada.json` beside a picture `day-1/ada.jpg` may hold the same keys, file left out; it
    adds to what the rows say, and where both say something, it decides.
    """

    source: Literal["folder"] = "folder"
    path: str = Field(min_length=1)


class Folder(Source[FolderStart]):
    """Walks the folder, one ask a folder below it. Hidden files and sidecars are no items."""

    name = "folder"

    @property
    def title(self) -> str:
        """The folder by its path."""
        return f"folder {self.start.path}"

    @property
    def address(self) -> str:
        """The folder's path; somebody answers for the people in it wherever it lies."""
        return self.start.path

    def begin(self) -> Iterator[Ask]:
        """The folder itself."""
        yield self._ask("", "listing")

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """The pictures of one folder and the folders in it, in the order of their names.

        Raises InputError where folder or consents cannot be read, UnavailableError where their
        store cannot be reached.
        """
        del answer
        path = str(ask.carried["path"])
        if ask.kind == "page":
            yield self._read_again(path)
            return
        if not path:
            yield from self._misplaced
        entries = self._entries(path)
        for name, entry in entries.items():
            below = posixpath.join(path, name)
            if name.startswith(".") or _is_sidecar(below):
                continue
            if entry["type"] == "directory" and not _fault(below, entry):
                yield self._ask(below, "listing")
            else:
                yield self._read_entry(below, entry, entries)

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask:
        """The file and its consents again."""
        del page_url, image_url
        return self._ask(source_item_id, "page")

    def _ask(self, path: str, kind: Literal["listing", "page"]) -> Ask:
        address = posixpath.join(self.start.path.strip("/"), path)
        return Ask(
            url=f"folder:///{quote(address)}",
            kind=kind,
            source_item_id=path if kind == "page" else "",
            carried={"path": path},
        )

    @cached_property
    def _place(self) -> tuple[Any, str]:
        fs, root = filesystem(self.start.path)
        with reading(root):
            if not fs.isdir(root):
                raise InputError(f"The folder {self.start.path} does not exist.")
        return fs, root

    def _entries(self, path: str) -> dict[str, dict[str, Any]]:
        """What lies in the folder `path`, by name: fsspec's infos."""
        fs, root = self._place
        folder = posixpath.join(root, path).rstrip("/")
        with reading(folder):
            infos = fs.ls(folder, detail=True)
        paths = {str(info["name"]).rstrip("/"): info for info in infos}
        # Buckets may list a folder as an empty object in itself.
        paths.pop(folder, None)
        return {path.rpartition("/")[2]: paths[path] for path in sorted(paths)}

    @cached_property
    def _rows(self) -> list[Row]:
        fs, root = self._place
        with reading(root):
            is_there = fs.isfile(f"{root}/{_CONSENTS}")
        return list(read_rows(fs, f"{root}/{_CONSENTS}", ["file"], _FIELDS)) if is_there else []

    @cached_property
    def _consents(self) -> dict[str, list[Row]]:
        """Rows of consent.csv by the path that they name."""
        consents: dict[str, list[Row]] = {}
        for row in self._rows:
            consents.setdefault(posixpath.normpath(row["file"]), []).append(row)
        return consents

    @property
    def _misplaced(self) -> Iterator[Rejected]:
        """Rows of consent.csv that lead out of the folder, or nowhere."""
        for number, row in enumerate(self._rows, start=1):
            path = posixpath.normpath(row["file"])
            if not row["file"] or posixpath.isabs(path) or path.split("/")[0] in (".", ".."):
                detail = f"Row {number} of {_CONSENTS} names no file below the folder: “{path}”."
                yield self._refused(f"{_CONSENTS}#{number}", Reason.NOT_AN_IMAGE, detail)

    def _read_again(self, path: str) -> Candidate | Rejected:
        folder, name = posixpath.split(path)
        entries = self._entries(folder)
        if name in entries:
            return self._read_entry(path, entries[name], entries)
        return self._refused(path, Reason.HTTP_ERROR, "The file is no longer there.")

    def _read_entry(
        self, path: str, entry: dict[str, Any], beside: dict[str, dict[str, Any]]
    ) -> Candidate | Rejected:
        fault = _fault(path, entry)
        if fault:
            return self._refused(path, Reason.NOT_AN_IMAGE, fault)
        sidecar = f"{posixpath.splitext(posixpath.basename(path))[0]}.json"
        try:
            said = self._sidecar(beside[sidecar]) if sidecar in beside else {}
        except (ValueError, RecursionError, InputError):
            detail = f"No consent: {sidecar} is no small JSON object."
            return self._refused(path, Reason.LICENCE_MISSING, detail)
        consents = [row | said for row in self._consents.get(path, [{}])]
        if not all(consent.get("consent_id") for consent in consents):
            detail = f"No consent: {_CONSENTS} names no consent_id for this file."
            return self._refused(path, Reason.LICENCE_MISSING, detail)
        if fault := _fault_of_age(consents):
            return self._refused(path, Reason.MINOR_DOUBT, fault)
        read_from = sidecar if "licence" in said else _CONSENTS
        permit = judge(_statements(read_from, consents), self.terms.intended_use)
        if isinstance(permit, Refusal):
            return self._refused(path, permit.reason, permit.detail)
        return self._candidate(path, entry, permit, consents)

    def _sidecar(self, entry: dict[str, Any]) -> Row:
        """Raises ValueError or RecursionError where it is no sidecar."""
        if entry["type"] != "file" or entry["size"] > _SIDECAR_MAX_BYTES:
            raise ValueError("no small file")
        fs, _ = self._place
        with reading(entry["name"]):
            content = fs.cat_file(entry["name"])
        said = read_json(content)
        if not isinstance(said, dict):
            raise ValueError("no object")
        return {name: str(said[name] or "").strip() for name in _FIELDS if name in said}

    def _candidate(
        self, path: str, entry: dict[str, Any], permit: Permit, consents: Sequence[Row]
    ) -> Candidate:
        fs, _ = self._place
        return Candidate(
            source=self.name,
            source_item_id=path,
            page_url="",
            image_url=str(fs.unstrip_protocol(entry["name"])),
            author=next((row["author"] for row in consents if row.get("author")), ""),
            permit=permit,
            version=_version(entry),
            subject_ids=tuple(sorted({row.get("subject_id", "") for row in consents} - {""})),
            age_band=_said_of_all(consents, "age_band", get_args(AgeBand), path),
            tone=_said_of_all(consents, "tone", get_args(Tone), path),
        )

    def _refused(self, path: str, reason: Reason, detail: str) -> Rejected:
        # Line breaks would break lists of ids.
        name = " ".join(clean(path).split())
        return rejected(self.name, name, "", Refusal(reason=reason, detail=detail))


def _is_sidecar(path: str) -> bool:
    return path == _CONSENTS or path.endswith(".json")


def _fault(path: str, entry: dict[str, Any]) -> str:
    """Why a file cannot be an item, or ""."""
    if _UNKEEPABLE.search(path):
        return "The name holds “::” or characters that cannot be kept: rename it."
    if entry.get("islink"):
        return "It is a link, which may lead out of the folder: put the file itself here."
    if entry["type"] == "directory":
        return ""
    if entry["type"] != "file":
        return "It is no file."
    if not path.lower().endswith(_IMAGE_SUFFIXES):
        return f"Its name ends in none of {', '.join(_IMAGE_SUFFIXES)}."
    return ""


def _fault_of_age(consents: Sequence[Row]) -> str:
    """Why the people shown may not all be adults, or ""."""
    bands = get_args(AgeBand)
    stated = (consent.get("age_band") for consent in consents)
    odd = next((band for band in stated if band and band not in bands), None)
    return f"Its age_band “{odd}” is none of {', '.join(bands)}: adults only." if odd else ""


def _said_of_all(consents: Sequence[Row], name: str, values: tuple[T, ...], path: str) -> T | None:
    """What is said of every person shown alike. Raises InputError where it is none of `values`."""
    said = {consent.get(name, "") for consent in consents}
    if odd := said - {"", *map(str, values)}:
        raise InputError(
            f"{_CONSENTS} or the file beside {path}: {name} “{min(odd)}” is none of "
            f"{', '.join(map(str, values))}."
        )
    return next((value for value in values if said == {value}), None)


def _statements(read_from: str, consents: Sequence[Row]) -> list[Statement]:
    """What is stated of each person; nothing where one of them is passed over."""
    if not all(consent.get("licence") for consent in consents):
        return []
    return [
        Statement(
            read_from=f"{read_from}:consent_id={consent['consent_id']}", text=consent["licence"]
        )
        for consent in consents
    ]


def _version(entry: dict[str, Any]) -> str:
    """The store's own mark of a file's state: its ETag, or size and time of change."""
    times = (entry[name] for name in ("mtime", "LastModified", "created") if name in entry)
    return str(entry.get("ETag") or f"{entry['size']}-{next(times, '')}").strip('"')
