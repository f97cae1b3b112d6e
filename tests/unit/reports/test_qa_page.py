"""The quality page says what qa.json says, and draws who disagrees."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annotation.agreement import AgreementRow, Disagreement, Drift, Standing
from annotation.edits import EditRow, Share
from annotation.qa import DefaultRow, QaReport
from mirrorset.errors import InputError
from reports.disagreements import drawn
from reports.qa_page import render_qa

RGB = np.full((240, 300, 3), 120, np.uint8)
POINTS = ((100.0, 100.0), (150.0, 100.0), (125.0, 150.0))
MOVED = tuple((x + 9, y) for x, y in POINTS)
ONE, OTHER = "a" * 64, "b" * 64


def disagreement(image_id: str, against: str = "replica") -> Disagreement:
    return Disagreement.model_validate(
        {
            "image_id": image_id,
            "against": against,
            "first": "annotator-1",
            "second": "annotator-2",
            "nme": 0.18,
            "points": ((POINTS, MOVED),),
        }
    )


def share(value: float) -> Share:
    return Share(value=value, low=value / 2, high=value * 2)


REPORT = QaReport(
    reviewed=12,
    agreement=(
        AgreementRow(
            against="gold",
            axis="all",
            name="",
            label="ibug68",
            measure="nme",
            value=0.021,
            low=0.018,
            high=0.024,
            images=12,
        ),
    ),
    standings=(Standing(annotator="annotator-1", nme=0.021, low=0.018, high=0.024, images=12),),
    drift=(
        Drift(annotator="annotator-1", week="2026-W07", nme=0.02, low=None, high=None, images=1),
        Drift(annotator="annotator-1", week="2026-W08", nme=0.03, low=0.02, high=0.04, images=11),
    ),
    disagreements=(disagreement(ONE), disagreement(OTHER, "gold")),
    edits=(
        EditRow(
            profile="research",
            label="ibug68.jaw",
            models=("mesh",),
            median=share(0.02),
            percentile_90=share(0.1),
            untouched=share(0.4),
            wrong=share(0.25),
            labels=12,
            images=12,
        ),
    ),
    untouched=(
        DefaultRow(
            annotator="annotator-1", attribute="<b>", default="unknown", faces=40, at_default=40
        ),
    ),
    failed={"people_agree": 2},
    suspicious={"points_near_box": 1},
)


def rendered(report: QaReport, folder: Path) -> str:
    (folder / "qa.json").write_text(report.model_dump_json())

    def seen(image_id: str) -> tuple[NDArray[np.uint8], str] | None:
        return (RGB, "A. Photographer, CC BY 4.0") if image_id == ONE else None

    out = render_qa(folder / "qa.json", folder / "quality.html", "Faces <1>", seen)
    return out.read_text(encoding="utf-8")


def test_people_labels_and_checks_are_told(tmp_path: Path) -> None:
    page = rendered(REPORT, tmp_path)
    assert "annotator-1 0.0210 of 12 images" in page
    assert "annotator-1 in 2026-W07 0.0200, annotator-1 in 2026-W08 0.0300" in page
    assert "ibug68.jaw (research) 25%" in page
    assert "people agree</th>" in page
    assert "&lt;b&gt;" in page
    assert "<title>Faces &lt;1&gt;</title>" in page
    assert "<script" not in page


def test_who_disagrees_is_drawn_where_the_picture_may_be_seen(tmp_path: Path) -> None:
    page = rendered(REPORT, tmp_path)
    assert page.count("<figcaption>") == 1
    assert 'first">annotator-1</span> against <span class="point second">annotator-2<' in page
    assert "A. Photographer, CC BY 4.0." in page
    assert "Of 1 more no picture may be shown." in page
    assert [path.stem for path in tmp_path.rglob("*.jpg")] == [f"01-{ONE}"]
    rendered(QaReport(), tmp_path)
    assert not list(tmp_path.rglob("*.jpg"))


def test_what_is_absent_is_said(tmp_path: Path) -> None:
    page = rendered(QaReport(), tmp_path)
    for sentence in (
        "no person's labels have come back",
        "Nobody has labelled an image with gold yet",
        "not yet two weeks",
        "No two people have placed landmarks",
        "Nobody has corrected a model",
        "Nothing fails a check.",
    ):
        assert sentence in page
    assert "have come back" not in rendered(REPORT, tmp_path)


def test_where_nothing_was_wrong_no_empty_chart_is_drawn(tmp_path: Path) -> None:
    (row,) = REPORT.edits
    right = row.model_copy(update={"wrong": share(0)})
    page = rendered(REPORT.model_copy(update={"edits": (right,)}), tmp_path)
    assert "People found none of the pre-labels wrong." in page
    assert "Chart of labels found wrong" not in page
    assert "ibug68.jaw</th>" in page


def test_both_sets_of_points_are_drawn_around_the_face() -> None:
    picture = drawn(RGB, ((POINTS, MOVED),))
    assert max(picture.shape[:2]) == 560
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {(39, 224, 255), (255, 138, 31)} <= colours


def test_points_outside_the_picture_do_no_harm() -> None:
    far = tuple((x + 900, y - 900) for x, y in POINTS)
    assert drawn(RGB, ((POINTS, far),)).size > 0
    assert drawn(RGB, ((far, far),)).size > 0


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "qa.json").write_text("{}")
    with pytest.raises(InputError, match=r"qa\.json is no report .* Run `mirrorset annotate qa`"):
        render_qa(tmp_path / "qa.json", tmp_path / "quality.html", "Faces", lambda _: None)
    assert not (tmp_path / "quality.html").exists()
