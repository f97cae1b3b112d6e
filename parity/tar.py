"""A folder as one file, the same bytes each time."""

import tarfile
from pathlib import Path

from mirrorset.files import written_aside


def tar_of(folder: Path) -> Path:
    """Where the tar of `folder` lies: beside it."""
    return folder.with_name(f"{folder.name}.tar")


def write_tar(folder: Path, path: Path) -> None:
    """Write all files of `folder`, in order of their names, under its name, as the tar `path`.

    Nothing of the machine goes in: no owner, no time, one mode.
    """
    with written_aside(path) as aside, tarfile.open(aside, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = tarfile.TarInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}")
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)
