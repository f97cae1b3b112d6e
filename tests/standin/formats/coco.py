"""COCO: person keypoints, and instances."""

import json
import re
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from standin.background import WorkFailedError
from standin.formats.dataset import (
    Bitmap,
    Dataset,
    Item,
    Read,
    attributes,
    bitmap,
    mask_points,
    named_attributes,
    runs,
    shape,
)
from standin.state import Frame, Label, Shape

_VISIBLE, _OCCLUDED, _OUTSIDE = 2, 1, 0
_NO_FILE = (
    "cvat.apps.dataset_manager.bindings.CvatImportError: Failed to import dataset "
    "'{}' at 'default.json'.\n"
)
_NO_ITEM = "datumaro.components.contexts.importer._ImportFail\n"


def write_keypoints(dataset: Dataset) -> dict[str, bytes]:
    """Skeletons only. A rectangle in a skeleton's group gives it its own box and category."""
    return _written(dataset, "person_keypoints", _keypoints)


def write_instances(dataset: Dataset) -> dict[str, bytes]:
    return _written(dataset, "instances", _instances)


def read_keypoints(dataset: Dataset, files: dict[str, bytes]) -> Read:
    found = Read()
    for item, label, one in _annotations(dataset, files, "coco_person_keypoints"):
        if label.type != "skeleton":
            continue
        values = one["keypoints"]
        names = one["_names"] or [point.name for point in label.sublabels]
        points = {point.name: point for point in label.sublabels}
        elements = []
        for place, name in enumerate(names):
            if name not in points:
                raise WorkFailedError(
                    "cvat.apps.dataset_manager.bindings.CvatImportError: Image "
                    f"{item.frame.name}: Label '{name}' is not registered for this task\n"
                )
            x, y, seen = values[3 * place : 3 * place + 3]
            hidden = {"occluded": seen == _OCCLUDED, "outside": seen == _OUTSIDE}
            elements.append(
                shape("points", item.number, points[name], [float(x), float(y)], **hidden)
            )
        found.shapes.append(
            shape(
                "skeleton",
                item.number,
                label,
                [],
                elements=elements,
                attributes=attributes(label, one.get("attributes", {})),
            )
        )
    return found


def read_instances(dataset: Dataset, files: dict[str, bytes]) -> Read:
    """Each annotation gives its shape and, where it has both, a rectangle as well.

    Masks stay masks whatever `conv_mask_to_poly` says, as recorded.
    """
    found = Read()
    for item, label, one in _annotations(dataset, files, "coco_instances"):
        values = attributes(label, one.get("attributes", {}))
        segments = one.get("segmentation") or []
        if isinstance(segments, dict):
            counts = segments["counts"]
            counts = uncompressed(counts) if isinstance(counts, str) else counts
            whole = from_columns(counts, item.frame)
            points = mask_points(whole)
            found.shapes.append(shape("mask", item.number, label, points, attributes=values))
        found.shapes += [
            shape("polygon", item.number, label, polygon, attributes=values)
            for polygon in (segments if isinstance(segments, list) else [])
        ]
        if one.get("bbox"):
            x, y, width, height = (float(value) for value in one["bbox"])
            box = [x, y, x + width, y + height]
            found.shapes.append(shape("rectangle", item.number, label, box, attributes=values))
    return found


def columns(whole: Bitmap) -> list[int]:
    """COCO's runs: down the columns of the whole picture."""
    return runs(whole.T.ravel())


def from_columns(counts: list[int], frame: Frame) -> Bitmap:
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(frame.width, frame.height).T


def compressed(counts: list[int]) -> str:
    """COCO's text for runs: from the third on the difference to the one before the last, in
    groups of five bits.
    """
    text = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            bits = value & 0x1F
            value >>= 5
            has_more = value != -1 if bits & 0x10 else value != 0
            text.append(chr(48 + bits + (0x20 if has_more else 0)))
            if not has_more:
                break
    return "".join(text)


def uncompressed(text: str) -> list[int]:
    counts: list[int] = []
    for group in re.findall(r"[P-o]*[0-O]", text):
        value = sum((ord(one) - 48 & 0x1F) << 5 * place for place, one in enumerate(group))
        if ord(group[-1]) - 48 & 0x10:
            value -= 1 << 5 * len(group)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _written(dataset: Dataset, kind: str, annotations: Any) -> dict[str, bytes]:
    categories = [
        {
            "id": place + 1,
            "name": label.name,
            "supercategory": "",
            **(_skeleton_facts(label) if kind == "person_keypoints" else {}),
        }
        for place, label in enumerate(dataset.flat)
        if label.parent is None
    ]
    files = {}
    for subset in sorted({item.subset for item in dataset.items}):
        items = [item for item in dataset.items if item.subset == subset]
        made: list[dict[str, Any]] = []
        for place, item in enumerate(items):
            for one in annotations(dataset, item):
                made.append({"id": len(made) + 1, "image_id": place + 1, **one})
        content = {
            "licenses": [{"name": "", "id": 0, "url": ""}],
            "info": dict.fromkeys(
                ("contributor", "date_created", "description", "url", "version", "year"), ""
            ),
            "categories": categories,
            "images": [_picture(place, item) for place, item in enumerate(items)],
            "annotations": made,
        }
        text = json.dumps(content, separators=(",", ":"))
        files[f"annotations/{kind}_{subset}.json"] = text.encode()
    return files


def _picture(place: int, item: Item) -> dict[str, Any]:
    return {
        "id": place + 1,
        "width": item.frame.width,
        "height": item.frame.height,
        "file_name": item.frame.name,
        "license": 0,
        "flickr_url": "",
        "coco_url": "",
        "date_captured": 0,
    }


def _skeleton_facts(label: Label) -> dict[str, Any]:
    return {"keypoints": [one.name for one in label.sublabels], "skeleton": edges(label)}


def edges(label: Label) -> list[list[int]]:
    found = re.findall(r'data-node-from="(\d+)" data-node-to="(\d+)"', label.svg or "")
    return [[int(one), int(other)] for one, other in found]


def _category(dataset: Dataset, label_id: int) -> int:
    return [one.id for one in dataset.flat].index(label_id) + 1


def keypoints(label: Label, skeleton: Shape) -> list[float]:
    """x, y and visibility of each point in the label's order; one that is missing is outside."""
    by_label = {element["label_id"]: element for element in skeleton["elements"]}
    values: list[float] = []
    for point in label.sublabels:
        element = by_label.get(point.id)
        if element is None:
            values += [0.0, 0.0, _OUTSIDE]
            continue
        seen = _OCCLUDED if element["occluded"] else _VISIBLE
        x, y = element["points"]
        values += [round(x, 2), round(y, 2), _OUTSIDE if element["outside"] else seen]
    return values


def _keypoints(dataset: Dataset, item: Item) -> list[dict[str, Any]]:
    boxes = {
        one["group"]: one for one in item.shapes if one["type"] == "rectangle" and one["group"]
    }
    made = []
    for one in item.shapes:
        if one["type"] != "skeleton":
            continue
        label = dataset.label(one["label_id"])
        values = keypoints(label, one)
        seen = list(zip(values[::3], values[1::3], values[2::3], strict=True))
        shown = [pair for pair in seen if pair[2] != _OUTSIDE] or seen
        left, top = min(pair[0] for pair in shown), min(pair[1] for pair in shown)
        right, bottom = max(pair[0] for pair in shown), max(pair[1] for pair in shown)
        category = _category(dataset, label.id)
        if one["group"] in boxes:
            box = boxes[one["group"]]
            left, top, right, bottom = box["points"]
            category = _category(dataset, box["label_id"])
        made.append(
            {
                "category_id": category,
                "segmentation": [],
                "area": round((right - left) * (bottom - top), 2),
                "bbox": [round(each, 2) for each in (left, top, right - left, bottom - top)],
                "iscrowd": 0,
                "attributes": {
                    "occluded": one["occluded"],
                    "keyframe": False,
                    **named_attributes(label, one),
                },
                "keypoints": values,
                "num_keypoints": sum(pair[2] != _OUTSIDE for pair in seen),
            }
        )
    return made


def _instances(dataset: Dataset, item: Item) -> list[dict[str, Any]]:
    """Rectangles, polygons and masks; tags and skeletons are not in this format."""
    made = []
    for one in item.shapes:
        label = dataset.label(one["label_id"])
        facts: dict[str, Any]
        if one["type"] == "rectangle":
            left, top, right, bottom = one["points"]
            box = [left, top, right - left, bottom - top]
            facts = {"segmentation": [], "area": box[2] * box[3], "bbox": box, "iscrowd": 0}
        elif one["type"] == "polygon":
            xs, ys = one["points"][::2], one["points"][1::2]
            box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            facts = {
                "segmentation": [one["points"]],
                "area": box[2] * box[3],
                "bbox": box,
                "iscrowd": 0,
            }
        elif one["type"] == "mask":
            facts = _mask_facts(one, item)
        else:
            continue
        values = {"occluded": one["occluded"], **named_attributes(label, one)}
        category = _category(dataset, label.id)
        made.append({"category_id": category, **facts, "attributes": values})
    return made


def _mask_facts(one: Shape, item: Item) -> dict[str, Any]:
    try:
        whole = bitmap(one, item.frame)
        *_, left, top, right, bottom = mask_points(whole)
    except (ValueError, IndexError):
        raise WorkFailedError(
            "datumaro.components.errors.ItemExportError: Failed to export item "
            f"('{item.frame.name.rpartition('.')[0]}', '{item.subset}')\n"
        ) from None
    return {
        "segmentation": {"counts": columns(whole), "size": [item.frame.height, item.frame.width]},
        "area": int(whole.sum()),
        "bbox": [left, top, right - left + 1, bottom - top + 1],
        "iscrowd": 1,
    }


def _annotations(
    dataset: Dataset, files: dict[str, bytes], kind: str
) -> list[tuple[Item, Label, dict[str, Any]]]:
    """The annotations of all files with their frame and label.

    Raises: WorkFailedError: a file lacks a part, or names an unknown frame or label.
    """
    found = []
    for name, content in files.items():
        if not name.endswith(".json"):
            continue
        try:
            read = json.loads(content)
            names = {one["id"]: one["file_name"] for one in read["images"]}
            categories = {one["id"]: one for one in read["categories"]}
            annotations = read["annotations"]
            _ = read["info"], read["licenses"]
        except (ValueError, KeyError, TypeError):
            raise WorkFailedError(_NO_FILE.format(kind)) from None
        for one in annotations:
            needed = ("bbox", "iscrowd", "keypoints")
            if kind == "coco_person_keypoints" and not one.keys() >= set(needed):
                raise WorkFailedError(_NO_ITEM)
            try:
                picture, category = names[one["image_id"]], categories[one["category_id"]]
            except KeyError:
                raise WorkFailedError(_NO_ITEM) from None
            item = dataset.item(picture)
            label = _label(dataset, item, category["name"])
            found.append((item, label, one | {"_names": category.get("keypoints")}))
    if not found and not any(name.endswith(".json") for name in files):
        raise WorkFailedError(_NO_FILE.format(kind))
    return found


def _label(dataset: Dataset, item: Item, name: str) -> Label:
    try:
        return dataset.named(name)
    except WorkFailedError as unknown:
        picture = item.frame.name.rpartition(".")[0]
        raise WorkFailedError(
            "cvat.apps.dataset_manager.bindings.CvatImportError: Image "
            f"{picture}: can't import annotation #0 (skeleton): {unknown}\n"
        ) from None


def filled(points: list[float], frame: Frame) -> Bitmap:
    """A polygon's pixels."""
    picture = Image.new("1", (frame.width, frame.height))
    pairs = list(zip(points[::2], points[1::2], strict=True))
    ImageDraw.Draw(picture).polygon(pairs, fill=1)
    return np.asarray(picture, bool)
