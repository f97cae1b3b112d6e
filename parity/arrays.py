"""Arrays of a pack: a folder of .npy files, one for each image shard that faces come from.

The rows of all files, one file after the other, are the pack's items. A file stays as it is when
images come to the release, and only one changes with an image that goes.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

_SYNCED_AT_ONCE_BYTES = 1 << 23


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
    """Any number of .npy files of the same count of rows, filled row by row within `with`.

    file_of: the file of an array, by its name. At the end of the block all rows are on the disk; it
    is kept busy from early on, so that there is little to wait for then. sha256: of each file by
    its array, then.
    """

    def __init__(self, file_of: Callable[[str], Path], count: int) -> None:
        self._file_of = file_of
        self._count = count
        self._arrays: dict[str, _ArrayFile] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._syncs: list[Future[None]] = []
        self.sha256: dict[str, str] = {}

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            for file in self._arrays.values():
                self._sync(file)
        self._disk.shutdown()
        for file in self._arrays.values():
            file.close()
        if failure is None:
            for sync in self._syncs:
                sync.result()
            self.sha256 = {array: file.sha256 for array, file in self._arrays.items()}

    def put(self, array: str, value: NDArray[Any]) -> None:
        """Write an array's next row; its first one says of which shape and dtype they all are.

        Raises ValueError for a row of another shape.
        """
        if array not in self._arrays:
            self._arrays[array] = _ArrayFile(self._file_of(array), self._count, value)
        file = self._arrays[array]
        file.put(value)
        if file.unsynced_bytes >= _SYNCED_AT_ONCE_BYTES:
            self._sync(file)

    def put_none(self, array: str, like: NDArray[Any]) -> None:
        """Write an array without rows, whose rows would be as `like`."""
        self._arrays[array] = _ArrayFile(self._file_of(array), 0, like)

    def _sync(self, file: "_ArrayFile") -> None:
        file.unsynced_bytes = 0
        self._syncs.append(self._disk.submit(file.sync))


class _ArrayFile:
    """A .npy file of `count` rows like `like`, one after the other."""

    def __init__(self, path: Path, count: int, like: NDArray[Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.unsynced_bytes = 0
        self._shape, self._dtype = like.shape, like.dtype
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        header = io.BytesIO()
        fields = {"shape": (count, *like.shape), "fortran_order": False}
        write_array_header_1_0(header, {**fields, "descr": dtype_to_descr(like.dtype)})
        self._write(header.getbuffer())

    def put(self, value: NDArray[Any]) -> None:
        if value.shape != self._shape:
            raise ValueError(f"{self._file.name} has rows of {self._shape}, not {value.shape}")
        self._write(np.ascontiguousarray(value, self._dtype).reshape(-1).data)

    def _write(self, content: memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)
        self.unsynced_bytes += content.nbytes

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


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
