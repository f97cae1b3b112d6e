"""Pictures beside a page are small, bare of metadata, made once, and go when no image has them."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from reports.pictures import Pictures

RGB = np.full((240, 300, 3), 120, np.uint8)
ID, OTHER = "ab" * 32, "cd" * 32


def test_they_are_small_and_free_of_metadata(tmp_path: Path) -> None:
    Pictures(tmp_path, 64).add(ID, RGB)
    with Image.open(tmp_path / "pictures-64" / "ab" / f"{ID}.jpg") as picture:
        assert picture.size == (64, 51)
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_one_that_is_there_is_kept_and_others_go(tmp_path: Path) -> None:
    first = Pictures(tmp_path, 64)
    first.add(ID, RGB)
    first.add(OTHER, RGB)
    second = Pictures(tmp_path, 64)
    assert second.keep(ID)
    second.clear()
    assert [path.stem for path in tmp_path.rglob("*.jpg")] == [ID]
    assert not Pictures(tmp_path, 64).keep(OTHER)


def test_what_a_killed_run_left_aside_goes(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 64)
    pictures.add(ID, RGB)
    aside = tmp_path / "pictures-64" / "ab" / f".{ID}.jpg.{os.getpid()}.part"
    aside.write_bytes(b"half")
    pictures.clear()
    assert not aside.exists()
