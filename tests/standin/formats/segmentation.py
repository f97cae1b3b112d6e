"""Segmentation mask 1.1: a picture of classes and one of objects for each frame."""

import io

import numpy as np
from PIL import Image

from standin.background import WorkFailedError
from standin.formats.coco import filled
from standin.formats.dataset import Bitmap, Dataset, Item, Read, bitmap, mask_points, shape
from standin.state import Shape

_LIST = "ImageSets/Segmentation/{}.txt"


def write(dataset: Dataset) -> dict[str, bytes]:
    """Raises: WorkFailedError: a mask's runs do not fit its box."""
    colours = {label.id: _rgb(label.color) for label in dataset.labels}
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    lines += [f"{label.name}:{','.join(map(str, colours[label.id]))}::" for label in dataset.labels]
    files = {"labelmap.txt": "\n".join(lines).encode()}
    for subset in {item.subset for item in dataset.items}:
        names = [_name(item) for item in dataset.items if item.subset == subset and item.shapes]
        files[_LIST.format(subset)] = "\n".join(names).encode()
    for item in dataset.items:
        classes = np.zeros((item.frame.height, item.frame.width, 3), np.uint8)
        objects = np.zeros_like(classes)
        for place, one in enumerate(item.shapes):
            pixels = _pixels(one, item)
            if pixels is not None:
                classes[pixels] = colours[one["label_id"]]
                objects[pixels] = (place + 1, 128, 255 - place % 200)
        if item.shapes:
            files[f"SegmentationClass/{_name(item)}.png"] = _png(classes)
            files[f"SegmentationObject/{_name(item)}.png"] = _png(objects)
    return files


def read(dataset: Dataset, files: dict[str, bytes]) -> Read:
    """Takes what has a list of the main set only, and so refuses what `write` made: as recorded."""
    if not any(name.startswith("ImageSets/Main/") for name in files):
        raise WorkFailedError(
            "cvat.apps.dataset_manager.bindings.CvatDatasetNotFoundError: Check [format docs]"
            "(https://docs.cvat.ai/docs//manual/advanced/formats/format-voc). Dataset must contain "
            'a file: "ImageSets/Main/*.txt"\n'
        )
    found = Read()
    colours = {_rgb(label.color): label for label in dataset.labels}
    for name, content in files.items():
        if not name.startswith("SegmentationClass/"):
            continue
        item = dataset.item(name.partition("/")[2])
        classes = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        for colour, label in colours.items():
            pixels = (classes == colour).all(axis=2)
            if pixels.any():
                found.shapes.append(shape("mask", item.number, label, mask_points(pixels)))
    return found


def _pixels(one: Shape, item: Item) -> Bitmap | None:
    if one["type"] == "mask":
        try:
            return bitmap(one, item.frame)
        except ValueError as error:
            raise WorkFailedError(f"ValueError: {error}\n") from None
    return filled(one["points"], item.frame) if one["type"] == "polygon" else None


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _name(item: Item) -> str:
    return item.frame.name.rpartition(".")[0]


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
