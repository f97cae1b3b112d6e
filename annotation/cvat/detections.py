"""A label schema and its shapes as requests of CVAT's SDK."""

from collections.abc import Mapping, Sequence
from typing import Any

from cvat_sdk import auto_annotation as cvataa
from cvat_sdk import models

from annotation.schema import LabelSchema, cvat_labels
from annotation.shapes import Element, ImageShapes, MaskShape, Rectangle, Skeleton, Tag

# A models.LabeledImageRequest or LabeledShapeRequest; the SDK comes without types.
DetectionAnnotation = Any


class Requests:
    """What a detection function declares, and what it returns: ids are places in the schema.

    spec: a DetectionFunctionSpec of the schema's labels but for those `left_out`.
    """

    def __init__(self, schema: LabelSchema, left_out: Sequence[str] = ()) -> None:
        self._labels: dict[str, dict[str, Any]] = {}
        specs = []
        for label_id, label in enumerate(cvat_labels(schema)):
            if label["name"] in left_out:
                continue
            self._labels[label["name"]] = {
                "id": label_id,
                "attributes": _ids(label["attributes"]),
                "points": _ids(label.get("sublabels", ())),
                "point_attributes": _ids(_attributes_of_points(label)),
            }
            specs.append(_label_spec(label_id, label))
        self.spec = cvataa.DetectionFunctionSpec(labels=specs)

    def of(self, shapes: ImageShapes) -> list[DetectionAnnotation]:
        """All shapes and tags of one image."""
        return [
            *(self._rectangle(one) for one in shapes.rectangles),
            *(self._skeleton(one) for one in shapes.skeletons),
            *(self._mask(one) for one in shapes.masks),
            *(self._tag(one) for one in shapes.tags),
        ]

    def polygon(self, label: str, points: Sequence[float]) -> DetectionAnnotation:
        """A polygon of that label; points: x and y in turn, px."""
        return cvataa.polygon(self._labels[label]["id"], points)

    def _rectangle(self, shape: Rectangle) -> DetectionAnnotation:
        label = self._labels[shape.label]
        values = _values(shape.attributes, label["attributes"])
        return cvataa.rectangle(label["id"], list(shape.box), attributes=values)

    def _skeleton(self, shape: Skeleton) -> DetectionAnnotation:
        label = self._labels[shape.label]
        return cvataa.skeleton(
            label["id"],
            [self._keypoint(element, label) for element in shape.elements],
            attributes=_values(shape.attributes, label["attributes"]),
        )

    def _keypoint(self, element: Element, label: Mapping[str, Any]) -> Any:
        return cvataa.keypoint(
            label["points"][element.label],
            list(element.point),
            occluded=element.is_occluded,
            outside=element.is_outside,
            attributes=_values(element.attributes, label["point_attributes"]),
        )

    def _mask(self, shape: MaskShape) -> DetectionAnnotation:
        right, bottom = shape.left + shape.width - 1, shape.top + shape.height - 1
        points = [float(one) for one in (*shape.rle, shape.left, shape.top, right, bottom)]
        return cvataa.mask(self._labels[shape.label]["id"], points)

    def _tag(self, tag: Tag) -> DetectionAnnotation:
        label = self._labels[tag.label]
        return cvataa.tag(label["id"], attributes=_values(tag.attributes, label["attributes"]))


def _label_spec(label_id: int, label: Mapping[str, Any]) -> Any:
    attributes = _attribute_specs(label["attributes"])
    if label["type"] != "skeleton":
        return cvataa.label_spec(label["name"], label_id, type=label["type"], attributes=attributes)
    points = [
        cvataa.keypoint_spec(
            point["name"], point_id, attributes=_attribute_specs(point["attributes"])
        )
        for point_id, point in enumerate(label["sublabels"])
    ]
    return cvataa.skeleton_label_spec(label["name"], label_id, points, attributes=attributes)


def _attribute_specs(attributes: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [
        cvataa.attribute_spec(one["name"], attribute_id, one["input_type"], one["values"])
        for attribute_id, one in enumerate(attributes)
    ]


def _attributes_of_points(label: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Of every point alike."""
    points = label.get("sublabels", ())
    return points[0]["attributes"] if points else ()


def _ids(named: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {one["name"]: place for place, one in enumerate(named)}


def _values(values: Mapping[str, str], ids: Mapping[str, int]) -> list[Any]:
    return [
        models.AttributeValRequest(spec_id=ids[name], value=value) for name, value in values.items()
    ]
