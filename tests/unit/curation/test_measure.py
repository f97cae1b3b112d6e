import json

from curation.measure import measure
from mirrorset.files import write_records
from mirrorset.records import Reason, Rejected


def test_figures_are_aggregates_of_all_steps(portraits, release_of, tmp_path):
    blurred = portraits[5].but(quality={"sharpness": 0.0})
    card = release_of([*portraits[:5], blurred], "1.0.0")
    write_records(
        tmp_path / "snapshot" / "rejected.jsonl",
        [
            Rejected(item_id="gallery:1", step="crawl", reason=Reason.ROBOTS),
            Rejected(item_id="gallery:2", step="crawl", reason=Reason.ROBOTS),
            # What this room said in an earlier release is judged anew, and counted once.
            Rejected(item_id=blurred.image.image_id, step="select", reason=Reason.BLURRED),
        ],
    )
    measure(tmp_path / "snapshot", tmp_path / "work", tmp_path)
    metrics = json.loads((tmp_path / "metrics" / "release.json").read_text())
    assert metrics["images"] == {"all": 5, **card.splits}
    assert metrics["groups"] == {"all": 5, "largest": 1}
    assert metrics["rejected"] == {"blurred": 1, "robots": 2}
    assert metrics["unreviewed_share"] == 1.0
    assert "pose_frontal_light_left" not in metrics["slices"]
    assert metrics["slices"]["pose_left_light_front"] == 0
    # Hand-set landmarks without a jaw line: the perspective of all five is unknown, and withheld.
    assert metrics["slices"]["selfie_likely"] == 0
    assert "selfie_unknown" not in metrics["slices"]

    slices = (tmp_path / "plots" / "slices.csv").read_text().splitlines()
    assert slices[0] == "pose,lighting,images"
    assert "frontal,left," in slices
    assert metrics["leakage"] == {
        "near_duplicate_pairs": 0,
        "groups": 0,
        "authors": 0,
        "subjects": 0,
    }
    # Five images are too few for any cell.
    cells = (tmp_path / "plots" / "cells.csv").read_text()
    assert cells == "cell,pose,lighting,size,tone,age_band,images\n"
    coverage = (tmp_path / "plots" / "coverage.csv").read_text().splitlines()
    assert coverage[0] == "axis,value,images"
    assert "age band,60+,0" in coverage
    assert (tmp_path / "plots" / "rejected.csv").read_text() == (
        "reason,images\nblurred,1\nrobots,2\n"
    )
