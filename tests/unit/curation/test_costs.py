"""The dry run says what a selection with other params would come to: it is held against one."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from curation.costs import Costs, count_costs
from curation.costs_table import tables
from curation.gates import LIMITS, SelectParams
from curation.select import select
from curation.snapshot import join, read_candidates
from mirrorset.catalogue import Catalogue
from mirrorset.files import read_parts, read_records
from mirrorset.records import (
    Annotation,
    ImageRecord,
    ModelRef,
    Pose,
    Quarantine,
    Reason,
    Rejected,
    Sighting,
    Verdict,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
FORBIDDEN = ModelRef(name="m", sha256="b" * 64, licence="nc", is_commercial_use_allowed=False)


def turned(yaw_deg):
    return Pose(yaw_deg=yaw_deg, pitch_deg=0, roll_deg=0)


@pytest.fixture
def snapshot(portraits, snapshot_of):
    """Images on both sides of most gates; some fail several, and two have the same pixels."""
    lossless = {"format": "PNG", "compress_level": 1}
    opted_out = portraits[7]
    images = [
        portraits[0].but(encoding=lossless),
        portraits[0].but(encoding=lossless | {"compress_level": 9}, quality={"sharpness": 50.0}),
        portraits[0].but(encoding=lossless | {"compress_level": 5}),
        portraits[1].but(quality={"sharpness": 40.0}),
        portraits[1].reencoded(80).but(quality={"sharpness": 20.0}, pose=turned(-50)),
        portraits[2].but(pose=turned(50)),
        portraits[2].reencoded(80).but(pose=turned(44), licence="CC BY-NC 4.0"),
        portraits[3].but(is_adult=False),
        portraits[3].reencoded(80).but(is_adult=False, quality={"over_exposure": 0.5}),
        portraits[4].but(attributes={"occlusion": "heavy"}),
        portraits[4].reencoded(80).but(attributes={"occlusion": "partial"}, occluded_points=40),
        portraits[5].but(pose=None),
        portraits[5].reencoded(80).but(models=(FORBIDDEN,)),
        portraits[6].but(failed_checks=("not_stopped",)),
        portraits[6].reencoded(80).but(failed_checks=("box_inside",)),
        opted_out,
    ]
    sighting = opted_out.sighting
    held = Quarantine(
        image_id=sighting.image_id,
        source=sighting.source,
        source_item_id=sighting.source_item_id,
        reason=Reason.OPT_OUT_NOAI,
        detail="",
        since=AT,
        expires_at=AT + timedelta(days=30),
    )
    return snapshot_of(images, quarantines=[held])


def costs_of(snapshot, use="research", **params) -> Costs:
    return count_costs(read_candidates(snapshot), set(), use, SelectParams(**params))


@pytest.mark.parametrize("use", ["research", "commercial"])
def test_it_counts_as_a_selection_does(snapshot, tmp_path, use):
    costs = costs_of(snapshot, use)
    counts = select(snapshot, tmp_path, use, SelectParams())
    assert costs.kept == counts.kept > 0
    assert costs.images - costs.kept == sum(gate.counted for gate in costs.gates)
    names = {
        Reason.OPT_OUT_NOAI: "opt_out",
        Reason.NON_COMMERCIAL: "licence",
        Reason.MODEL_LICENCE: "model_licence",
        Reason.MINOR_DOUBT: "minors",
        Reason.QUALITY: "measures",
        Reason.DUPLICATE_PIXELS: "duplicates",
    } | {limit.reason: limit.name for limit in LIMITS}
    counted = {gate.gate: gate.counted for gate in costs.gates if gate.counted}
    assert (counted.pop("stopped"), counted.pop("verdicts")) == (1, 1)
    assert counts.rejected.pop(Reason.CHECK_FAILED) == 2
    assert counted == {names[reason]: count for reason, count in counts.rejected.items()}


def test_every_other_value_keeps_what_a_selection_with_it_keeps(snapshot, tmp_path):
    costs = costs_of(snapshot)
    assert len(costs.limits) == len(LIMITS)
    for cost in costs.limits:
        assert cost.value in [step.value for step in cost.steps]
        values = {step.value: step.kept for step in cost.steps} | {
            price.value: price.kept for price in cost.prices
        }
        for value, kept in values.items():
            params = SelectParams.model_validate({cost.param: value})
            assert select(snapshot, tmp_path, "research", params).kept == kept, (cost.param, value)
        loosest_first = [step.kept for step in cost.steps]
        assert loosest_first == sorted(loosest_first, reverse=True)
        assert cost.kept_without >= loosest_first[0]


def test_the_last_obstacle(snapshot):
    costs = costs_of(snapshot)
    gates = {gate.gate: gate for gate in costs.gates}
    # Of three that are not sharp one is turned too far as well, and one has a sharp twin.
    assert (gates["sharpness"].refused, gates["sharpness"].alone) == (3, 2)
    assert (gates["pose"].refused, gates["pose"].alone) == (2, 1)
    assert (gates["minors"].refused, gates["minors"].alone) == (2, 1)
    assert (gates["exposure"].refused, gates["exposure"].alone) == (1, 0)
    assert gates["occlusion"].reasons == {Reason.OCCLUSION: 2}
    assert (gates["opt_out"].alone, gates["opt_out"].reasons) == (1, {Reason.OPT_OUT_NOAI: 1})
    limits = {cost.param: cost for cost in costs.limits}
    assert limits["min_sharpness"].alone == 2
    assert limits["min_sharpness"].kept_without == costs.kept + 1
    assert [step.value for step in limits["max_occlusion"].steps] == ["heavy", "partial", "none"]
    assert limits["max_occlusion"].steps[0].kept == costs.kept + 1
    assert [step.value for step in limits["max_faces"].steps] == [5, 4, 3, 2, 1]
    yaws = [step.value for step in limits["max_abs_yaw_deg"].steps]
    assert yaws == [67.5, 56.25, 49.5, 45, 40.5, 33.75, 22.5]


def test_a_price_is_a_value_that_costs_no_more_than_its_share(snapshot):
    for cost in costs_of(snapshot).limits:
        for price in cost.prices:
            assert price.kept >= (1 - price.share) * cost.kept_without - 1
    sharpness = next(one for one in costs_of(snapshot).limits if one.param == "min_sharpness")
    assert sharpness.prices[0].value == 40
    assert sharpness.prices[-1].value == 300


def test_images_without_labels_are_told_apart(portraits, snapshot_of):
    snapshot = snapshot_of(portraits[:3], without=["annotations"])
    before = {portraits[0].image.image_id}
    costs = count_costs(read_candidates(snapshot), before, "research", SelectParams())
    assert (costs.images, costs.rejected_before, costs.unlabelled, costs.kept) == (3, 1, 2, 0)
    assert not any(gate.refused for gate in costs.gates)


def test_nothing_costs_nothing(snapshot_of):
    costs = costs_of(snapshot_of([]))
    assert (costs.images, costs.kept) == (0, 0)
    assert all(cost.prices == () for cost in costs.limits)
    assert len(list(tables(costs))) == 3


def test_the_catalogue_and_its_snapshot_cost_the_same(snapshot, tmp_path):
    with Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}") as catalogue:
        for name, kind in {
            "images": ImageRecord,
            "sightings": Sighting,
            "annotations": Annotation,
            "verdicts": Verdict,
            "quarantine": Quarantine,
        }.items():
            catalogue.upsert(list(read_parts(snapshot / name, kind)))
        catalogue.upsert(list(read_records(snapshot / "rejected.jsonl", Rejected)))
        found = count_costs(join(catalogue.read), set(), "research", SelectParams())
    assert found == costs_of(snapshot)


@pytest.mark.parametrize("width", [80, 140])
def test_the_tables_name_every_gate_and_threshold_whole(snapshot, width):
    costs = costs_of(snapshot)
    long = 0.01234
    limits = [
        one.model_copy(
            update={
                "value": long,
                "prices": tuple(it.model_copy(update={"value": long}) for it in one.prices),
            }
        )
        for one in costs.limits
    ]
    costs = costs.model_copy(update={"limits": tuple(limits)})
    console = Console(width=width)
    with console.capture() as capture:
        for table in tables(costs):
            console.print(table)
    shown = capture.get()
    words = Counter(shown.replace("│", " ").split())
    for gate in costs.gates:
        assert words[gate.gate], gate.gate
    for cost in costs.limits:
        assert words[cost.param], cost.param
    assert "…" not in shown
