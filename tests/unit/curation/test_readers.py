"""The release opens in the tools that trainers use, with the same rows and nested labels."""

import io

import datasets
import duckdb
import numpy as np
import pandas
import polars
import pytest
from PIL import Image

import mirrorset


@pytest.fixture
def release(portraits, release_of, tmp_path):
    release_of(portraits[:6], "1.0.0")
    return mirrorset.load(tmp_path / "releases" / "1.0.0")


@pytest.fixture
def expected(release):
    """Image ids with x of the first landmark of the first face."""
    return {item.image_id: item.faces[0].landmarks["ibug68"].points[0][0] for item in release}


def told(rows):
    """What rows say of each image: split, group, size, and of its faces boxes and all points."""
    return {
        row["image_id"]: (
            (row["split"], row["group_id"], row["width_px"], row["height_px"]),
            [
                {"box": np.array(face["box"]).tolist()}
                | {
                    points["schema"]: (
                        np.array(points["points"]).tolist(),
                        np.array(points["visibility"]).tolist(),
                    )
                    for points in face["landmarks"]
                }
                for face in row["faces"]
            ],
        )
        for row in rows
    }


def told_by(items):
    """The same from our own reader."""
    return told(
        {
            **{name: getattr(item, name) for name in ("image_id", "split", "group_id")},
            "width_px": item.width_px,
            "height_px": item.height_px,
            "faces": [
                {
                    "box": face.box,
                    "landmarks": [
                        {"schema": schema, "points": one.points, "visibility": one.visibility}
                        for schema, one in face.landmarks.items()
                    ],
                }
                for face in item.faces
            ],
        }
        for item in items
    )


def test_pandas(release, expected):
    frames = [pandas.read_parquet(path) for path in (release.folder / "labels").glob("*.parquet")]
    labels = pandas.concat(frames)
    images = pandas.read_parquet(release.folder / "images")
    joined = labels.merge(images, on="image_id", validate="one_to_one")
    assert len(joined) == len(release)
    first = joined.faces.map(lambda faces: faces[0]["landmarks"][0]["points"][0][0])
    assert dict(zip(joined.image_id, first, strict=True)) == expected
    assert Image.open(io.BytesIO(joined.bytes[0])).size == (405, 405)


def test_polars(release, expected):
    labels = polars.scan_parquet(release.folder / "labels" / "*.parquet").collect()
    face = polars.col("faces").list.get(0).struct.field("landmarks").list.get(0)
    x = face.struct.field("points").list.get(0).arr.get(0)
    rows = labels.select("image_id", x.alias("x"))
    assert dict(rows.iter_rows()) == expected
    images = polars.scan_parquet(release.folder / "images" / "*.parquet").collect()
    assert set(images["image_id"]) == expected.keys()


def test_duckdb(release, expected):
    labels = duckdb.read_parquet(str(release.folder / "labels" / "*.parquet"))
    images = duckdb.read_parquet(str(release.folder / "images" / "*.parquet"))
    rows = labels.join(images, "image_id").project("image_id, faces[1].landmarks[1].points[1][1]")
    assert dict(rows.fetchall()) == expected
    assert labels.filter("split = 'train'").shape[0] == release.card.splits["train"]
    every = [dict(zip(labels.columns, row, strict=True)) for row in labels.fetchall()]
    assert told(every) == told_by(release)
    pictures = dict(images.project("image_id, bytes").fetchall())
    assert pictures == {item.image_id: item.content() for item in release}


def test_datasets(release, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    splits = datasets.load_dataset(
        "parquet",
        data_files={
            split: str(release.folder / "labels" / f"{split}-*.parquet")
            for split in release.card.splits
        },
        cache_dir=str(tmp_path / "cache"),
    )
    assert {split: len(rows) for split, rows in splits.items()} == release.card.splits
    found = {
        row["image_id"]: row["faces"][0]["landmarks"][0]["points"][0][0]
        for rows in splits.values()
        for row in rows
    }
    assert found == expected
    assert told(row for rows in splits.values() for row in rows) == told_by(release)
    images = datasets.load_dataset(
        "parquet",
        data_files=str(release.folder / "images" / "*.parquet"),
        cache_dir=str(tmp_path / "cache"),
    )["train"]
    pictures = dict(zip(images["image_id"], images["bytes"], strict=True))
    assert pictures == {item.image_id: item.content() for item in release}
    images = images.cast_column("bytes", datasets.Image())
    assert images[0]["bytes"].size == (405, 405)
