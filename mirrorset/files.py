"""Files that are whole or absent: written aside, flushed, renamed."""

import heapq
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from mirrorset.errors import InputError, first_fault

R = TypeVar("R", bound=BaseModel)
_SORTED_AT_ONCE = 1000
_A_RUN = 20_000


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path`, on failure it is removed.

    A process killed midway leaves at most a dot-file `.NAME.XXXX.part`, never half of `path`. An
    OSError names `path`: what a full disk says names no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    except OSError as error:
        if error.filename in (None, os.fspath(aside)):
            error.filename = os.fspath(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on success it takes the place of `path`.

    A process killed midway leaves at most the dot-folder `.NAME.part`, which the next run clears
    away; so only one process at a time may write `path`. What stood at `path` is removed: callers
    check that it is theirs. An OSError that names no file, as of a full disk, names `path`.
    """
    aside = path.with_name(f".{path.name}.part")
    replaced = path.with_name(f".{path.name}.old")
    for leftover in (aside, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        if path.exists():
            path.replace(replaced)
        aside.replace(path)
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed processes had begun to write below `folder`, at any depth.

    For when nobody else is writing there. Raises OSError where one cannot be removed.
    """
    for leftover in [path for ending in ("part", "old") for path in folder.rglob(f".*.{ending}")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 `content` to `path`, whole or not at all."""
    write_bytes(path, content.encode())


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write one record a line as JSON; returns how many."""
    count = 0
    with written_aside(path) as aside, aside.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(record.model_dump_json() + "\n")
            count += 1
    return count


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """Read records written by `write_records`.

    Raises InputError naming file and line where a line is not such a record.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield kind.model_validate_json(line)
                except ValidationError as error:
                    where, fault = first_fault(error)
                    raise InputError(
                        f"{path}:{number} is not a {kind.__name__}: {where or 'the line'}: {fault}."
                    ) from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None


def part_file(number: int) -> str:
    """The name of a part in a folder of records: "00007.jsonl"."""
    return f"{number:05d}.jsonl"


def parts_of(folder: Path) -> list[Path]:
    """The parts of a folder of records, in order of their numbers; none where it is not there."""
    return sorted(folder.glob("[0-9]*.jsonl"), key=lambda part: int(part.stem))


def write_parts(
    folder: Path, records: Iterable[tuple[int, BaseModel]], numbers: Iterable[int] = ()
) -> None:
    """Write a folder of records in place of `folder`: one file for each part.

    records: each with the number of its part, within which the order stays. numbers: of the parts
    that are there even without a record. DVC sends a file once: parts that do not change are not
    sent again.
    """
    with parts_written(folder) as parts:
        for number in numbers:
            parts.touch(number)
        for number, record in records:
            parts.add(number, record)


@contextmanager
def parts_written(folder: Path, is_sorting: bool = False) -> Iterator["Parts"]:
    """What writes a folder of records in place of `folder`, whole or not at all.

    is_sorting: in a part, records come in order of their lines, so of their first field; else in
    the order in which they are added.
    """
    with folder_written_aside(folder) as aside:
        parts = Parts(aside)
        yield parts
        parts.flush()
        if is_sorting:
            for part in parts_of(aside):
                lines = part.read_bytes().splitlines(keepends=True)
                part.write_bytes(b"".join(sorted(lines)))


class Parts:
    """The parts of a folder while they are written. Memory holds a thousand records at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batch: list[tuple[int, str]] = []

    def touch(self, number: int) -> None:
        """Let a part be there even without a record."""
        (self._folder / part_file(number)).touch()

    def add(self, number: int, record: BaseModel) -> None:
        """Add a record to a part."""
        self._batch.append((number, record.model_dump_json() + "\n"))
        if len(self._batch) == _SORTED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what memory holds."""
        self._batch.sort(key=itemgetter(0))
        for number, own in groupby(self._batch, key=itemgetter(0)):
            with (self._folder / part_file(number)).open("a", encoding="utf-8") as out:
                out.writelines(line for _, line in own)
        self._batch.clear()


class SortedRecords:
    """Records that are written in order of their lines, so of their first field.

    Memory holds some thousands; the rest waits in temporary files.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._runs: list[IO[str]] = []

    def add(self, record: BaseModel) -> None:
        """Add one."""
        self._lines.append(record.model_dump_json() + "\n")
        if len(self._lines) == _A_RUN:
            run = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (closed by `write`)
            run.writelines(sorted(self._lines))
            run.seek(0)
            self._runs.append(run)
            self._lines = []

    def write(self, path: Path) -> None:
        """Write all of them to `path`, whole or not at all; none can be added afterwards."""
        with written_aside(path) as aside, aside.open("w", encoding="utf-8") as out:
            out.writelines(heapq.merge(*self._runs, sorted(self._lines)))
        for run in self._runs:
            run.close()


def read_parts(folder: Path, kind: type[R]) -> Iterator[R]:
    """Read what `write_parts` has written, part by part.

    Raises InputError where `folder` is absent, and as `read_records` does.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist.")
    for part in parts_of(folder):
        yield from read_records(part, kind)
