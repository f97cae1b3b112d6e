"""Image shards: images/NNNNN.parquet, which never change while their images stay in the release."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.strip import strip
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError
from mirrorset.records import ImageRecord

IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("bytes", pa.binary(), nullable=False),
        pa.field("media_type", pa.string(), nullable=False),
        pa.field("width_px", pa.int32(), nullable=False),
        pa.field("height_px", pa.int32(), nullable=False),
    ]
)

# What a reader takes at once to reach one picture.
_ROWS_A_GROUP = 16


def write_images(path: Path, images: Iterable[ImageRecord], blobs: BlobStore) -> None:
    """Write one shard; the same images in the same order give the same bytes.

    bytes: the original without location and device traces. width_px, height_px: upright.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # JPEG does not compress further, and statistics of bytes would copy pictures into the footer.
    with pq.ParquetWriter(
        path, IMAGES, compression="none", use_dictionary=False, write_statistics=["image_id"]
    ) as writer:
        rows = (_row(image, blobs) for image in images)
        while group := list(islice(rows, _ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, IMAGES))


def _row(image: ImageRecord, blobs: BlobStore) -> dict[str, str | bytes | int]:
    try:
        content = strip(blobs.get(image.image_id), image.media_type)
    except InputError as error:
        raise InputError(f"Image {image.image_id} cannot be released: {error}") from None
    return {
        "image_id": image.image_id,
        "bytes": content,
        "media_type": image.media_type,
        "width_px": image.width_px,
        "height_px": image.height_px,
    }
