import math
from collections.abc import Callable

import pytest

from annotation.batches import BatchParams, make_batch, plan_batches, told_anew, uncertainty
from annotation.honeypots import drawn
from annotation.schema import LabelSchema
from mirrorset.records import Annotation, Decision, Face, Quarantine, Reason, Verdict, utc_now


def adult(image_id: str, passed: bool = True) -> Verdict:
    return Verdict(image_id=image_id, check="adult", passed=passed)


def decided(image_id: str, action: str) -> Decision:
    return Decision(
        image_id=image_id, gate="adult", action=action, by="Jane", reason="x", decided_at=utc_now()
    )


@pytest.fixture
def annotations(
    make_annotation: Callable[..., Annotation], make_face: Callable[..., Face]
) -> list[Annotation]:
    """Five images, "00…" the surest and "44…" the least sure."""
    return [
        make_annotation(
            f"{index}" * 64, make_face().model_copy(update={"uncertainty": 0.01 + index / 100})
        )
        for index in range(5)
    ]


def test_worst_first_in_batches_of_the_size(
    annotations: list[Annotation], schema: LabelSchema
) -> None:
    passed = [adult(one.image_id) for one in annotations]
    batches = plan_batches(annotations, passed, [], schema, BatchParams(size=2))
    assert [[one[0] for one in batch.image_ids] for batch in batches] == [
        ["3", "4"],
        ["1", "2"],
        ["0"],
    ]
    assert {batch.schema_version for batch in batches} == {"selfie-3"}


def test_order_of_input_does_not_matter(annotations: list[Annotation], schema: LabelSchema) -> None:
    passed = [adult(one.image_id) for one in annotations]
    params = BatchParams(size=2)
    assert plan_batches(annotations, passed, [], schema, params) == plan_batches(
        annotations[::-1], passed[::-1], [], schema, params
    )


def test_only_adults_that_nobody_has_or_had(
    annotations: list[Annotation], schema: LabelSchema
) -> None:
    zero, one, two, three, four = annotations
    verdicts = [
        adult(zero.image_id),
        adult(one.image_id, passed=False),
        adult(three.image_id),
        adult(four.image_id),
    ]
    people = four.model_copy(update={"origin": "human", "by": "annotator-1"})
    out = make_batch([three.image_id], "selfie-3")
    (batch,) = plan_batches([*annotations, people], verdicts, [out], schema, BatchParams(size=2))
    assert batch.image_ids == (zero.image_id,)
    assert two.image_id not in batch.image_ids


def test_what_is_in_quarantine_is_shown_to_nobody(
    annotations: list[Annotation], schema: LabelSchema
) -> None:
    held, *others = annotations
    passed = [adult(one.image_id) for one in annotations]
    quarantine = Quarantine(
        image_id=held.image_id,
        source="gallery",
        source_item_id="a",
        reason=Reason.GONE,
        detail="",
        since=utc_now(),
        expires_at=utc_now(),
    )
    ended = quarantine.model_copy(update={"released_at": utc_now()})
    (batch,) = plan_batches(annotations, passed, [], schema, BatchParams(), [quarantine])
    assert set(batch.image_ids) == {one.image_id for one in others}
    (batch,) = plan_batches(annotations, passed, [], schema, BatchParams(), [ended])
    assert held.image_id in batch.image_ids


def test_a_person_releases_and_drops(annotations: list[Annotation], schema: LabelSchema) -> None:
    doubted, passed, released, dropped, _ = annotations
    verdicts = [
        adult(doubted.image_id, passed=False),
        adult(passed.image_id),
        adult(released.image_id, passed=False),
        adult(dropped.image_id),
    ]
    decisions = [decided(released.image_id, "release"), decided(dropped.image_id, "drop")]
    (batch,) = plan_batches(
        annotations, verdicts, [], schema, BatchParams(), decisions=iter(decisions)
    )
    assert set(batch.image_ids) == {passed.image_id, released.image_id}


def test_an_intimate_picture_is_shown_to_nobody(
    annotations: list[Annotation], schema: LabelSchema
) -> None:
    """Not even where it was labelled before, and released."""
    passed = [adult(one.image_id) for one in annotations]
    held = annotations[0].image_id
    seen = Verdict(image_id=held, check="intimate", passed=False)
    (batch,) = plan_batches(
        annotations,
        [*passed, seen],
        [],
        schema,
        BatchParams(),
        decisions=[decided(held, "release")],
    )
    assert set(batch.image_ids) == {one.image_id for one in annotations[1:]}


def test_nothing_waiting_no_batch(schema: LabelSchema) -> None:
    assert plan_batches([], [], [], schema, BatchParams()) == []


def test_id_is_of_the_images_and_the_schema() -> None:
    a, b = "a" * 64, "b" * 64
    assert make_batch([a, b], "s") == make_batch([b, a], "s")
    assert make_batch([a, b], "s").batch_id != make_batch([a], "s").batch_id
    assert make_batch([a], "s").batch_id != make_batch([a], "t").batch_id


def test_an_image_is_as_uncertain_as_its_least_certain_face(
    make_annotation: Callable[..., Annotation], make_face: Callable[..., Face]
) -> None:
    sure, unsure = (
        make_face(face_id).model_copy(update={"uncertainty": value})
        for face_id, value in (("0", 0.01), ("1", 0.2))
    )
    assert uncertainty(make_annotation("0" * 64, sure, unsure)) == 0.2
    unknown = make_face("2").model_copy(update={"uncertainty": None})
    assert uncertainty(make_annotation("0" * 64, sure, unknown)) == math.inf
    assert uncertainty(make_annotation("0" * 64)) == math.inf


def with_gold(annotations: list[Annotation], count: int) -> list[Annotation]:
    """The annotations, and gold of images of which there are labels as well."""
    known = [one.model_copy(update={"image_id": f"a{i:063x}"}) for i, one in enumerate(annotations)]
    golds = [one.model_copy(update={"origin": "gold", "by": "expert"}) for one in known[:count]]
    return [*annotations, *known[:count], *golds]


def test_honeypots_are_drawn_into_every_batch_in_turn(
    annotations: list[Annotation], schema: LabelSchema
) -> None:
    everything = with_gold(annotations, 3)
    passed = [adult(one.image_id) for one in everything]
    params = BatchParams(size=3, honeypots=1)
    batches = plan_batches(everything, passed, [], schema, params)
    assert [len(batch.image_ids) for batch in batches] == [3, 3, 2]
    honeypots = drawn(batches, everything)
    assert [one.batch_id for one in honeypots] == [batch.batch_id for batch in batches]
    # Each gold was drawn once before any is drawn again.
    assert len({one.image_id for one in honeypots}) == 3
    # Nothing but its place in the order of names says where a honeypot is.
    assert all(list(batch.image_ids) == sorted(batch.image_ids) for batch in batches)
    assert plan_batches(everything[::-1], passed, [], schema, params) == batches
    assert plan_batches(everything, passed, batches, schema, params) == []


def test_honeypots_pass_the_same_gates(annotations: list[Annotation], schema: LabelSchema) -> None:
    everything = with_gold(annotations, 2)
    passed = [adult(one.image_id) for one in annotations] + [adult(f"a{0:063x}", passed=False)]
    batches = plan_batches(everything, passed, [], schema, BatchParams(size=3, honeypots=2))
    assert drawn(batches, everything) == []
    assert [len(batch.image_ids) for batch in batches] == [3, 2]


def test_honeypots_leave_room_for_work() -> None:
    with pytest.raises(ValueError, match="fewer than size"):
        BatchParams(size=3, honeypots=3)


def test_a_batch_waits_for_what_is_not_settled_and_for_nothing_else() -> None:
    made = make_batch(["a" * 64, "b" * 64], "selfie-3")
    out = made.model_copy(update={"state": "pushed", "task": "7"})
    back = out.model_copy(update={"state": "returned"})
    every = set(made.image_ids)
    assert told_anew([made, out, back], every) == [back]
    assert told_anew([made, out, back], {"a" * 64}) == [out]
    # One that is left without images has no task, and stays as it is.
    ended = back.model_copy(update={"task": "", "image_ids": ()})
    assert told_anew([ended], set()) == []
