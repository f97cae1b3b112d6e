"""COCO Keypoints: SPLIT/IMAGE_ID.jpg and annotations/face_keypoints_SPLIT.json."""

import json
from itertools import chain, count
from pathlib import Path
from typing import Any

from curation.formats.picture import Picture, Splits
from faces.schema import LandmarkSchema
from mirrorset.records import Face, Licence

_CATEGORY_ID = 1


def write(folder: Path, splits: Splits, schema: LandmarkSchema) -> int:
    """Images and annotations as cocodataset.org/#format-data has them; all faces are written.

    `bbox` is x, y, width, height in px, (0, 0) the outer corner of the top-left pixel, as in a
    release. `keypoints` are x, y, v with (0, 0) the *centre* of the top-left pixel: the page calls
    them 0-indexed locations, and detectron2 (`data/datasets/coco.py`) adds the half pixel back. v
    is 2 visible, 1 labelled but hidden, 0 outside the image or not labelled, then x = y = 0; all
    are 0 for a face without points of `schema`. `area` is the box's, as faces have no outline.
    `skeleton` counts from 1, as COCO's own does. Ids are numbers, unique over all splits.
    """
    image_ids, face_ids = count(1), count(1)
    licence_ids: dict[tuple[str, str], int] = {}
    written = 0
    (folder / "annotations").mkdir()
    for split, pictures in splits.items():
        (folder / split).mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for picture in pictures:
            (folder / split / picture.file_name).write_bytes(picture.content)
            number = next(image_ids)
            licence_id = licence_ids.setdefault(_named(picture.item.licence), len(licence_ids) + 1)
            images.append(_image(picture, number, licence_id))
            annotations += [
                _annotation(face, next(face_ids), number, schema) for face in picture.item.faces
            ]
        document = {
            "info": {"description": f"{split} split of a mirrorset release: see conversion.json"},
            "licenses": [
                {"id": number, "name": name, "url": url}
                for (name, url), number in licence_ids.items()
            ],
            "images": images,
            "annotations": annotations,
            "categories": [_category(schema)],
        }
        path = folder / "annotations" / f"face_keypoints_{split}.json"
        path.write_text(json.dumps(document) + "\n", encoding="utf-8")
        written += len(annotations)
    return written


def _image(picture: Picture, number: int, licence_id: int) -> dict[str, Any]:
    item = picture.item
    return {
        "id": number,
        "file_name": picture.file_name,
        "width": item.width_px,
        "height": item.height_px,
        "license": licence_id,
        "author": item.author,
        "page_url": item.page_url,
    }


def _annotation(face: Face, number: int, image: int, schema: LandmarkSchema) -> dict[str, Any]:
    left, top, right, bottom = face.box
    keypoints = _keypoints(face, schema)
    return {
        "id": number,
        "image_id": image,
        "category_id": _CATEGORY_ID,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "iscrowd": 0,
        "keypoints": list(chain.from_iterable(keypoints)),
        "num_keypoints": sum(visibility > 0 for _, _, visibility in keypoints),
    }


def _keypoints(face: Face, schema: LandmarkSchema) -> list[tuple[float, float, int]]:
    landmarks = face.landmarks.get(schema.name)
    if landmarks is None:
        return [(0, 0, 0)] * len(schema.names)
    return [
        (x - 0.5, y - 0.5, visibility) if visibility else (0, 0, 0)
        for (x, y), visibility in zip(landmarks.points, landmarks.visibility, strict=True)
    ]


def _category(schema: LandmarkSchema) -> dict[str, Any]:
    return {
        "id": _CATEGORY_ID,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(schema.names),
        "skeleton": [[one + 1, other + 1] for one, other in schema.edges],
    }


def _named(licence: Licence) -> tuple[str, str]:
    return f"{licence.code} {licence.version}".strip(), licence.url
