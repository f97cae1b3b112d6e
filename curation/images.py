"""Image shards: images/NNNNN.parquet, which never change while their images stay in the release."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.strip import strip
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError
from mirrorset.files import written_aside
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

Row = dict[str, str | bytes | int]

# What a reader takes at once to reach one picture.
_ROWS_A_GROUP = 16


def write_images(path: Path, images: Iterable[ImageRecord], blobs: BlobStore) -> None:
    """Write one shard; the same images in the same order give the same bytes.

    bytes: the original, upright and without location and device traces. width_px, height_px: of
    these bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, (_row(image, blobs) for image in images))


def erase_images(path: Path, image_ids: Collection[str]) -> int:
    """Write a shard anew without the images, as if they had never been; how many it still holds."""
    left = 0

    def kept() -> Iterator[Row]:
        nonlocal left
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS_A_GROUP):
            for row in batch.to_pylist():
                if row["image_id"] not in image_ids:
                    left += 1
                    yield row

    with written_aside(path) as aside:
        _write(aside, kept())
    return left


def _write(path: Path, rows: Iterator[Row]) -> None:
    # JPEG does not compress further, and statistics of bytes would copy pictures into the footer.
    with pq.ParquetWriter(
        path, IMAGES, compression="none", use_dictionary=False, write_statistics=["image_id"]
    ) as writer:
        while group := list(islice(rows, _ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, IMAGES))


def _row(image: ImageRecord, blobs: BlobStore) -> Row:
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
