"""An order to parse for, and real pixels to judge."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from crawlers.order import CrawlOrder, GalleryStart


@pytest.fixture
def order(tmp_path: Path) -> CrawlOrder:
    return CrawlOrder(
        start=GalleryStart(url="http://example.org/sitemap.xml"),
        intended_use="research",
        blobs_url=str(tmp_path / "blobs"),
        spool=tmp_path / "spool",
        log=tmp_path / "crawl.log",
        contact="crawl@example.org",
    )


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """A real photograph, encoded: `encoded("JPEG", size=(256, 256), **save_options)`."""

    def encode(kind: str, size: tuple[int, int] = (256, 256), **options: Any) -> bytes:
        out = BytesIO()
        Image.fromarray(data.astronaut()).resize(size).save(out, kind, **options)
        return out.getvalue()

    return encode
