"""Where a run departs, from parity's explanation.json as far as a page shows it."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from mirrorset.errors import InputError, first_fault

_QUALITY = 85


class _Read(BaseModel):
    """A part of an explanation; fields that the page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Finding(_Read):
    """A deviation that a stage adds of its own. explained: share that `cause` explains."""

    stages: tuple[str, ...]
    parts: tuple[str, ...]
    cause: str
    detail: str
    output: str | None = None
    explained: float | None = None
    count: int

    @property
    def where(self) -> str:
        """Stage and part: "landmarks, kernel"."""
        return f"{', '.join(self.stages)}: {' or '.join(self.parts)}"

    @property
    def cause_words(self) -> str:
        return self.cause.replace("_", " ")


class Deviation(_Read):
    """How far an output is from the reference's, and what each step adds; None: not told."""

    name: str
    count: int
    tolerance: float
    whole: float
    before: float | None = None
    preprocessing: float | None = None
    model: float | None = None
    kernel: float | None = None
    rule: float | None = None


class Worst(_Read):
    """An image that is far out. picture: a file beside the explanation."""

    image_id: str
    name: str
    times_tolerance: float
    picture: str | None = None


class Explanation(_Read):
    """Why a run departs from the reference. findings: in the order of the chain."""

    run: str
    count: int
    findings: tuple[Finding, ...]
    deviations: tuple[Deviation, ...]
    worst: tuple[Worst, ...]


@dataclass(frozen=True)
class Drawn:
    """The worst images of a comparison, with the folder that their pictures lie in."""

    folder: Path
    worst: tuple[Worst, ...]


@dataclass(frozen=True)
class WorstImage:
    """A worst image as the page shows it. picture: the address of what was drawn of it, whose size
    keeps its place while it is read.
    """

    image_id: str
    words: str
    attribution: str
    picture: str
    width_px: int
    height_px: int


#: Keeps a JPEG under a name, and tells the address by which the page has it.
Keep = Callable[[str, bytes], str]


def explanation_of(comparison: Path) -> Path:
    """Where the explanation of the run in `comparison`, comparison-NAME.json, is kept."""
    name = comparison.stem.removeprefix("comparison-")
    return comparison.with_name(f"why-{name}") / "explanation.json"


def read_explanation(path: Path) -> Explanation:
    """The explanation in `path`. Raises InputError naming the file and the field."""
    try:
        return Explanation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{path} is no explanation of parity: {where or 'the file'}: {fault}."
        ) from None


def take_worst(drawn: Drawn, credit_of: Mapping[str, str], keep: Keep) -> Iterator[WorstImage]:
    """The worst images, their pictures kept as JPEG.

    credit_of: author and licence by image_id; an image without is not shown.
    """
    for one in drawn.worst:
        if one.image_id not in credit_of or one.picture is None:
            continue
        file = Path(one.picture)
        encoded = io.BytesIO()
        with Image.open(drawn.folder / file.name) as picture:
            width_px, height_px = picture.size
            picture.convert("RGB").save(encoded, "JPEG", quality=_QUALITY)
        yield WorstImage(
            image_id=one.image_id,
            words=f"{one.name}: {one.times_tolerance:.3g} times what counts as equal",
            attribution=credit_of[one.image_id],
            picture=keep(f"{file.stem}.jpg", encoded.getvalue()),
            width_px=width_px,
            height_px=height_px,
        )
