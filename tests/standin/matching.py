"""Which shapes of two sets are about the same thing: same label, same kind, boxes that overlap."""

from standin.state import Shape

Box = tuple[float, float, float, float]


def box(shape: Shape) -> Box:
    """xyxy around a shape, a skeleton's around its points."""
    points = shape["points"]
    if shape["type"] == "skeleton":
        points = [value for element in shape["elements"] for value in element["points"]]
    if shape["type"] == "mask":
        left, top, right, bottom = points[-4:]
        return left, top, right + 1, bottom + 1
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def iou(one: Shape, other: Shape) -> float:
    """Overlap of their boxes, 0 to 1."""
    a, b = box(one), box(other)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / both if both else float(a == b)


def matched(
    ones: list[Shape], others: list[Shape], least_iou: float
) -> list[tuple[Shape, Shape, float]]:
    """Pairs of the same frame, kind and label, best overlap first; each shape once."""
    pairs = [
        (one, other, iou(one, other))
        for one in ones
        for other in others
        if all(one[key] == other[key] for key in ("frame", "type", "label_id"))
    ]
    pairs.sort(key=lambda pair: -pair[2])
    found: list[tuple[Shape, Shape, float]] = []
    taken: set[int] = set()
    for one, other, overlap in pairs:
        if overlap >= least_iou and not {one["id"], other["id"]} & taken:
            taken |= {one["id"], other["id"]}
            found.append((one, other, overlap))
    return found
