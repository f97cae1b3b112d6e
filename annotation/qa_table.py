"""A QA report as tables for the terminal; the file beside it holds every row."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from annotation.agreement import AgreementRow, Standing
from annotation.edits import EditRow, Share
from annotation.qa import QaReport

_AGAINST = {
    "gold": "gold",
    "honeypot": "honeypots (gold that nobody knew of)",
    "replica": "each other",
}
_MEASURES = {
    "nme": "NME",
    "oks": "OKS",
    "visibility_kappa": "visibility κ",
    "pose_error_deg": "pose, °",
    "box_iou": "box IoU",
    "mask_iou": "mask IoU",
    "faces_matched": "faces",
}
_POINT = "point_visibility_kappa"
_WORST_POINTS = 8
_DIGITS = {"nme": 4, "pose_error_deg": 1}


def tables(report: QaReport, skeleton: str, face: str) -> Iterator[Table]:
    """The report's tables, those that have rows. skeleton, face: names of the schema's labels."""
    if report.standings:
        yield _standings(report.standings)
    for against, title in _AGAINST.items():
        rows = [row for row in report.agreement if row.against == against]
        if rows:
            yield _by_label(rows, f"Agreement with {title}, by label")
            yield from _worst_points(rows, f"Points whose visibility agrees least with {title}")
            yield _by_place(rows, f"Agreement with {title}, by place", skeleton, face)
    if report.edits:
        yield _edits(report.edits)


def _standings(standings: Sequence[Standing]) -> Table:
    table = _table("Annotators by their error on gold, the best first", "annotator")
    for heading in ("images", "NME", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in standings:
        table.add_row(
            one.annotator,
            str(one.images),
            _number(one.nme, "nme"),
            _interval(one.low, one.high, "nme"),
        )
    return table


def _by_label(rows: Sequence[AgreementRow], title: str) -> Table:
    table = _table(title, "label", "measure")
    for heading in ("images", "value", "95 % interval", "same"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        if row.axis == "all" and row.measure != _POINT:
            table.add_row(
                row.label,
                _MEASURES.get(row.measure, "κ"),
                str(row.images),
                _number(row.value, row.measure),
                _interval(row.low, row.high, row.measure),
                "" if row.same_share is None else f"{row.same_share:.0%}",
            )
    return table


def _worst_points(rows: Sequence[AgreementRow], title: str) -> Iterator[Table]:
    """Those of all points on which people differ at all that have the lowest kappa."""
    points = [row for row in rows if row.axis == "all" and row.measure == _POINT]
    differing = [row for row in points if row.value is not None and row.value < 1]
    if not differing:
        return
    table = _table(title, "point")
    for heading in ("images", "visibility κ", "95 % interval", "same"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(differing, key=lambda row: (row.value, row.label))[:_WORST_POINTS]:
        table.add_row(
            row.label,
            str(row.images),
            _number(row.value, row.measure),
            _interval(row.low, row.high, row.measure),
            "" if row.same_share is None else f"{row.same_share:.0%}",
        )
    yield table


def _by_place(rows: Sequence[AgreementRow], title: str, skeleton: str, face: str) -> Table:
    """One line an annotator, job or slice, of the measures that sum up a face."""
    table = _table(title, "place")
    for heading in ("images", *_MEASURES.values()):
        # Words below each other, so that the names of places have room.
        table.add_column(Text(heading.replace(" ", "\n")), justify="right", no_wrap=True)
    places = dict.fromkeys((row.axis, row.name) for row in rows)
    for axis, name in places:
        here = {
            row.measure: row
            for row in rows
            if (row.axis, row.name) == (axis, name)
            and (row.label in (skeleton, face) or row.measure == "mask_iou")
        }
        images = max((row.images for row in here.values()), default=0)
        cells = [
            _number(here[measure].value, measure) if measure in here else ""
            for measure in _MEASURES
        ]
        place = name if axis == "annotator" else f"{axis} {name}".strip()
        table.add_row(place, str(images), *cells)
    return table


def _edits(rows: Sequence[EditRow]) -> Table:
    table = _table(
        "How far people moved pre-labels, the one that was wrong most often first", "pre-label"
    )
    for heading in ("labels", "median", "90 %", "untouched", "wrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        models = f" by {', '.join(row.models)}" if row.models else ""
        table.add_row(
            f"{row.label} of {row.profile}{models}",
            str(row.labels),
            f"{row.median.value:.3f}",
            f"{row.percentile_90.value:.3f}",
            _share(row.untouched),
            _share(row.wrong),
        )
    return table


def _table(title: str, *headings: str) -> Table:
    """Without lines, so that 80 columns hold it: what is too long folds, and nothing is cut."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _number(value: float | None, measure: str) -> str:
    return "–" if value is None else f"{value:.{_DIGITS.get(measure, 3)}f}"


def _interval(low: float | None, high: float | None, measure: str) -> str:
    return f"{_number(low, measure)} – {_number(high, measure)}"


def _share(share: Share) -> str:
    return f"{share.value:.0%} ({share.low:.0%} – {share.high:.0%})"
