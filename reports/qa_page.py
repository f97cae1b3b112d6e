"""Quality of people's labels, as one HTML page: annotators, labels, drift, disagreements drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mirrorset.errors import InputError, first_fault
from mirrorset.files import write_text
from mirrorset.records import Xy
from reports.charts import Chart, drawn
from reports.disagreements import drawn as drawn_disagreement
from reports.environment import filled
from reports.pictures import Pictures

_PICTURE_PX = 420
_AGAINST = {"gold": "gold", "honeypot": "honeypots", "replica": "each other"}
_MEASURES = {
    "nme": "NME",
    "oks": "OKS",
    "box_iou": "box IoU",
    "mask_iou": "mask IoU",
    "faces_matched": "faces",
    "pose_error_deg": "pose, °",
    "visibility_kappa": "visibility κ",
    "tag_kappa": "κ",
    "attribute_kappa": "κ",
}

#: The pixels (H, W, 3) uint8 of an image and whom to name with it; None where it may not be seen.
Seen = Callable[[str], tuple[NDArray[np.uint8], str] | None]


class _Read(BaseModel):
    """A part of qa.json; fields that the page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Standing(_Read):
    """An annotator against truth, of all time or one week."""

    annotator: str
    week: str = ""
    nme: float
    low: float | None
    high: float | None
    images: int


class Agreement(_Read):
    """A measure of a label over the images of a place."""

    against: str
    axis: str
    label: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    images: int

    @property
    def against_words(self) -> str:
        return _AGAINST.get(self.against, self.against)

    @property
    def measure_words(self) -> str:
        return _MEASURES[self.measure]


class Share(_Read):
    """A value with its interval."""

    value: float
    low: float
    high: float


class Edits(_Read):
    """What people made of one label of a profile."""

    profile: str
    label: str
    median: Share
    wrong: Share
    untouched: Share
    labels: int


class Untouched(_Read):
    """An attribute that an annotator never set."""

    annotator: str
    attribute: str
    default: str
    faces: int


class Disagreement(_Read):
    """Two annotations of one image that lie far apart."""

    image_id: str
    against: str
    first: str
    second: str
    nme: float
    points: tuple[tuple[tuple[Xy, ...], tuple[Xy, ...]], ...]


class Quality(_Read):
    """qa.json as far as the page shows it."""

    reviewed: int
    agreement: tuple[Agreement, ...]
    standings: tuple[Standing, ...]
    drift: tuple[Standing, ...]
    disagreements: tuple[Disagreement, ...]
    edits: tuple[Edits, ...]
    untouched: tuple[Untouched, ...]
    failed: dict[str, int]
    suspicious: dict[str, int]


@dataclass(frozen=True)
class Shown:
    """A disagreement with its picture, an address relative to the page."""

    it: Disagreement
    picture: str
    attribution: str


@dataclass(frozen=True)
class QaPage:
    """All that the template asks for."""

    title: str
    quality: Quality
    labels: tuple[Agreement, ...]
    standings: Chart | None
    drift: Chart | None
    edits: Chart | None
    disagreements: tuple[Shown, ...]
    not_shown: int


def render_qa(report: Path, out: Path, title: str, seen: Seen) -> Path:
    """Write qa.json as a page with pictures beside it, whole or not at all; return `out`.

    seen: gives the pixels of an image and whom to name with it. Raises InputError naming the file
    where it is no such report.
    """
    try:
        quality = Quality.model_validate_json(report.read_bytes())
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{report} is no report of `mirrorset annotate qa` of this version: "
            f"{where or 'the file'}: {fault}. Run `mirrorset annotate qa` again."
        ) from None
    pictures = Pictures(out.with_suffix(""), _PICTURE_PX)
    shown = tuple(_shown(quality.disagreements, pictures, seen))
    page = QaPage(
        title=title,
        quality=quality,
        labels=tuple(
            one for one in quality.agreement if one.axis == "all" and one.measure in _MEASURES
        ),
        standings=_standings_chart(quality.standings),
        drift=_drift_chart(quality.drift),
        edits=_edits_chart(quality.edits),
        disagreements=shown,
        not_shown=len(quality.disagreements) - len(shown),
    )
    write_text(out, filled("qa.html.j2", page))
    pictures.clear()
    return out


def _shown(found: Sequence[Disagreement], pictures: Pictures, seen: Seen) -> list[Shown]:
    shown = []
    for number, one in enumerate(found, start=1):
        given = seen(one.image_id) if one.points else None
        if given is None:
            continue
        rgb, attribution = given
        name = f"{number:02}-{one.image_id}"
        pictures.add(name, drawn_disagreement(rgb, one.points))
        shown.append(Shown(one, pictures.address(name), attribution))
    return shown


def _standings_chart(standings: Sequence[Standing]) -> Chart | None:
    """Every annotator's error on gold with its interval."""
    if not standings:
        return None
    order = [one.annotator for one in standings]
    y = {"field": "annotator", "type": "nominal", "sort": order, "title": None}
    spec = {
        "data": {"values": [one.model_dump() for one in standings]},
        "width": 420,
        "height": {"step": 28},
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative", "title": "NME on gold"},
                    "x2": {"field": "high"},
                    "color": {"value": "#4c78a8"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90},
                "encoding": {
                    "x": {"field": "nme", "type": "quantitative"},
                    "color": {"value": "#4c78a8"},
                },
            },
        ],
    }
    told = ", ".join(f"{one.annotator} {one.nme:.4f} of {one.images} images" for one in standings)
    return drawn(spec, f"Annotators by their NME on gold, the best first: {told}.")


def _drift_chart(drift: Sequence[Standing]) -> Chart | None:
    """Every annotator's error on gold week by week; None where all is of one week."""
    weeks = sorted({one.week for one in drift})
    if len(weeks) < 2:
        return None
    x = {"field": "week", "type": "ordinal", "sort": weeks, "axis": {"labelAngle": 0}}
    color = {"field": "annotator", "type": "nominal", "legend": {"orient": "bottom"}}
    value = {"field": "nme", "type": "quantitative", "title": "NME on gold"}
    spec = {
        "data": {"values": [one.model_dump() for one in drift]},
        "width": {"step": 70},
        "height": 220,
        "encoding": {"x": x, "color": color},
        "layer": [
            {"mark": {"type": "line", "point": True}, "encoding": {"y": value}},
            {
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": {
                    "y": {"field": "low", "type": "quantitative"},
                    "y2": {"field": "high"},
                },
            },
        ],
    }
    told = ", ".join(f"{one.annotator} in {one.week} {one.nme:.4f}" for one in drift)
    return drawn(spec, f"NME on gold by week: {told}.")


def _edits_chart(edits: Sequence[Edits]) -> Chart | None:
    """What share of each label was wrong, by profile."""
    if not edits:
        return None
    bars: list[dict[str, Any]] = [
        {"label": one.label, "profile": one.profile, "wrong": one.wrong.value} for one in edits
    ]
    x = {"field": "wrong", "type": "quantitative", "title": "share wrong", "axis": {"format": "%"}}
    spec = {
        "data": {"values": bars},
        "width": 420,
        "height": {"step": 22},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "label", "type": "nominal", "sort": "-x", "title": None},
            "x": x,
            "color": {"field": "profile", "type": "nominal", "legend": {"orient": "bottom"}},
            "yOffset": {"field": "profile"},
        },
    }
    told = ", ".join(f"{one.label} ({one.profile}) {one.wrong.value:.0%}" for one in edits)
    return drawn(spec, f"Share of pre-labels that people found wrong: {told}.")
