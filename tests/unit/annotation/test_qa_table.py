"""The QA report in a terminal: what is worst, and whole names where it is narrow."""

import io
from itertools import product

import pytest
from rich.console import Console

from annotation.agreement import AgreementRow, Standing
from annotation.edits import EditRow, Share
from annotation.qa import QaReport
from annotation.qa_table import tables

PLACES = {
    ("all", ""): "all",
    ("annotator", "annotator of replica 12"): "annotator of replica 12",
    ("annotator", "annotator-1"): "annotator-1",
    ("job", "123456"): "job 123456",
    ("pose", "quarter-left"): "pose quarter-left",
    ("lighting", "under_exposed"): "lighting under_exposed",
    ("selfie", "not a selfie"): "selfie not a selfie",
}
MEASURES = {
    "nme": "ibug68",
    "oks": "ibug68",
    "visibility_kappa": "ibug68",
    "pose_error_deg": "ibug68",
    "box_iou": "face",
    "faces_matched": "face",
    "mask_iou": "person",
}
POINT = "point_visibility_kappa"


def row(axis: str, name: str, label: str, measure: str, value: float = 0.1234) -> AgreementRow:
    return AgreementRow(
        against="gold",
        axis=axis,
        name=name,
        label=label,
        measure=measure,
        value=value,
        low=0.0211,
        high=0.9999,
        same_share=0.99 if "kappa" in measure else None,
        images=12345,
    )


def printed(report: QaReport, width: int) -> dict[str, str]:
    """What a terminal of that width shows, table by table, by its title."""
    shown = {}
    for table in tables(report, "ibug68", "face"):
        console = Console(width=width, file=io.StringIO())
        console.print(table)
        assert isinstance(console.file, io.StringIO)
        title, text = console.file.getvalue().split("\n", 1)
        shown[title.strip()] = text
    return shown


@pytest.fixture
def report() -> QaReport:
    share = Share(value=0.5, low=0.4, high=1.0)
    edit = EditRow(
        profile="research-parsing",
        label="ibug68.brow",
        models=("scrfd_10g_bnkps", "face_landmark_v2_with_attention"),
        **dict.fromkeys(("median", "percentile_90", "untouched", "wrong"), share),
        labels=12345,
        images=12345,
    )
    rows = [
        row(*place, label, measure) for place, (measure, label) in product(PLACES, MEASURES.items())
    ]
    rows += [row("all", "", f"ibug68.jaw_{n}", POINT, (n + 1) / 10) for n in range(10)]
    standing = Standing(
        annotator="annotator of replica 12", nme=0.03, low=0.02, high=0.04, images=6
    )
    return QaReport(agreement=tuple(rows), standings=(standing,), edits=(edit,))


def test_nothing_is_cut_in_80_columns(report: QaReport) -> None:
    shown = printed(report, 80)
    assert len(shown) == 5
    for text in shown.values():
        assert "…" not in text
        assert all(len(line) <= 80 for line in text.splitlines())
    by_place = shown["Agreement with gold, by place"].splitlines()
    # What folds goes on in its own column, in whole words.
    column = by_place[1].index("images")
    left = " ".join(line[:column].strip() for line in by_place[2:])
    assert left.split() == " ".join(PLACES.values()).split()
    figures = by_place[2].split()[1:]
    assert figures == ["12345", "0.1234", *["0.123"] * 2, "0.1", *["0.123"] * 3]
    (moved,) = (text for title, text in shown.items() if title.startswith("How far"))
    assert "50% (40% – 100%)" in moved


def test_only_the_worst_points_are_shown(report: QaReport) -> None:
    lines = printed(report, 80)["Points whose visibility agrees least with gold"].splitlines()
    # The tenth agrees wholly, and eight are enough.
    assert [line.split()[0] for line in lines[1:]] == [f"ibug68.jaw_{n}" for n in range(8)]


def test_an_empty_report_has_no_tables() -> None:
    assert printed(QaReport(), 80) == {}
