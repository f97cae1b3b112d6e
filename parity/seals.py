"""Checksums of the files of a folder: made when it is sealed, compared when it is opened."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mirrorset.errors import IntegrityError


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, besides: str) -> dict[str, str]:
    """sha256 of every file of `folder` at any depth, by its path there, but of the file `besides`.

    In order of the paths.
    """
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return {name: file_sha256(folder / name) for name in names if name != besides}


def compare_checksums(folder: Path, files: Mapping[str, str], advice: str) -> None:
    """Raise IntegrityError, with what to do, naming the first of `files` that is another."""
    for name, sha256 in files.items():
        file = folder / name
        if not file.is_file() or file_sha256(file) != sha256:
            raise IntegrityError(f"{file} is missing or was changed: {advice}.")
