"""What an item must meet, and real pixels to judge."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """A real photograph, encoded: `encoded("JPEG", size=(256, 256), **save_options)`."""

    def encode(kind: str, size: tuple[int, int] = (256, 256), **options: Any) -> bytes:
        out = BytesIO()
        Image.fromarray(data.astronaut()).resize(size).save(out, kind, **options)
        return out.getvalue()

    return encode
