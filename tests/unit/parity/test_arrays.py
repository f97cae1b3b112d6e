"""Arrays that are written row by row."""

import errno
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirrorset.files import folder_written_aside
from parity import arrays
from parity.arrays import RowWriter

ARRAYS: dict[str, NDArray[Any]] = {
    "picture": np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3),
    "points": np.linspace(0, 1, 5 * 7 * 2).reshape(5, 7, 2),
    "label": np.array([3, -1, 0, 2, 1]),
}


def written(folder: Path) -> RowWriter:
    """All of `ARRAYS`, one row of each at a time."""
    with RowWriter(lambda array: folder / "own" / f"{array}.npy", 5) as writer:
        for row in range(5):
            for name, values in ARRAYS.items():
                writer.put(name, np.asarray(values[row]))
    return writer


@pytest.mark.parametrize("synced_at_once", [1, 100, 1 << 23])
def test_files_are_those_that_numpy_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced_at_once: int
) -> None:
    monkeypatch.setattr(arrays, "_SYNCED_AT_ONCE_BYTES", synced_at_once)
    writer = written(tmp_path)
    for name, values in ARRAYS.items():
        whole = io.BytesIO()
        np.save(whole, values)
        content = (tmp_path / "own" / f"{name}.npy").read_bytes()
        assert content == whole.getvalue()
        assert writer.sha256[name] == hashlib.sha256(content).hexdigest()


def test_rows_in_another_order_of_memory_are_written_in_rows(tmp_path: Path) -> None:
    turned = np.arange(12.0).reshape(3, 4).T
    with RowWriter(lambda array: tmp_path / f"{array}.npy", 1) as writer:
        writer.put("turned", turned)
    assert np.array_equal(np.load(tmp_path / "turned.npy"), turned[None])


def test_an_array_without_rows_keeps_the_shape_of_one(tmp_path: Path) -> None:
    with RowWriter(lambda array: tmp_path / f"{array}.npy", 0) as writer:
        writer.put_none("points", like=np.zeros((7, 2)))
    assert np.load(tmp_path / "points.npy").shape == (0, 7, 2)


def test_a_row_of_another_shape_is_refused(tmp_path: Path) -> None:
    with RowWriter(lambda array: tmp_path / f"{array}.npy", 2) as writer:
        writer.put("points", np.zeros((7, 2)))
        with pytest.raises(ValueError, match=r"points\.npy has rows of \(7, 2\), not \(7, 3\)"):
            writer.put("points", np.zeros((7, 3)))


def test_a_full_disk_is_an_error_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with (
        pytest.raises(OSError, match="No space left on device") as failure,
        folder_written_aside(tmp_path / "run") as aside,
    ):
        written(aside)
    assert failure.value.filename == str(tmp_path / "run")
    assert not (tmp_path / "run").exists()
