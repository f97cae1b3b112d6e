"""Datumaro 1.0: one JSON file a subset."""

import json
from typing import Any

from standin.background import WorkFailedError
from standin.formats.coco import (
    columns,
    compressed,
    edges,
    from_columns,
    keypoints,
    uncompressed,
)
from standin.formats.dataset import (
    Dataset,
    Item,
    Read,
    attributes,
    bitmap,
    mask_points,
    named_attributes,
    shape,
)
from standin.state import Label, Shape

_KINDS = {"bbox": "rectangle", "label": "tag"}


def write(dataset: Dataset) -> dict[str, bytes]:
    return {
        f"annotations/{subset}.json": json.dumps(
            {
                "dm_format_version": "1.0",
                "media_type": 2,
                "infos": {},
                "categories": _categories(dataset),
                "items": [_item(dataset, one) for one in dataset.items if one.subset == subset],
            },
            separators=(",", ":"),
        ).encode()
        for subset in sorted({item.subset for item in dataset.items})
    }


def read(dataset: Dataset, files: dict[str, bytes]) -> Read:
    found = Read()
    for name, content in files.items():
        if not name.endswith(".json"):
            continue
        try:
            read_file = json.loads(content)
            labels = [
                (one["name"], one["parent"]) for one in read_file["categories"]["label"]["labels"]
            ]
            for each in read_file["items"]:
                item = dataset.item(each["id"])
                for one in each["annotations"]:
                    _read_one(dataset, item, one, labels, found)
        except (ValueError, KeyError, TypeError):
            raise WorkFailedError(
                "cvat.apps.dataset_manager.bindings.CvatImportError: Failed to import dataset "
                f"'datumaro' at '{name}'.\n"
            ) from None
    return found


def _categories(dataset: Dataset) -> dict[str, Any]:
    names = {each.name for label in dataset.flat for each in label.attributes} | {"occluded"}
    return {
        "label": {
            "labels": [
                {
                    "name": one.name,
                    "parent": one.parent.name if one.parent else "",
                    "attributes": [],
                }
                for one in dataset.flat
            ],
            "label_groups": [],
            "attributes": sorted(names),
        },
        "points": {
            "items": [
                {
                    "label_id": place,
                    "labels": [point.name for point in label.sublabels],
                    "joints": edges(label),
                    "positions": [],
                }
                for place, label in enumerate(dataset.flat)
                if label.type == "skeleton"
            ]
        },
    }


def _item(dataset: Dataset, item: Item) -> dict[str, Any]:
    ids = [one.id for one in dataset.flat]
    tags = [
        {
            "id": 0,
            "type": "label",
            "attributes": _values(dataset.label(tag["label_id"]), tag),
            "group": tag["group"] or 0,
            "label_id": ids.index(tag["label_id"]),
        }
        for tag in item.tags
    ]
    shapes = [
        {
            "id": 0,
            "attributes": {"occluded": one["occluded"]}
            | _values(dataset.label(one["label_id"]), one),
            "group": one["group"] or 0,
            "label_id": ids.index(one["label_id"]),
            "z_order": one["z_order"],
            **_place(dataset, item, one),
        }
        for one in item.shapes
    ]
    return {
        "id": item.frame.name.rpartition(".")[0],
        "annotations": tags + shapes,
        "attr": {"frame": item.number},
        "image": {"path": item.frame.name, "size": [item.frame.height, item.frame.width]},
    }


def _place(dataset: Dataset, item: Item, one: Shape) -> dict[str, Any]:
    if one["type"] == "rectangle":
        left, top, right, bottom = one["points"]
        return {"type": "bbox", "bbox": [left, top, right - left, bottom - top]}
    if one["type"] == "mask":
        counts = compressed(columns(bitmap(one, item.frame)))
        size = [item.frame.height, item.frame.width]
        return {"type": "mask", "rle": {"counts": counts, "size": size}}
    if one["type"] == "skeleton":
        label = dataset.label(one["label_id"])
        return {
            "type": "skeleton",
            "points": keypoints(label, one),
            "points_attributes": [{} for _ in label.sublabels],
        }
    return {"type": one["type"], "points": one["points"]}


def _values(label: Label, one: Shape) -> dict[str, Any]:
    kinds = {each.name: each.input_type for each in label.attributes}
    return {
        name: {"checkbox": lambda text: text == "true", "number": float}.get(kinds[name], str)(
            value
        )
        for name, value in named_attributes(label, one).items()
    }


def _read_one(
    dataset: Dataset, item: Item, one: dict[str, Any], labels: list[tuple[str, str]], found: Read
) -> None:
    name, parent = labels[one["label_id"]]
    label = dataset.named(name, dataset.named(parent) if parent else None)
    values = attributes(label, one.get("attributes", {}))
    kind = _KINDS.get(one["type"], one["type"])
    if kind == "tag":
        found.tags.append(
            {
                "frame": item.number,
                "label_id": label.id,
                "group": one.get("group", 0),
                "source": "file",
                "attributes": values,
            }
        )
        return
    common: dict[str, Any] = {
        "attributes": values,
        "group": one.get("group", 0),
        "z_order": one.get("z_order", 0),
        "occluded": bool(one.get("attributes", {}).get("occluded", False)),
    }
    if kind == "rectangle":
        left, top, width, height = one["bbox"]
        points = [left, top, left + width, top + height]
    elif kind == "mask":
        points = mask_points(from_columns(uncompressed(one["rle"]["counts"]), item.frame))
    elif kind == "skeleton":
        points, common["elements"] = [], _elements(item, label, one["points"])
    else:
        points = one["points"]
    found.shapes.append(shape(kind, item.number, label, points, **common))


def _elements(item: Item, label: Label, values: list[float]) -> list[Shape]:
    points = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [
        shape("points", item.number, point, [x, y], occluded=seen == 1, outside=seen == 0)
        for point, (x, y, seen) in zip(label.sublabels, points, strict=True)
    ]
