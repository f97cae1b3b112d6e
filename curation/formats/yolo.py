"""YOLO pose: images/SPLIT/IMAGE_ID.jpg, labels/SPLIT/IMAGE_ID.txt and data.yaml."""

from pathlib import Path

import yaml

from curation.formats.picture import Splits
from curation.formats.relative import RelativeFace, relative
from faces.schema import LandmarkSchema


def write(folder: Path, splits: Splits, schema: LandmarkSchema) -> int:
    """As docs.ultralytics.com/datasets/pose has it: one line a face, class 0.

    A line is `0 cx cy w h`, then `x y v` a point, as `RelativeFace` has them, with eight decimals:
    the reader refuses lines with anything outside the image. A face whose box lies outside
    altogether is left out. data.yaml names the splits that were converted, the points' number and
    their mirror images (`flip_idx`).
    """
    written = 0
    for split, pictures in splits.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for picture in pictures:
            (folder / "images" / split / picture.file_name).write_bytes(picture.content)
            faces = (relative(face, picture.item, schema) for face in picture.item.faces)
            lines = [_line(face) for face in faces if face]
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


def _line(face: RelativeFace) -> str:
    low, high = face.box[:2], face.box[2:]
    words = [f"{value:.8f}" for value in (*(low + high) / 2, *(high - low))]
    for (x, y), seen in zip(face.points, face.visibility, strict=True):
        words += [f"{x:.8f}", f"{y:.8f}", str(seen)]
    return " ".join(["0", *words])
