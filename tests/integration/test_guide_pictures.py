"""The guides' pictures are what their script draws."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.guides.pictures import FOLDER, draw_all


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), int)


def test_the_pictures_are_those_that_the_script_draws(model_cache: Path, tmp_path: Path) -> None:
    draw_all(tmp_path, model_cache)
    drawn = {path.name: path for path in tmp_path.glob("*.png")}
    assert set(drawn) == {path.name for path in FOLDER.glob("*.png")}
    for name, path in drawn.items():
        new, kept = (
            np.asarray(Image.open(one).convert("RGB"), int) for one in (path, FOLDER / name)
        )
        assert new.shape == kept.shape
        # Points move by fractions of a pixel from processor to processor.
        assert np.abs(new - kept).mean() == pytest.approx(0, abs=2), name
