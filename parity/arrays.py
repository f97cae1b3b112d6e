"""Arrays of a pack: a folder of .npy files, one for each image shard that faces come from.

The rows of all files, one file after the other, are the pack's items. A file stays as it is when
images come to the release, and only one changes with an image that goes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray


def array_file(folder: Path, shard: int) -> Path:
    """The file of one image shard."""
    return folder / f"{shard:05d}.npy"


def array_files(folder: Path) -> list[Path]:
    """The files of an array, in order of their rows."""
    return sorted(folder.glob("[0-9]*.npy"), key=lambda file: int(file.stem))


def read_array(folder: Path) -> NDArray[Any]:
    """The whole array (N, …)."""
    return np.concatenate([np.load(file) for file in array_files(folder)])


class RowWriter:
    """Any number of .npy files of the same count of rows, filled row by row and kept on disk.

    file_of: the file of an array, by its name.
    """

    def __init__(self, file_of: Callable[[str], Path], count: int) -> None:
        self._file_of = file_of
        self._count = count
        self._arrays: dict[str, NDArray[Any]] = {}

    def put(self, array: str, row: int, value: NDArray[Any]) -> None:
        """Write one row; an array's first one says of which shape and dtype they all are."""
        if array not in self._arrays:
            self._arrays[array] = self._opened(array, value)
        self._arrays[array][row] = value

    def put_none(self, array: str, like: NDArray[Any]) -> None:
        """Write an array without rows, whose rows would be as `like`."""
        file = self._file_of(array)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.empty((0, *like.shape), like.dtype))

    def _opened(self, array: str, like: NDArray[Any]) -> NDArray[Any]:
        file = self._file_of(array)
        file.parent.mkdir(parents=True, exist_ok=True)
        shape = (self._count, *like.shape)
        return np.asanyarray(open_memmap(file, mode="w+", dtype=like.dtype, shape=shape))

    def close(self) -> None:
        """Bring all rows to the disk."""
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        self._arrays.clear()


def erase_rows(folder: Path, kept: Sequence[int]) -> None:
    """Write the files anew that hold other rows than `kept`; one that none is left of goes.

    kept: rows of the whole array, rising.
    """
    wanted, first, files = set(kept), 0, array_files(folder)
    for file in files:
        values = np.load(file)
        rows = [row for row in range(len(values)) if first + row in wanted]
        first += len(values)
        if rows or (not kept and file == files[0]):
            if len(rows) < len(values):
                np.save(file, values[rows])
        else:
            file.unlink()
