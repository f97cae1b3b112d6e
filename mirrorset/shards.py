"""The Parquet files of a release: image shards read by image, label shards by column."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mirrorset.errors import InputError, IntegrityError
from mirrorset.fetched import Files

CHECKOUT = "run `dvc checkout` to restore it, or remove it from a cache to have it fetched"


def read_content(files: Files, image_shard: int, image_id: str) -> bytes:
    """The encoded picture of an image.

    Raises InputError where its shard is absent, IntegrityError where it is damaged.
    """
    shard = files.path(f"images/{image_shard:05d}.parquet")
    content = None
    if row_group := bisect_right(_first_ids(shard), image_id):
        content = _contents(shard, row_group - 1).get(image_id)
    if content is None:
        raise IntegrityError(f"{shard} lacks image {image_id}: run `dvc pull` again.")
    return content


@lru_cache(maxsize=1024)
def _first_ids(shard: Path) -> list[str]:
    """The first image of every row group, from the footer: a shard is sorted by image."""
    file = opened(shard)
    column = file.schema_arrow.names.index("image_id")
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    return [group.column(column).statistics.min for group in groups]


@lru_cache(maxsize=4)
def _contents(shard: Path, row_group: int) -> dict[str, bytes]:
    rows = opened(shard).read_row_group(row_group, ["image_id", "bytes"])
    return dict(zip(rows["image_id"].to_pylist(), rows["bytes"].to_pylist(), strict=True))


def opened(path: Path) -> Any:
    """The opened pyarrow.parquet.ParquetFile."""
    # pyarrow takes most of a second to import, which `import mirrorset` should not cost.
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `dvc pull` for the whole release.") from None
    except pyarrow.ArrowInvalid as error:
        raise IntegrityError(f"{path} is not a whole Parquet file ({error}): {CHECKOUT}.") from None


def read_columns(path: Path, columns: Sequence[str]) -> Any:
    """Columns of a file, as a pyarrow.Table; raises as `opened` does."""
    return opened(path).read(list(columns))
