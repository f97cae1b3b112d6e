"""Pictures beside a page: small JPEGs in its folder, which the browser loads when it shows them."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirrorset.files import write_bytes

_QUALITY = 80


class Pictures:
    """The folder of a page's pictures, `ID[:2]/ID.jpg` each. What is there is not made again.

    A picture never changes: its name is the hash of the original's bytes, and the folder's name
    tells `side_px`, its longer side.
    """

    def __init__(self, beside: Path, side_px: int) -> None:
        self.folder = beside / f"pictures-{side_px}"
        self._side_px = side_px
        self._kept: set[Path] = set()

    def keep(self, image_id: str) -> bool:
        """Keep the picture, if it is there, when `clear` removes others."""
        path = self._path(image_id)
        self._kept.add(path)
        return path.exists()

    def add(self, image_id: str, rgb: NDArray[np.uint8]) -> None:
        """Write (H, W, 3) uint8 scaled down; a smaller picture keeps its size.

        The JPEG is made from pixels alone, so nothing of the original's metadata is in it.
        """
        image = Image.fromarray(rgb)
        image.thumbnail((self._side_px, self._side_px), Image.Resampling.LANCZOS)
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=_QUALITY, optimize=True)
        write_bytes(self._path(image_id), encoded.getvalue())
        self._kept.add(self._path(image_id))

    def address(self, image_id: str) -> str:
        """Where the page finds the picture."""
        return self._path(image_id).relative_to(self.folder.parent.parent).as_posix()

    def clear(self) -> None:
        """Remove the pictures that no image of the page has any more, and what lies about."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self._kept:
                path.unlink()

    def _path(self, image_id: str) -> Path:
        return self.folder / image_id[:2] / f"{image_id}.jpg"
