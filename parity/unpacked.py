"""A run as it comes from a device: a folder, a tar or an .npz → a folder of .npy files."""

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mirrorset.errors import InputError
from mirrorset.paths_within import is_within, named_twice

RUN_FILE = "run.json"
ARRAYS_FILE = "run.npz"
_LARGEST_BYTES = 16 * 1024**3


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a folder with run.json and the arrays of the run at `path`; it goes in the end.

    A folder or tar holds them, or run.json and run.npz; an .npz holds all, or has run.json beside
    it. Raises InputError where it is none of these, or holds what no run holds.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorset-run-") as made:
        folder = Path(made)
        if path.is_dir():
            _refuse_links(path)
            shutil.copytree(path, folder, dirs_exist_ok=True, symlinks=True)
        elif path.is_file() and _is_tar(path):
            _untar(path, folder)
        elif path.is_file() and zipfile.is_zipfile(path):
            _unzip(path, folder)
            beside = path.with_name(RUN_FILE)
            if not (folder / RUN_FILE).exists() and beside.is_file():
                shutil.copyfile(beside, folder / RUN_FILE)
        else:
            raise InputError(
                f"{path} is no folder, tar or .npz of a run: give what a device wrote."
            )
        root = _root(folder, path)
        if (root / ARRAYS_FILE).is_file():
            if not zipfile.is_zipfile(root / ARRAYS_FILE):
                raise InputError(f"{ARRAYS_FILE} of {path} cannot be read: copy the run again.")
            _unzip(root / ARRAYS_FILE, root)
        yield root


def _refuse_links(path: Path) -> None:
    """Raise InputError where a folder holds what is read from elsewhere, or without end."""
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            mode = (Path(folder) / name).lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise InputError(f"{path} holds links or devices: copy plain files alone.")


def _root(folder: Path, path: Path) -> Path:
    """Where run.json lies: at the top, or in the one folder there."""
    found = [each.parent for each in (folder / RUN_FILE, *folder.glob(f"*/{RUN_FILE}"))]
    found = [each for each in found if (each / RUN_FILE).is_file()]
    if not found:
        raise InputError(f"{path} has no {RUN_FILE}: give a run as docs/device-protocol.md has it.")
    return found[0]


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except EOFError:  # of a compressed one that is cut
        return False


def _untar(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            members = [each for each in archive if not each.isdir()]
            if not all(each.isfile() for each in members):
                raise InputError(f"{path} holds links or devices: pack plain files alone.")
            _require_size(path, sum(each.size for each in members))
            _require_once(path, [each.name for each in members])
            for member in members:
                content = archive.extractfile(member)
                if content is not None:
                    _write(path, folder, member.name, content)
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise InputError(f"{path} cannot be unpacked ({error}): copy the run again.") from None


def _unzip(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _require_size(path, sum(each.file_size for each in members))
            _require_once(path, [each.filename for each in members])
            for member in members:
                with archive.open(member) as content:
                    _write(path, folder, member.filename, content)
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
        *(RuntimeError, NotImplementedError),  # an encrypted member, an unknown compression
    ) as error:
        raise InputError(f"{path} cannot be unpacked ({error}): copy the run again.") from None


def _write(path: Path, folder: Path, name: str, content: IO[bytes]) -> None:
    name = name.removeprefix("./")
    if not is_within(name):
        raise InputError(f"{path} names {name[:200]!r}, which lies outside of it: do not use it.")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(content, out)


def _require_once(path: Path, names: list[str]) -> None:
    if twice := named_twice(names):
        raise InputError(f"{path} holds {twice[:200]!r} twice: pack the run again.")


def _require_size(path: Path, size_bytes: int) -> None:
    if size_bytes > _LARGEST_BYTES:
        raise InputError(
            f"{path} unpacks to {size_bytes / 1024**3:.0f} GiB, more than any run has."
        )
