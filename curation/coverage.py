"""Coverage: how many images a release has by pose, light, size, tone and age band of the main face.

A cell is told from ten images on. It refines a slice of pose and light, whose count may be told: so
further cells of the slice are withheld until those that are together hold ten images or more, and
all of them where the slice itself is withheld. No other sum is told: what is said of one axis alone
is the sum of the slices or cells that are told, so "at least".

Tone and age band are what a source says of its picture, or what an annotator set as a tag. No model
is asked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

from curation.gates import main_face
from curation.records import Attribution
from faces.slices import (
    GRID,
    LIGHTINGS,
    POSES,
    SMALLEST_CELL,
    UNKNOWN,
    Slice,
    slice_of,
    suppressed,
    withheld,
)
from mirrorset.records import AgeBand, DatasetItem, Face, Tone

#: Distance between the eyes' centres in px.
SIZES = ("<64", "64-127", "128+", UNKNOWN)
TONES = (*get_args(Tone), UNKNOWN)
AGE_BANDS = (*get_args(AgeBand), UNKNOWN)
_MEDIUM_FROM_PX, _LARGE_FROM_PX = 64, 128
_UNSAID = (UNKNOWN, UNKNOWN, UNKNOWN)


class Cell(NamedTuple):
    """One value of each axis."""

    pose: str
    lighting: str
    size: str
    tone: str
    age_band: str

    @property
    def slice(self) -> Slice:
        """The slice of pose and light that it refines."""
        return Slice(self.pose, self.lighting)

    @property
    def words(self) -> str:
        """What is known of it, for people."""
        named = {
            "pose": f"nose {self.pose}" if self.pose != "frontal" else self.pose,
            "lighting": f"light {self.lighting}",
            "size": f"{self.size} px",
            "tone": f"tone {self.tone}",
            "age_band": f"age {self.age_band}",
        }
        return " · ".join(words for axis, words in named.items() if getattr(self, axis) != UNKNOWN)


#: The values of each axis, by its name.
AXES = dict(zip(Cell._fields, (POSES, LIGHTINGS, SIZES, TONES, AGE_BANDS), strict=True))


#: Tags that are told as counts alone, never with an image.
COUNTED_TAGS = frozenset({"tone", "age_band"})


def cell_of(item: DatasetItem, attribution: Attribution) -> Cell:
    """The cell of an image: by what its source says, else by what a person has set."""
    face = main_face(item.annotation.faces)
    tags = item.annotation.tags if item.annotation.origin != "model" else {}
    sighting = attribution.sighting
    tone = sighting.tone or tags.get("tone", UNKNOWN)
    age_band = sighting.age_band or tags.get("age_band", UNKNOWN)
    return Cell(
        *slice_of(face),
        size=_size(face),
        tone=tone if tone in TONES else UNKNOWN,
        age_band=age_band if age_band in AGE_BANDS else UNKNOWN,
    )


def told(counts: Mapping[Cell, int]) -> dict[Cell, int]:
    """The cells that may be told, in the order of their axes; any other is empty or withheld."""
    within: defaultdict[Slice, dict[Cell, int]] = defaultdict(dict)
    for cell, count in counts.items():
        within[cell.slice][cell] = count
    found: dict[Cell, int] = {}
    for slice_, of_slice in suppressed(_slices(counts), GRID).items():
        if of_slice:
            kept_back = {*withheld(within[slice_])}
            found |= {
                cell: number
                for cell, number in within[slice_].items()
                if number and cell not in kept_back
            }
    return {cell: found[cell] for cell in sorted(found, key=_place)}


def at_least(counts: Mapping[Cell, int]) -> dict[str, dict[str, int | None]]:
    """By axis and value, how many images there are at least; None where nothing can be told of it.

    Sums of the slices, for pose and lighting, and of the cells that are told.
    """
    by_axis: dict[str, dict[str, int | None]] = {}
    slices = suppressed(_slices(counts), GRID)
    from_slices = _sums({Cell(*slice_, *_UNSAID): n or 0 for slice_, n in slices.items()})
    from_cells = _sums(told(counts))
    for axis, everything in _sums(counts).items():
        sums = (from_slices if axis in Slice._fields else from_cells)[axis]
        by_axis[axis] = {
            value: sums[value] or (None if everything[value] else 0) for value in everything
        }
    return by_axis


def _slices(counts: Mapping[Cell, int]) -> Counter[Slice]:
    slices: Counter[Slice] = Counter()
    for cell, count in counts.items():
        slices[cell.slice] += count
    return slices


def _sums(cells: Mapping[Cell, int]) -> dict[str, dict[str, int]]:
    """By axis and value, how many images the cells hold."""
    sums = {axis: dict.fromkeys(values, 0) for axis, values in AXES.items()}
    for cell, count in cells.items():
        for axis, value in cell._asdict().items():
            sums[axis][value] += count
    return sums


def gaps(counts: Mapping[Cell, int]) -> Iterator[str]:
    """What the counts of all cells lack, a sentence each."""
    sums = _sums(counts)
    images = sum(counts.values())
    missing: list[str] = []
    few: list[str] = []
    for axis, values in sums.items():
        known = images - values[UNKNOWN]
        name = axis.replace("_", " ")
        if not known:
            yield f"{name.capitalize()} is known of no image."
            continue
        if values[UNKNOWN]:
            yield f"{name.capitalize()} is known of {_share(known, images)} of the images."
        for value, count in values.items():
            if value != UNKNOWN and count < SMALLEST_CELL:
                (few if count else missing).append(f"{name} {value}")
    if missing:
        yield f"No image has {', '.join(missing)}."
    if few:
        yield f"Fewer than {SMALLEST_CELL} images have, for each of these: {', '.join(few)}."


def _size(face: Face) -> str:
    if face.quality is None:
        return UNKNOWN
    distance = face.quality.inter_eye_distance_px
    if distance < _MEDIUM_FROM_PX:
        return SIZES[0]
    return SIZES[1] if distance < _LARGE_FROM_PX else SIZES[2]


def _place(cell: Cell) -> tuple[int, ...]:
    return tuple(AXES[axis].index(value) for axis, value in cell._asdict().items())


def _share(part: int, whole: int) -> str:
    """In steps of ten per cent, so that it tells no small count."""
    tenths = round(10 * part / whole)
    if tenths in (0, 10):
        return "hardly any" if tenths == 0 else "nearly all"
    return f"about {tenths}0 %"
