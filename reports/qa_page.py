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
from reports.comparisons import number, percent
from reports.disagreements import drawn as drawn_disagreement
from reports.environment import filled
from reports.pictures import Pictures

_PICTURE_PX = 560
#: Disagreements that are seen at once; the others are unfolded.
_AT_ONCE = 6
_SHARE = {"format": ".2~%", "tickCount": 4}
_NME = {"title": "NME on gold", "axis": _SHARE}
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

#: What is a share: of the interocular distance, of an area, of the faces.
_SHARES = frozenset({"nme", "box_iou", "mask_iou", "faces_matched"})

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

    def words(self, value: float) -> str:
        """`value` in its own unit."""
        return percent(value) if self.measure in _SHARES else number(value)

    def bare(self, value: float) -> str:
        """The same without the unit."""
        return self.words(value).removesuffix(" %")


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
class LabelRow:
    """A measure of a label, by what people were held against."""

    label: str
    measure: str
    by_against: dict[str, Agreement]


@dataclass(frozen=True)
class QaPage:
    """All that the template asks for. against: what people were held against, with its words.

    valueless: measures without a value, as everybody gave the same answer.
    """

    title: str
    quality: Quality
    against: dict[str, str]
    labels: tuple[LabelRow, ...]
    valueless: int
    standings: Chart | None
    drift: Chart | None
    edits: Chart | None
    disagreements: tuple[Shown, ...]
    at_once: int
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
    rows = [one for one in quality.agreement if one.axis == "all" and one.measure in _MEASURES]
    told = {one.against for one in rows}
    shown = tuple(_shown(quality.disagreements, pictures, seen))
    page = QaPage(
        title=title,
        quality=quality,
        against={name: words for name, words in _AGAINST.items() if name in told},
        labels=tuple(_label_rows(rows)),
        valueless=sum(one.value is None for one in rows),
        standings=_standings_chart(quality.standings),
        drift=_drift_chart(quality.drift),
        edits=_edits_chart(quality.edits),
        disagreements=shown,
        at_once=_AT_ONCE,
        not_shown=len(quality.disagreements) - len(shown),
    )
    write_text(out, filled("qa.html.j2", page))
    pictures.clear()
    return out


def _label_rows(rows: Sequence[Agreement]) -> list[LabelRow]:
    """Those with a value, by label."""
    found: dict[tuple[str, str], dict[str, Agreement]] = {}
    for one in rows:
        if one.value is not None:
            found.setdefault((one.label, one.measure), {})[one.against] = one
    order = list(_MEASURES)
    keys = sorted(found, key=lambda key: (key[0], order.index(key[1])))
    return [LabelRow(key[0], _MEASURES[key[1]], found[key]) for key in keys]


def _shown(found: Sequence[Disagreement], pictures: Pictures, seen: Seen) -> list[Shown]:
    shown = []
    for place, one in enumerate(found, start=1):
        given = seen(one.image_id) if one.points else None
        if given is None:
            continue
        rgb, attribution = given
        name = f"{place:02}-{one.image_id}"
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
        "width": 320,
        "height": {"step": 28},
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative"} | _NME,
                    "x2": {"field": "high"},
                    "color": {"value": "$accent"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {
                    "x": {"field": "nme", "type": "quantitative"},
                    "color": {"value": "$accent"},
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
    axis = {"labelAngle": 0, "labelOverlap": True}
    x = {"field": "week", "type": "ordinal", "sort": weeks, "title": "week", "axis": axis}
    legend = {"orient": "bottom", "columns": 2, "title": None}
    color = {"field": "annotator", "type": "nominal", "legend": legend}
    value = {"field": "nme", "type": "quantitative"} | _NME
    spec = {
        "data": {"values": [one.model_dump() for one in drift]},
        "width": max(320, 24 * len(weeks)),
        "height": 220,
        "encoding": {"x": x, "color": color},
        "layer": [
            {"mark": {"type": "line", "point": True}, "encoding": {"y": value}},
            {
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": {
                    "y": {"field": "low", "type": "quantitative"} | _NME,
                    "y2": {"field": "high"},
                },
            },
        ],
    }
    told = ", ".join(f"{one.annotator} in {one.week} {one.nme:.4f}" for one in drift)
    return drawn(spec, f"NME on gold by week: {told}.")


def _edits_chart(edits: Sequence[Edits]) -> Chart | None:
    """What share of each label was wrong, by profile; None where nothing was."""
    if not any(one.wrong.value for one in edits):
        return None
    profiles = {one.profile for one in edits}
    legend = {"orient": "bottom", "columns": 2, "title": None} if len(profiles) > 1 else None
    bars: list[dict[str, Any]] = [
        {"label": one.label, "profile": one.profile, "wrong": one.wrong.value} for one in edits
    ]
    x = {"field": "wrong", "type": "quantitative", "title": "share wrong", "axis": _SHARE}
    spec = {
        "data": {"values": bars},
        "width": 320,
        "height": {"step": 22},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "label", "type": "nominal", "sort": "-x", "title": None},
            "x": x,
            "color": {"field": "profile", "type": "nominal", "legend": legend},
            "yOffset": {"field": "profile"},
        },
    }
    told = ", ".join(f"{one.label} ({one.profile}) {one.wrong.value:.0%}" for one in edits)
    return drawn(spec, f"Share of pre-labels that people found wrong: {told}.")
