"""A picture of a release, as the forms are given it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirrorset.errors import IntegrityError
from mirrorset.load import Item
from mirrorset.pixels import decode
from mirrorset.records import Split
from mirrorset.sniff import sniff

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"}


@dataclass(frozen=True)
class Picture:
    """An item and its encoded bytes, upright as released. suffix: "jpg", "png", …"""

    item: Item
    content: bytes
    suffix: str

    @property
    def file_name(self) -> str:
        """The image_id with the suffix."""
        return f"{self.item.image_id}.{self.suffix}"

    def labels(self) -> bytes:
        """JSON of the fields of `mirrorset.records.Annotation`, with split, group, size and
        receipt; coordinates are px of the upright image, as in a release.
        """
        item = self.item
        labels = {
            "split": item.split,
            "group_id": item.group_id,
            "width_px": item.width_px,
            "height_px": item.height_px,
            **item.annotation.model_dump(mode="json", exclude={"provenance"}),
            "licence": item.licence.model_dump(),
            "author": item.author,
            "source": item.source,
            "page_url": item.page_url,
        }
        return json.dumps(labels).encode()


#: What `write` of every form is given: the pictures of each split that is converted.
Splits = Mapping[Split, Iterable[Picture]]


def picture_of(item: Item) -> Picture:
    """The item's released bytes.

    Raises InputError or IntegrityError where the bytes are absent, damaged or of another size.
    """
    content = item.content()
    if decode(content).shape[:2] != (item.height_px, item.width_px):
        raise IntegrityError(f"Image {item.image_id} has another size than its labels say.")
    return Picture(item, content, _SUFFIXES[sniff(content).media_type])
