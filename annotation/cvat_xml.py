"""Elements of "CVAT for images 1.1" ↔ shapes, and a parser that refuses what could do harm."""

from typing import Any
from xml.etree.ElementTree import Element as Xml
from xml.etree.ElementTree import SubElement, TreeBuilder
from xml.parsers import expat

from annotation.schema import LabelSchema, cvat_labels
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

_FARTHEST_PX = 1e6
# Ten thousand faces of 68 points have some two millions; each takes a few hundred bytes here.
_MOST_ELEMENTS = 4_000_000


class MalformedXmlError(Exception):
    """The XML is not what CVAT writes, as one sentence."""


def parse_xml(content: bytes) -> Xml:
    """The root element. Raises MalformedXmlError for broken XML, for any document type, and for
    more elements than any export has.

    Without a document type there are no entities, so none that expand or read files.
    """
    builder = TreeBuilder()
    count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _MOST_ELEMENTS:
            raise MalformedXmlError(f"it has more than {_MOST_ELEMENTS:,} elements")
        builder.start(tag, attributes)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(content, True)
    # A ValueError is what expat says of encodings of several bytes.
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise MalformedXmlError(f"the XML is broken: {error}") from None
    return builder.close()


def _refuse_doctype(name: str, *_: object) -> None:
    raise MalformedXmlError(f"it declares a document type ({name}), which CVAT never does")


# --- writing ----------------------------------------------------------------------------------


def add(parent: Xml, tag: str, text: str = "") -> Xml:
    """A new child of `parent` with this text."""
    child = SubElement(parent, tag)
    child.text = text
    return child


def write_labels(parent: Xml, schema: LabelSchema) -> None:
    """The `labels` element: every label, and a skeleton's points after it with their parent."""
    labels = add(parent, "labels")
    for spec in cvat_labels(schema):
        label = _write_label(labels, spec)
        if spec["type"] == "skeleton":
            add(label, "svg", spec["svg"])
            for point in spec["sublabels"]:
                add(_write_label(labels, point), "parent", spec["name"])


def _write_label(labels: Xml, spec: dict[str, Any]) -> Xml:
    label = add(labels, "label")
    for key in ("name", "color", "type"):
        add(label, key, spec[key])
    attributes = add(label, "attributes")
    for one in spec["attributes"]:
        attribute = add(attributes, "attribute")
        for key in ("name", "mutable", "input_type", "default_value"):
            add(attribute, key, str(one[key]))
        add(attribute, "values", "\n".join(one["values"]))
    return label


def write_image(parent: Xml, frame: int, shapes: ImageShapes) -> None:
    """The `image` element of one frame with its shapes."""
    image = SubElement(
        parent,
        "image",
        id=str(frame),
        name=shapes.name,
        width=str(shapes.width_px),
        height=str(shapes.height_px),
    )
    for mask in shapes.masks:
        _write_shape(
            image,
            "mask",
            mask,
            occluded="0",
            rle=", ".join(map(str, mask.rle)),
            left=str(mask.left),
            top=str(mask.top),
            width=str(mask.width),
            height=str(mask.height),
            z_order="0",
        )
    for rectangle in shapes.rectangles:
        corners = zip(("xtl", "ytl", "xbr", "ybr"), rectangle.box, strict=True)
        _write_shape(
            image,
            "box",
            rectangle,
            occluded=_flag(rectangle.is_occluded),
            **{name: f"{value:.2f}" for name, value in corners},
            z_order="0",
        )
    for skeleton in shapes.skeletons:
        parts = _write_shape(image, "skeleton", skeleton, z_order="1")
        for element in skeleton.elements:
            _write_shape(
                parts,
                "points",
                element,
                outside=_flag(element.is_outside),
                occluded=_flag(element.is_occluded),
                points="{:.2f},{:.2f}".format(*element.point),
            )
    for tag in shapes.tags:
        _write_shape(image, "tag", tag)


def _write_shape(parent: Xml, kind: str, shape: Shape, **fields: str) -> Xml:
    written = SubElement(parent, kind, {"label": shape.label, "source": shape.source} | fields)
    for name, value in shape.attributes.items():
        add(written, "attribute", value).set("name", name)
    return written


def _flag(is_set: bool) -> str:
    return "1" if is_set else "0"


# --- reading ----------------------------------------------------------------------------------


def read_image(image: Xml) -> ImageShapes:
    """The shapes of an `image` element. Raises MalformedXmlError naming image, shape and field."""
    name = image.get("name", "")
    try:
        return ImageShapes(
            name=name,
            width_px=int(image.attrib["width"]),
            height_px=int(image.attrib["height"]),
            rectangles=tuple(_rectangle(box) for box in image.iterfind("box")),
            skeletons=tuple(_skeleton(one) for one in image.iterfind("skeleton")),
            masks=tuple(_mask(mask) for mask in image.iterfind("mask")),
            tags=tuple(Tag(**_common(tag)) for tag in image.iterfind("tag")),
            foreign=tuple(
                ForeignShape(kind=other.tag, **_common(other))
                for other in image
                if other.tag not in ("box", "skeleton", "mask", "tag")
            ),
        )
    except KeyError as absent:
        raise MalformedXmlError(f"a shape of {name} lacks {absent}") from None
    except ValueError as error:
        raise MalformedXmlError(f"a number of {name} cannot be read: {error}") from None


def _common(shape: Xml) -> dict[str, Any]:
    return {
        "label": shape.attrib["label"],
        "source": shape.get("source", ""),
        "attributes": {one.attrib["name"]: one.text or "" for one in shape.iterfind("attribute")},
    }


def _rectangle(box: Xml) -> Rectangle:
    left, top, right, bottom = (_number(box.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    return Rectangle(
        box=(left, top, right, bottom),
        is_occluded=box.get("occluded") == "1",
        rotation_deg=_number(box.get("rotation", "0")),
        **_common(box),
    )


def _skeleton(skeleton: Xml) -> Skeleton:
    return Skeleton(
        elements=tuple(_element(points) for points in skeleton.iterfind("points")),
        **_common(skeleton),
    )


def _element(points: Xml) -> Element:
    x, y = (_number(value) for value in points.attrib["points"].split(","))
    return Element(
        point=(x, y),
        is_occluded=points.get("occluded") == "1",
        is_outside=points.get("outside") == "1",
        **_common(points),
    )


def _mask(mask: Xml) -> MaskShape:
    return MaskShape(
        left=int(mask.attrib["left"]),
        top=int(mask.attrib["top"]),
        width=int(mask.attrib["width"]),
        height=int(mask.attrib["height"]),
        rle=tuple(int(run) for run in mask.attrib["rle"].split(",") if run.strip()),
        **_common(mask),
    )


def _number(text: str) -> float:
    value = float(text)
    # No picture is near it, and products of such numbers stay finite.
    if not abs(value) < _FARTHEST_PX:
        raise ValueError(f"{text} is no coordinate")
    return value
