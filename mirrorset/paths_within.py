"""Paths of files below a folder, as strangers name them: in archives, cards and lists."""

import unicodedata
from collections.abc import Iterable
from pathlib import PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

from mirrorset.records import Sha256

# The most that common file systems take of one name.
_LONGEST_BYTES = 255


def is_within(name: str) -> bool:
    r"""Whether a path leads to a place below the folder that it is read from, on every system.

    >>> is_within("labels/train-00000.parquet"), is_within("../x"), is_within("C:\\x")
    (True, False, False)
    """
    parts = name.split("/")
    return (
        "\\" not in name
        and not PureWindowsPath(name).drive
        and not any(unicodedata.category(one) in ("Cc", "Cs") for one in name)
        and all(part not in ("", ".", "..") for part in parts)
        and all(len(part.encode()) <= _LONGEST_BYTES for part in parts)
    )


def named_twice(names: Iterable[str]) -> str | None:
    """The first name that some file system takes for one that came before, or None.

    >>> named_twice(["a/b.npy", "A/B.npy"])
    'A/B.npy'
    """
    seen: set[str] = set()
    for name in names:
        plain = unicodedata.normalize("NFC", name).casefold()
        if plain in seen:
            return name
        seen.add(plain)
    return None


def _within(name: str) -> str:
    if not is_within(name):
        raise ValueError(f"{name!r} is no path below the folder")
    return name


def _all_within(files: dict[str, str]) -> dict[str, str]:
    for name in files:
        _within(name)
    if twice := named_twice(files):
        raise ValueError(f"{twice!r} is named twice")
    return files


#: A path below the folder that its record is in.
PathWithin = Annotated[str, AfterValidator(_within)]
#: Checksums of files by such paths.
FilesWithin = Annotated[dict[str, Sha256], AfterValidator(_all_within)]
