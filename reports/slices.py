"""Where the release is dense and where it is thin: images by pose, lighting side and selfies."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from faces.slices import (
    GRID,
    LIGHTINGS,
    POSES,
    SELFIES,
    SMALLEST_CELL,
    UNKNOWN,
    Slice,
    suppressed,
)
from reports.charts import Chart, drawn

SIDES = tuple(side for side in LIGHTINGS if side != UNKNOWN)

_POSE_WORDS = {"left": "to the left", "right": "to the right", "frontal": "to the camera"}


@dataclass(frozen=True)
class Cell:
    """A count as the page shows it. count: 0 where it is withheld."""

    words: str
    is_suppressed: bool
    count: int = 0


@dataclass(frozen=True)
class Table:
    """rows: a pose and one cell a column. Sums are left out: they would tell a suppressed cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    minimum: int = SMALLEST_CELL


def coverage(slices: Iterable[Slice]) -> Table:
    """How many there are of each pose and side; "unknown" has a row or column where it occurs.

    An empty cell is a gap and says 0.
    """
    counts = Counter(slices)
    told = suppressed(counts, GRID)
    has_unknown_pose = any(slice_.pose == UNKNOWN for slice_ in counts)
    has_unknown_side = any(slice_.lighting == UNKNOWN for slice_ in counts)
    sides = LIGHTINGS if has_unknown_side else SIDES

    def cell(place: Slice) -> Cell:
        return _cell(counts[place], told[place])

    return Table(
        columns=sides,
        rows=tuple(
            (pose, tuple(cell(Slice(pose, side)) for side in sides))
            for pose in POSES
            if pose != UNKNOWN or has_unknown_pose
        ),
    )


def selfies(cells: Iterable[str]) -> tuple[tuple[str, Cell], ...]:
    """How many there are of each cell of likeness to a selfie; "unknown" where it occurs."""
    counts = Counter(cells)
    return tuple(
        (name, _cell(counts[name], told))
        for name, told in suppressed(counts, SELFIES).items()
        if name != UNKNOWN or counts[name]
    )


def pose_words(pose: str) -> str:
    """Where the nose points, in words."""
    return _POSE_WORDS.get(pose, pose)


def light_words(side: str) -> str:
    """Where the light comes from, in words."""
    return f"from the {side}" if side in ("left", "right") else side


def gaps(table: Table) -> Iterator[str]:
    """The cells without an image, and those with too few to tell, in words."""
    for pose, cells in table.rows:
        for side, cell in zip(table.columns, cells, strict=True):
            if UNKNOWN in (pose, side) or cell.count >= table.minimum:
                continue
            if cell.words in ("0", f"<{table.minimum}"):
                few = "none" if cell.words == "0" else f"fewer than {table.minimum}"
                yield f"nose {pose_words(pose)}, light {light_words(side)}: {few}"


def coverage_chart(table: Table) -> Chart:
    """The table as a heat map: the more images, the darker; none or withheld is left blank."""
    poses = [f"nose {pose_words(pose)}" for pose, _ in table.rows]
    lights = [light_words(side) for side in table.columns]
    cells = [
        {
            "pose": f"nose {pose_words(pose)}",
            "light": light_words(side),
            "images": None if cell.is_suppressed else cell.count,
            "words": cell.words,
        }
        for pose, row in table.rows
        for side, cell in zip(table.columns, row, strict=True)
    ]
    largest = max((cell.count for _, row in table.rows for cell in row), default=0)
    axis = {"labelAngle": 0, "labelPadding": 6, "domain": False, "ticks": False}
    spec = {
        "data": {"values": cells},
        "width": {"step": 96},
        "height": {"step": 44},
        "encoding": {
            "x": {
                "field": "light",
                "type": "nominal",
                "sort": lights,
                "title": "light",
                "axis": axis | {"orient": "top"},
            },
            "y": {
                "field": "pose",
                "type": "nominal",
                "sort": poses,
                "title": None,
                "axis": axis,
            },
        },
        "layer": [
            {
                "mark": {
                    "type": "rect",
                    "stroke": "$line",
                    "cornerRadius": 3,
                    # Else those that are not told have no frame.
                    "invalid": "show",
                },
                "encoding": {
                    "color": {
                        "condition": {"test": "!datum.images", "value": "transparent"},
                        "field": "images",
                        "type": "quantitative",
                        "scale": {"scheme": "blues", "domain": [0, max(1, largest)]},
                        "legend": None,
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 14},
                "encoding": {
                    "text": {"field": "words"},
                    "color": {
                        "condition": [
                            {"test": "!datum.images", "value": "$ink"},
                            {"test": f"datum.images > {0.55 * largest}", "value": "#ffffff"},
                        ],
                        "value": "#1d1f22",
                    },
                },
            },
        ],
    }
    told = ", ".join(f"{it['pose']} and light {it['light']} {it['words']}" for it in cells)
    return drawn(spec, f"Images by pose and light: {told}.")


def _cell(count: int, told: int | None) -> Cell:
    if told is None:
        is_large = count >= SMALLEST_CELL
        return Cell("withheld" if is_large else count_words(count), is_suppressed=True)
    return Cell(str(told), is_suppressed=False, count=told)


def count_words(count: int) -> str:
    """The count, or "<10" where it is too small to be told."""
    return f"<{SMALLEST_CELL}" if 0 < count < SMALLEST_CELL else str(count)
