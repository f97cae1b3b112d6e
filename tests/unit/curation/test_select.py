from datetime import UTC, datetime, timedelta

import pytest

from curation.gates import SelectParams
from curation.records import Selected
from curation.select import select
from mirrorset.errors import InputError
from mirrorset.files import read_parts, read_records
from mirrorset.records import (
    Decision,
    LedgerEntry,
    ModelRef,
    Pose,
    Quarantine,
    Reason,
    Rejected,
    utc_now,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
NON_COMMERCIAL = ModelRef(
    name="2d106det", sha256="b" * 64, licence="non-commercial", is_commercial_use_allowed=False
)


def run(snapshot, work, use="research", **params):
    counts = select(snapshot, work, use, SelectParams(**params))
    selected = list(read_parts(work / "selected", Selected))
    rejected = list(read_records(work / "rejected.jsonl", Rejected))
    assert counts.kept == len(selected)
    assert sum(counts.rejected.values()) == len(rejected)
    return selected, {record.item_id: record for record in rejected}


def pose(yaw_deg, pitch_deg, roll_deg):
    return {"pose": Pose(yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)}


def test_good_portraits_pass(portraits, snapshot_of, tmp_path):
    selected, rejected = run(snapshot_of(portraits[:3]), tmp_path)
    assert [record.image for record in selected] == sorted(
        (portrait.image for portrait in portraits[:3]), key=lambda image: image.image_id
    )
    assert not rejected


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"is_adult": False}, Reason.MINOR_DOUBT, "adult"),
        ({"licence": "CC BY-ND 4.0"}, Reason.NO_DERIVATIVES, "CC-BY-ND"),
        ({"failed_checks": ("box_inside",)}, Reason.CHECK_FAILED, "box_inside"),
        ({"attributes": {"occlusion": "heavy"}}, Reason.OCCLUSION, "heavy, at most partial"),
        ({"occluded_points": 35}, Reason.OCCLUSION, "occluded_points is 0.5147, at most 0.5"),
        ({"quality": {"sharpness": 1.0}}, Reason.BLURRED, "sharpness is 1, at least 60"),
        ({"quality": {"inter_eye_distance_px": 9.0}}, Reason.SMALL_FACE, "inter_eye_distance_px"),
        ({"quality": {"head_size": 0.05}}, Reason.SMALL_FACE, "head_size"),
        ({"quality": {"luminance_mean": 0.001}}, Reason.EXPOSURE, "luminance is 0.001, at least"),
        ({"quality": {"luminance_mean": 0.9}}, Reason.EXPOSURE, "luminance is 0.9, at most"),
        ({"quality": {"under_exposure": 0.99}}, Reason.EXPOSURE, "under_exposure"),
        ({"quality": {"over_exposure": 0.99}}, Reason.EXPOSURE, "over_exposure"),
        (pose(-80, 0, 0), Reason.POSE, "abs_yaw_deg is 80, at most 45"),
        (pose(0, 40, 0), Reason.POSE, "abs_pitch_deg is 40"),
        (pose(0, 0, -46), Reason.POSE, "abs_roll_deg is 46"),
        ({"pose": None}, Reason.QUALITY, "no head pose"),
    ],
)
def test_each_gate_gives_its_reason(portraits, snapshot_of, tmp_path, change, reason, detail):
    bad = portraits[1].but(**change)
    selected, rejected = run(snapshot_of([portraits[0], bad]), tmp_path)
    assert [record.image.image_id for record in selected] == [portraits[0].image.image_id]
    only = rejected[bad.image.image_id]
    assert (only.reason, only.step) == (reason, "select")
    assert detail in only.detail


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"occlusion": "partial"}},
        {"attributes": {}},
        {"occluded_points": 34},
        {"quality": {"sharpness": 60.0, "luminance_mean": 0.79}},
        pose(-45, 35, 45),
    ],
)
def test_limits_are_inclusive_and_what_nobody_said_breaks_none(
    portraits, snapshot_of, tmp_path, change
):
    assert len(run(snapshot_of([portraits[0].but(**change)]), tmp_path)[0]) == 1


def test_a_wider_or_narrower_limit_is_obeyed(portraits, snapshot_of, tmp_path):
    covered = portraits[0].but(attributes={"occlusion": "heavy"})
    assert len(run(snapshot_of([covered]), tmp_path, max_occlusion="heavy")[0]) == 1
    partly = portraits[0].but(attributes={"occlusion": "partial"})
    _, rejected = run(snapshot_of([partly]), tmp_path, max_occlusion="none")
    assert [one.reason for one in rejected.values()] == [Reason.OCCLUSION]


def test_one_or_several_faces(portraits, snapshot_of, tmp_path):
    snapshot = snapshot_of(portraits[:1], without=["annotations"])
    one = portraits[0].annotation
    (face,) = one.faces
    four = [face.model_copy(update={"face_id": str(number)}) for number in range(4)]
    for faces, reason in ([], Reason.NO_FACE), (four, Reason.SEVERAL_FACES):
        (snapshot / "annotations/00000.jsonl").write_text("")
        also(snapshot, "annotations", one.model_copy(update={"faces": tuple(faces)}))
        _, rejected = run(snapshot, tmp_path)
        assert [record.reason for record in rejected.values()] == [reason]
    assert len(run(snapshot, tmp_path, max_faces=4)[0]) == 1


def decided(portrait, action: str) -> Decision:
    image_id = portrait.image.image_id
    return Decision(image_id=image_id, gate="adult", action=action, by="", reason="", decided_at=AT)


def test_a_person_releases_a_doubt_of_age_and_nothing_else(portraits, snapshot_of, tmp_path):
    doubted = portraits[0].but(is_adult=False)
    broken = portraits[1].but(is_adult=False, failed_checks=("not_stopped",))
    decisions = [decided(doubted, "release"), decided(broken, "release")]
    selected, rejected = run(snapshot_of([doubted, broken], decisions=decisions), tmp_path)
    assert [record.image for record in selected] == [doubted.image]
    assert rejected[broken.image.image_id].reason == Reason.CHECK_FAILED


def test_a_drop_is_final(portraits, snapshot_of, tmp_path):
    good = portraits[0]
    decisions = [
        decided(good, "drop"),
        decided(good, "release").model_copy(update={"decided_at": AT + timedelta(days=1)}),
    ]
    selected, rejected = run(snapshot_of([good], decisions=decisions), tmp_path)
    assert not selected
    assert rejected[good.image.image_id].reason == Reason.DROPPED


def test_an_intimate_picture_stays_out_and_nothing_is_told_of_it(portraits, snapshot_of, tmp_path):
    seen = portraits[0].but(is_adult=False, failed_checks=("intimate",))
    decisions = [decided(seen, "release")]
    selected, rejected = run(snapshot_of([seen], decisions=decisions), tmp_path)
    assert not selected
    only = rejected[seen.image.image_id]
    assert (only.reason, only.detail) == (Reason.INTIMATE, "")


def test_a_missing_adult_verdict_is_doubt(portraits, snapshot_of, tmp_path):
    _, rejected = run(snapshot_of(portraits[:1], without=["verdicts"]), tmp_path)
    assert rejected[portraits[0].image.image_id].reason == Reason.MINOR_DOUBT


def test_unlabelled_images_are_counted_unless_prelabel_did(portraits, snapshot_of, tmp_path):
    first, second = (portrait.image.image_id for portrait in portraits[:2])
    known = Rejected(item_id=first, step="prelabel", reason=Reason.NO_FACE)
    snapshot = snapshot_of(portraits[:2], without=["annotations"], rejected=[known])
    _, rejected = run(snapshot, tmp_path)
    assert rejected.keys() == {second}
    assert rejected[second].is_retryable


def test_non_commercial_images_only_for_research(portraits, snapshot_of, tmp_path):
    image = portraits[0].but(licence="CC BY-NC-SA 2.0")
    snapshot = snapshot_of([image])
    assert len(run(snapshot, tmp_path)[0]) == 1
    _, rejected = run(snapshot, tmp_path, use="commercial")
    assert rejected[image.image.image_id].reason == Reason.NON_COMMERCIAL


def also(snapshot, name, record):
    """Adds a record of the snapshot's only image."""
    with (snapshot / name / "00000.jsonl").open("a") as lines:
        lines.write(record.model_dump_json() + "\n")


def test_the_most_restrictive_licence_counts(portraits, snapshot_of, tmp_path):
    again = portraits[0].but(licence="CC BY 4.0", source="blog")
    snapshot = snapshot_of([portraits[0].but(licence="CC BY-NC-SA 2.0")])
    also(snapshot, "sightings", again.sighting)
    ((record,), _) = run(snapshot, tmp_path)
    assert (record.sighting.licence.code, record.sighting.source) == ("CC-BY-NC-SA", "gallery")
    also(snapshot, "sightings", again.but(licence="CC BY-ND 4.0", source="wiki").sighting)
    _, rejected = run(snapshot, tmp_path)
    assert rejected[again.image.image_id].reason == Reason.NO_DERIVATIVES


def quarantine(sighting, reason=Reason.GONE, **changes):
    return Quarantine(
        image_id=sighting.image_id,
        source=sighting.source,
        source_item_id=sighting.source_item_id,
        reason=reason,
        detail="The server answered 404.",
        since=AT,
        expires_at=AT + timedelta(days=30),
        **changes,
    )


def test_what_is_in_quarantine_stays_out_until_it_is_released(portraits, snapshot_of, tmp_path):
    sighting = portraits[0].sighting
    _, rejected = run(
        snapshot_of(portraits[:2], quarantines=[quarantine(sighting, Reason.NO_DERIVATIVES)]),
        tmp_path,
    )
    (only,) = rejected.values()
    assert (only.item_id, only.reason) == (sighting.image_id, Reason.NO_DERIVATIVES)
    assert only.detail == "In quarantine since 2026-01-02: The server answered 404."
    ended = quarantine(sighting, released_at=AT)
    assert len(run(snapshot_of(portraits[:2], quarantines=[ended]), tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("reason", "licence_elsewhere", "is_in"),
    [
        (Reason.GONE, "CC BY 4.0", True),
        (Reason.GONE, "CC0", False),
        (Reason.OPT_OUT_NOAI, "CC BY 4.0", False),
        (Reason.NO_DERIVATIVES, "CC BY 4.0", False),
        (Reason.LICENCE_UNKNOWN, "CC BY 4.0", False),
    ],
)
def test_another_sighting_stands_in_only_for_what_is_gone(
    portraits, snapshot_of, tmp_path, reason, licence_elsewhere, is_in
):
    shown = portraits[0]
    snapshot = snapshot_of([shown], quarantines=[quarantine(shown.sighting, reason)])
    elsewhere = shown.but(licence=licence_elsewhere, source="wiki").sighting
    also(snapshot, "sightings", elsewhere)
    selected, rejected = run(snapshot, tmp_path)
    assert [record.sighting for record in selected] == [elsewhere] * is_in
    assert [record.reason for record in rejected.values()] == [reason] * (not is_in)


def test_an_opt_out_is_counted_by_its_name_whatever_else_holds_the_image(
    portraits, snapshot_of, tmp_path
):
    shown, elsewhere = portraits[0], portraits[0].but(source="wiki").sighting
    held = [
        quarantine(shown.sighting, Reason.NON_COMMERCIAL),
        quarantine(elsewhere, Reason.OPT_OUT_TDM),
    ]
    snapshot = snapshot_of([shown], quarantines=held)
    also(snapshot, "sightings", elsewhere)
    _, rejected = run(snapshot, tmp_path)
    assert [record.reason for record in rejected.values()] == [Reason.OPT_OUT_TDM]


def by_people(portrait, by, **changes):
    return portrait.annotation.model_copy(update={"origin": "human", "by": by} | changes)


def test_a_stop_stays_whatever_others_say(portraits, snapshot_of, tmp_path):
    snapshot = snapshot_of(portraits[:1])
    stop = {"do_not_use": "minor"}
    also(snapshot, "annotations", by_people(portraits[0], "annotator-1", tags=stop))
    also(snapshot, "annotations", by_people(portraits[0], "annotator-2", made_at=utc_now()))
    selected, rejected = run(snapshot, tmp_path)
    assert not selected
    (record,) = rejected.values()
    assert (record.reason, "do_not_use: minor" in record.detail) == (Reason.CHECK_FAILED, True)


def test_of_several_people_the_newest_labels_count(portraits, snapshot_of, tmp_path):
    snapshot = snapshot_of(portraits[:1])
    for by, made_at in (("c", AT), ("b", AT + timedelta(days=1)), ("a", AT + timedelta(days=1))):
        also(snapshot, "annotations", by_people(portraits[0], by, made_at=made_at))
    ((record,), _) = run(snapshot, tmp_path)
    assert record.annotation.by == "a"


def test_commercial_use_refuses_labels_by_name(portraits, snapshot_of, tmp_path):
    forbidden = portraits[0].but(models=(NON_COMMERCIAL,))
    snapshot = snapshot_of([forbidden, portraits[1]])
    assert len(run(snapshot, tmp_path)[0]) == 2
    ((kept,), rejected) = run(snapshot, tmp_path / "other", use="commercial")
    assert kept.image == portraits[1].image
    only = rejected[forbidden.image.image_id]
    assert only.reason == Reason.MODEL_LICENCE
    assert "2d106det (non-commercial)" in only.detail


def test_commercial_use_takes_the_label_it_may_and_never_swaps_a_persons(
    portraits, snapshot_of, tmp_path
):
    snapshot = snapshot_of(portraits[:1])
    free = portraits[0].annotation
    newer = free.model_copy(
        update={"by": "other", "models": (NON_COMMERCIAL,), "made_at": AT + timedelta(days=1)}
    )
    also(snapshot, "annotations", newer)
    assert run(snapshot, tmp_path)[0][0].annotation == newer
    assert run(snapshot, tmp_path / "other", use="commercial")[0][0].annotation == free
    also(snapshot, "annotations", newer.model_copy(update={"origin": "human", "by": "p1"}))
    _, rejected = run(snapshot, tmp_path / "third", use="commercial")
    assert [one.reason for one in rejected.values()] == [Reason.MODEL_LICENCE]


def test_people_win_over_models_and_lend_their_measures(portraits, snapshot_of, tmp_path):
    snapshot = snapshot_of(portraits[:1])
    annotation = portraits[0].annotation
    (face,) = annotation.faces
    bare = face.model_copy(update={"quality": None, "pose": None})
    human = annotation.model_copy(update={"origin": "human", "by": "p1", "faces": (bare,)})
    with (snapshot / "annotations/00000.jsonl").open("a") as annotations:
        annotations.write(human.model_dump_json() + "\n")
    ((record,), _) = run(snapshot, tmp_path)
    assert record.annotation == human


@pytest.mark.parametrize("in_ledger", [None, 0, 1])
def test_same_pixels_are_kept_once(portraits, snapshot_of, tmp_path, in_ledger):
    lossless = {"format": "PNG", "compress_level": 1}
    twins = [
        portraits[0].but(encoding=lossless),
        portraits[0].but(encoding=lossless | {"compress_level": 9}),
    ]
    ids = [twin.image.image_id for twin in twins]
    ledger = []
    if in_ledger is not None:
        ledger = [
            LedgerEntry(
                image_id=ids[in_ledger],
                group_id="g",
                split="train",
                image_shard=0,
                minted_at="2026-01-01T00:00:00Z",
            )
        ]
    selected, rejected = run(snapshot_of(twins, ledger=ledger), tmp_path)
    expected = min(ids) if in_ledger is None else ids[in_ledger]
    assert [record.image.image_id for record in selected] == [expected]
    (twin,) = rejected.values()
    assert twin.reason == Reason.DUPLICATE_PIXELS
    assert expected in twin.detail


@pytest.mark.parametrize("name", ["images", "annotations"])
def test_an_unsorted_snapshot_is_refused(portraits, snapshot_of, tmp_path, name):
    snapshot = snapshot_of(portraits[:3])
    lines = (snapshot / name / "00000.jsonl").read_text().splitlines(keepends=True)
    (snapshot / name / "00000.jsonl").write_text("".join(reversed(lines)))
    with pytest.raises(InputError, match=rf"{name}/00000\.jsonl is not sorted"):
        run(snapshot, tmp_path)
