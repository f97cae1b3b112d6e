"""CVAT's shapes as frozen records: what is drawn on an image, under whatever label."""

from pydantic import Field

from mirrorset.records import Record, Xy, Xyxy


class Shape(Record):
    """What all shapes have. source: CVAT's word for who drew it ("auto", "manual", "file"…)."""

    label: str
    source: str = "auto"
    attributes: dict[str, str] = Field(default_factory=dict)


class Rectangle(Shape):
    """A box, xyxy px. rotation_deg: clockwise about its centre."""

    box: Xyxy
    is_occluded: bool = False
    rotation_deg: float = 0.0


class Element(Shape):
    """One point of a skeleton, px."""

    point: Xy
    is_occluded: bool = False
    is_outside: bool = False


class Skeleton(Shape):
    """Points by label; CVAT does not keep their order."""

    elements: tuple[Element, ...]


class MaskShape(Shape):
    """A region: run lengths in row order over the box, beginning with background, px."""

    left: int
    top: int
    width: int
    height: int
    rle: tuple[int, ...]


class Tag(Shape):
    """A label of the whole image."""


class ForeignShape(Shape):
    """A shape of a kind that no label schema here has (polygon, cuboid…), by its kind."""

    kind: str


class ImageShapes(Record):
    """All shapes of one image under the name it has in CVAT."""

    name: str
    width_px: int
    height_px: int
    rectangles: tuple[Rectangle, ...] = ()
    skeletons: tuple[Skeleton, ...] = ()
    masks: tuple[MaskShape, ...] = ()
    tags: tuple[Tag, ...] = ()
    foreign: tuple[ForeignShape, ...] = ()

    def every(self) -> tuple[Shape, ...]:
        """The shapes of all kinds."""
        return (*self.rectangles, *self.skeletons, *self.masks, *self.tags, *self.foreign)
