"""A picture of a release as every reader will show it: upright without reading EXIF."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PIL import ExifTags, Image

from mirrorset.errors import IntegrityError
from mirrorset.load import Item
from mirrorset.pixels import decode
from mirrorset.records import Split
from mirrorset.sniff import sniff

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"}


@dataclass(frozen=True)
class Picture:
    """An item and its encoded bytes, whose stored pixels lie upright. suffix: "jpg", "png", …"""

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
    """The item's released bytes; one that EXIF turns is turned, and written as PNG, which loses
    nothing: labels are of the upright image, and not every reader looks at EXIF.

    Raises InputError or IntegrityError where the bytes are absent, damaged or of another size.
    """
    content = item.content()
    rgb = decode(content)
    if rgb.shape[:2] != (item.height_px, item.width_px):
        raise IntegrityError(f"Image {item.image_id} has another size than its labels say.")
    with Image.open(io.BytesIO(content)) as stored:
        is_upright = stored.getexif().get(ExifTags.Base.Orientation, 1) not in range(2, 9)
        profile = stored.info.get("icc_profile") if stored.mode == "RGB" else None
    if is_upright:
        return Picture(item, content, _SUFFIXES[sniff(content).media_type])
    turned = io.BytesIO()
    Image.fromarray(rgb).save(turned, "PNG", icc_profile=profile)
    return Picture(item, turned.getvalue(), "png")
