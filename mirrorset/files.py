"""Files that are whole or absent: written aside, flushed, renamed."""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mirrorset.errors import InputError, first_fault

R = TypeVar("R", bound=BaseModel)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path`, on failure it is removed.

    A process killed midway leaves at most a dot-file `.NAME.XXXX.part`, never half of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; on success it takes the place of `path`.

    A process killed midway leaves at most the dot-folder `.NAME.part`, which the next run clears
    away; so only one process at a time may write `path`. What stood at `path` is removed: callers
    check that it is theirs.
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
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed processes had begun to write below `folder`, at any depth.

    For when nobody else is writing there.
    """
    for leftover in [path for ending in ("part", "old") for path in folder.rglob(f".*.{ending}")]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
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
