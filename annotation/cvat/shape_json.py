"""Shapes ↔ the annotation JSON of a CVAT server: the same numbers both ways, nothing rounded.

| shape     | JSON                                                                              |
|-----------|-----------------------------------------------------------------------------------|
| Rectangle | type "rectangle", points left, top, right, bottom; rotation in degrees            |
| Skeleton  | type "skeleton", no points; elements of type "points", in no order                |
| MaskShape | type "mask", points: run lengths, then left, top, right, bottom (inclusive)       |
| Tag       | an entry of `tags`                                                                |

Labels and attributes are numbers there, which the server gives out anew in each project. It checks
next to nothing of what it is sent and keeps it all: what cannot be read here becomes a
`ForeignShape`, which `annotation.conversion.from_shapes` refuses with the image it lies on.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from annotation.shapes import (
    Element,
    ForeignShape,
    ImageShapes,
    MaskShape,
    Rectangle,
    Shape,
    Skeleton,
    Tag,
)
from mirrorset.errors import InputError
from mirrorset.records import Record

Json = dict[str, Any]
T = TypeVar("T")

# The box that ends a mask's points: left, top, right, bottom.
_BOX = 4
# CVAT draws what is higher over what is lower: points stay in reach above their box.
_Z_ORDER = {"skeleton": 1}


class Frame(Record):
    """One frame of a task: the name the image has there and its upright size."""

    name: str
    width_px: int
    height_px: int


class ServerLabel(Record):
    """One label as a server numbers it. attributes: spec ids by name. points: of a skeleton."""

    label_id: int
    name: str
    attributes: dict[str, int]
    points: tuple["ServerLabel", ...] = ()

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "ServerLabel":
        """From one entry of `GET /api/labels`."""
        return cls(
            label_id=answer["id"],
            name=answer["name"],
            attributes={one["name"]: one["id"] for one in answer.get("attributes") or ()},
            points=tuple(cls.read(point) for point in answer.get("sublabels") or ()),
        )


class ServerLabels:
    """The labels of one project: names → ids for what goes out, ids → names for what comes back."""

    def __init__(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Take the entries of `GET /api/labels?project_id=`, of all its pages."""
        labels = [ServerLabel.read(answer) for answer in answers]
        self._by_name = {label.name: label for label in labels}
        every = [*labels, *(point for label in labels for point in label.points)]
        self._names = {label.label_id: label.name for label in every}
        self._attributes = {
            spec_id: name for label in every for name, spec_id in label.attributes.items()
        }

    def of(self, name: str) -> ServerLabel:
        """The label `name`. Raises InputError where the project has none."""
        return _found(self._by_name, name, "label")

    def name(self, label_id: int) -> str:
        """The name of a label or point, or "#7" for one that the project no longer has."""
        return self._names.get(label_id, f"#{label_id}")

    def attribute(self, spec_id: int) -> str:
        """The name of an attribute, or "#7" for one that the project no longer has."""
        return self._attributes.get(spec_id, f"#{spec_id}")


def to_annotations(images: Mapping[int, ImageShapes], labels: ServerLabels) -> Json:
    """The shapes as a server takes them by PUT, or by PATCH with action=create.

    images: by frame number. Raises InputError where the project lacks a label, a point or an
    attribute; ValueError for a ForeignShape, which nobody here draws.
    """
    return {
        "version": 0,
        "tags": [
            _common(tag, frame, labels.of(tag.label))
            for frame, image in images.items()
            for tag in image.tags
        ],
        "shapes": [
            _shape_json(shape, frame, labels.of(shape.label))
            for frame, image in images.items()
            for shape in image.every()
            if not isinstance(shape, Tag)
        ],
        "tracks": [],
    }


def from_annotations(
    answer: Mapping[str, Any], frames: Mapping[int, Frame], labels: ServerLabels
) -> dict[int, ImageShapes]:
    """The shapes on every one of `frames`, by frame number and in its order.

    answer: of `GET …/annotations` of a task or a job. What lies on other frames is left out.
    """
    drawn: dict[int, dict[type[Shape], list[Shape]]] = {
        frame: defaultdict(list) for frame in frames
    }
    read = [
        *((tag, _read_tag) for tag in answer.get("tags") or ()),
        *((shape, _read_shape) for shape in answer.get("shapes") or ()),
        *((track, _read_track) for track in answer.get("tracks") or ()),
    ]
    for raw, reader in read:
        on_frame = drawn.get(raw.get("frame"))
        if on_frame is not None:
            shape = reader(raw, labels)
            on_frame[type(shape)].append(shape)
    return {
        number: ImageShapes(
            name=frame.name,
            width_px=frame.width_px,
            height_px=frame.height_px,
            **{field: tuple(drawn[number][kind]) for kind, field in _FIELDS.items()},
        )
        for number, frame in frames.items()
    }


# --- to the server ----------------------------------------------------------------------------


def _shape_json(shape: Shape, frame: int, label: ServerLabel) -> Json:
    common = _common(shape, frame, label)
    match shape:
        case Rectangle():
            return common | _drawn(
                "rectangle", shape.box, shape.is_occluded, rotation_deg=shape.rotation_deg
            )
        case MaskShape():
            right, bottom = shape.left + shape.width - 1, shape.top + shape.height - 1
            points = (*shape.rle, shape.left, shape.top, right, bottom)
            return common | _drawn("mask", points)
        case Skeleton():
            points_by_name = {point.name: point for point in label.points}
            elements = [
                _common(element, frame, _found(points_by_name, element.label, "point"))
                | _drawn("points", element.point, element.is_occluded, element.is_outside)
                for element in shape.elements
            ]
            return common | _drawn("skeleton", ()) | {"elements": elements}
        case _:
            raise ValueError(f"nobody here draws a {type(shape).__name__}")


def _common(shape: Shape, frame: int, label: ServerLabel) -> Json:
    return {
        "frame": frame,
        "label_id": label.label_id,
        # A pair that is grouped is exported under the rectangle's category; face_id links it.
        "group": 0,
        "source": shape.source,
        "attributes": [
            {"spec_id": _found(label.attributes, name, "attribute"), "value": value}
            for name, value in shape.attributes.items()
        ],
    }


def _drawn(
    kind: str,
    points: tuple[float, ...],
    is_occluded: bool = False,
    is_outside: bool = False,
    rotation_deg: float = 0.0,
) -> Json:
    return {
        "type": kind,
        "points": list(points),
        "occluded": is_occluded,
        "outside": is_outside,
        "rotation": rotation_deg,
        "z_order": _Z_ORDER.get(kind, 0),
    }


def _found(known: Mapping[str, T], name: str, what: str) -> T:
    try:
        return known[name]
    except KeyError:
        raise InputError(
            f"The project on the CVAT server has no {what} {name!r}: bring it up to date with "
            "`mirrorset annotate schema apply`."
        ) from None


# --- from the server --------------------------------------------------------------------------


def _read_tag(raw: Json, labels: ServerLabels) -> Shape:
    return Tag(**_read_common(raw, labels))


def _read_track(raw: Json, labels: ServerLabels) -> Shape:
    """A track is drawn over many frames; it counts on the one it begins at."""
    return ForeignShape(kind="track", **_read_common(raw, labels))


def _read_shape(raw: Json, labels: ServerLabels) -> Shape:
    kind = str(raw.get("type"))
    common = _read_common(raw, labels)
    reader = _READERS.get(kind)
    if reader is None:
        return ForeignShape(kind=kind, **common)
    try:
        return reader(raw, common, labels)
    except (KeyError, TypeError, ValueError):
        return ForeignShape(kind=f"{kind} that cannot be read", **common)


def _read_rectangle(raw: Json, common: Json, labels: ServerLabels) -> Shape:
    left, top, right, bottom = (_coordinate(value) for value in raw["points"])
    return Rectangle(
        box=(left, top, right, bottom),
        is_occluded=raw["occluded"],
        rotation_deg=_coordinate(raw.get("rotation") or 0),
        **common,
    )


def _read_skeleton(raw: Json, common: Json, labels: ServerLabels) -> Shape:
    return Skeleton(
        elements=tuple(_read_element(element, labels) for element in raw["elements"]), **common
    )


def _read_element(raw: Json, labels: ServerLabels) -> Element:
    x, y = (_coordinate(value) for value in raw["points"])
    return Element(
        point=(x, y),
        is_occluded=raw["occluded"],
        is_outside=raw["outside"],
        **_read_common(raw, labels),
    )


def _read_mask(raw: Json, common: Json, labels: ServerLabels) -> Shape:
    whole = [_whole(value) for value in raw["points"]]
    left, top, right, bottom = whole[-_BOX:]
    return MaskShape(
        left=left,
        top=top,
        width=right - left + 1,
        height=bottom - top + 1,
        rle=tuple(whole[:-_BOX]),
        **common,
    )


def _read_common(raw: Json, labels: ServerLabels) -> Json:
    return {
        "label": labels.name(raw["label_id"]),
        "source": raw.get("source") or "",
        "attributes": {
            labels.attribute(one["spec_id"]): str(one["value"])
            for one in raw.get("attributes") or ()
        },
    }


def _coordinate(value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no coordinate")
    return number


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError(f"{value} is no number of pixels")
    return int(value)


_READERS = {
    "rectangle": _read_rectangle,
    "skeleton": _read_skeleton,
    "mask": _read_mask,
}

_FIELDS: dict[type[Shape], str] = {
    Rectangle: "rectangles",
    Skeleton: "skeletons",
    MaskShape: "masks",
    Tag: "tags",
    ForeignShape: "foreign",
}
