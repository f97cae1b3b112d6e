"""YOLO pose: images/SPLIT/IMAGE_ID.jpg, labels/SPLIT/IMAGE_ID.txt and data.yaml."""

from pathlib import Path

import numpy as np
import yaml

from curation.formats.picture import Splits
from faces.schema import LandmarkSchema
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.records import Face


def write(folder: Path, splits: Splits, schema: LandmarkSchema) -> int:
    """As docs.ultralytics.com/datasets/pose has it: one line a face, class 0.

    A line is `0 cx cy w h`, then `x y v` a point: centre, sides and points over the image's width
    and height, (0, 0) the outer corner of the top-left pixel and (1, 1) that of the bottom-right
    one, with eight decimals. v is 2 visible, 1 hidden, 0 outside the image or not labelled, then
    x = y = 0. Boxes end at the image's edge, as the reader refuses lines with anything outside; a
    face whose box lies outside altogether is left out. data.yaml names the splits that were
    converted, the points' number and their mirror images (`flip_idx`).
    """
    written = 0
    for split, pictures in splits.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for picture in pictures:
            (folder / "images" / split / picture.file_name).write_bytes(picture.content)
            lines = [
                line for face in picture.item.faces if (line := _line(face, picture.item, schema))
            ]
            text = "".join(f"{line}\n" for line in lines)
            label = folder / "labels" / split / f"{picture.item.image_id}.txt"
            label.write_text(text, encoding="ascii")
            written += len(lines)
    layout = {
        **{str(split): f"images/{split}" for split in splits},
        "names": {0: "face"},
        "kpt_shape": [len(schema.names), 3],
        "flip_idx": list(schema.mirror),
    }
    text = yaml.safe_dump(layout, sort_keys=False, default_flow_style=None)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return written


def _line(face: Face, item: Item, schema: LandmarkSchema) -> str | None:
    size = np.array([item.width_px, item.height_px])
    low, high = np.clip(np.reshape(face.box, (2, 2)), 0, size)
    if area([*low, *high])[0] == 0:
        return None
    box = np.concatenate([(low + high) / 2 / size, (high - low) / size])
    landmarks = face.landmarks.get(schema.name)
    visibility = np.zeros(len(schema.names), dtype=int)
    points = np.zeros((len(schema.names), 2))
    if landmarks is not None:
        points = np.array(landmarks.points) / size
        is_inside = ((points >= 0) & (points <= 1)).all(axis=1)
        visibility = np.where(is_inside, landmarks.visibility, 0)
        points = np.where(visibility[:, None] > 0, points, 0)
    words = [f"{value:.8f}" for value in box]
    for (x, y), seen in zip(points, visibility, strict=True):
        words += [f"{x:.8f}", f"{y:.8f}", str(seen)]
    return " ".join(["0", *words])
