"""Label shards: labels/SPLIT-NNNNN.parquet, the labels of what images/NNNNN.parquet holds."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.coverage import COUNTED_TAGS
from curation.records import Attribution
from mirrorset.files import written_aside
from mirrorset.records import DatasetItem, Face


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields.items()])


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False))


_TEXT, _INT, _FLOAT = pa.string(), pa.int32(), pa.float64()

_LANDMARKS = _struct(
    schema=_TEXT,
    points=_list(pa.list_(pa.field("element", _FLOAT, nullable=False), 2)),
    visibility=_list(pa.int8()),
    confidence=_list(_FLOAT),
)
_POSE = _struct(yaw_deg=_FLOAT, pitch_deg=_FLOAT, roll_deg=_FLOAT)
_LIGHTING = _struct(side=_TEXT, level=_FLOAT, evenness=_FLOAT, colour_cast=_FLOAT)
_QUALITY = _struct(
    inter_eye_distance_px=_FLOAT,
    head_size=_FLOAT,
    sharpness=_FLOAT,
    luminance_mean=_FLOAT,
    luminance_variance=_FLOAT,
    under_exposure=_FLOAT,
    over_exposure=_FLOAT,
    dynamic_range=_FLOAT,
    illumination_uniformity=_FLOAT,
    eyes_open=_FLOAT,
    mouth_closed=_FLOAT,
    margin_left=_FLOAT,
    margin_right=_FLOAT,
    margin_above=_FLOAT,
    margin_below=_FLOAT,
)
_FACE = pa.struct(
    [
        pa.field("face_id", _TEXT, nullable=False),
        pa.field("box", pa.list_(pa.field("element", _FLOAT, nullable=False), 4), nullable=False),
        pa.field("score", _FLOAT, nullable=False),
        pa.field("landmarks", _list(_LANDMARKS), nullable=False),
        pa.field("uncertainty", _FLOAT),
        pa.field("pose", _POSE),
        pa.field("lighting", _LIGHTING),
        pa.field("quality", _QUALITY),
        pa.field("blendshapes", _list(_struct(name=_TEXT, value=_FLOAT)), nullable=False),
        pa.field("attributes", _list(_struct(name=_TEXT, value=_TEXT)), nullable=False),
    ]
)
_MASK = _struct(label=_TEXT, left=_INT, top=_INT, right=_INT, bottom=_INT, rle=_list(_INT))
_MODEL = _struct(name=_TEXT, sha256=_TEXT, licence=_TEXT, is_commercial_use_allowed=pa.bool_())

# Explicit, so that a column without values has its type all the same.
LABELS = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in {
            "image_id": _TEXT,
            "split": _TEXT,
            "group_id": _TEXT,
            "image_shard": _INT,
            "test_series": _TEXT,
            "width_px": _INT,
            "height_px": _INT,
            "faces": _list(_FACE),
            "tags": _list(_struct(name=_TEXT, value=_TEXT)),
            "masks": _list(_MASK),
            "origin": _TEXT,
            "by": _TEXT,
            "models": _list(_MODEL),
            "schema_version": _TEXT,
            "made_at": pa.timestamp("us", tz="UTC"),
            "licence_code": _TEXT,
            "licence_version": _TEXT,
            "licence_url": _TEXT,
            "author": _TEXT,
            "source": _TEXT,
            "source_item_id": _TEXT,
            "page_url": _TEXT,
        }.items()
    ]
)


def write_labels(path: Path, rows: Iterable[tuple[DatasetItem, Attribution]]) -> None:
    """Write one shard of labels; without rows it holds the columns all the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, [_row(item, attribution) for item, attribution in rows], LABELS)


def erase_labels(path: Path, image_ids: Collection[str]) -> set[int]:
    """Write a shard anew without the images' rows, as if they had never been.

    Returns the numbers of the image shards that hold them; without any, the file stays as it is.
    """
    table = pq.read_table(path)
    rows = table.to_pylist()
    kept = [row for row in rows if row["image_id"] not in image_ids]
    if len(kept) < len(rows):
        with written_aside(path) as aside:
            _write(aside, kept, table.schema)
    return {row["image_shard"] for row in rows if row["image_id"] in image_ids}


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist(rows, schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        if table.num_rows:  # `datasets` cannot read a row group without rows
            writer.write_table(table)


def _row(item: DatasetItem, attribution: Attribution) -> dict[str, Any]:
    annotation, sighting = item.annotation, attribution.sighting
    return {
        "image_id": item.image_id,
        "split": item.split,
        "group_id": item.group_id,
        "image_shard": item.image_shard,
        "test_series": item.test_series,
        "width_px": attribution.image.width_px,
        "height_px": attribution.image.height_px,
        "faces": [_face(face) for face in annotation.faces],
        "tags": _pairs(
            {name: value for name, value in annotation.tags.items() if name not in COUNTED_TAGS}
        ),
        "masks": [mask.model_dump() for mask in annotation.masks],
        "origin": annotation.origin,
        "by": annotation.by,
        "models": [model.model_dump() for model in annotation.models],
        "schema_version": annotation.schema_version,
        "made_at": annotation.made_at,
        "licence_code": sighting.licence.code,
        "licence_version": sighting.licence.version,
        "licence_url": sighting.licence.url,
        "author": sighting.author,
        "source": sighting.source,
        "source_item_id": sighting.source_item_id,
        "page_url": sighting.page_url,
    }


def _face(face: Face) -> dict[str, Any]:
    return face.model_dump() | {
        "landmarks": [
            {"schema": schema, **landmarks.model_dump()}
            for schema, landmarks in sorted(face.landmarks.items())
        ],
        "blendshapes": _pairs(face.blendshapes),
        "attributes": _pairs(face.attributes),
    }


def _pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]
