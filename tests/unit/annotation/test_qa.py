"""Which verdicts people's labels get, and what is remembered of whom."""

from datetime import timedelta

import pytest

from annotation.checks import CheckParams
from annotation.qa import ANNOTATOR_AGREES, PEOPLE_AGREE, Assessment, QaParams, assess
from mirrorset.records import (
    Annotation,
    Honeypot,
    ImageRecord,
    Landmarks,
    Provenance,
    Verdict,
)


def image(image_id: str) -> ImageRecord:
    return ImageRecord(
        image_id=image_id,
        media_type="image/png",
        size_bytes=1,
        width_px=640,
        height_px=480,
        pixel_hash=image_id,
        phash="0" * 16,
    )


def look(
    annotation: Annotation,
    by: str,
    origin: str,
    dx: float = 0.0,
    job: str = "",
    batch_id: str = "",
) -> Annotation:
    (face,) = annotation.faces
    sent = face.landmarks["ibug68"]
    points = tuple((x + dx, y) for x, y in sent.points)
    moved = Landmarks(points=points, visibility=sent.visibility, confidence=sent.confidence)
    face = face.model_copy(update={"landmarks": {"ibug68": moved}})
    provenance = job and Provenance(
        server="s", task="7", job=job, stage="x", state="y", updated_at=annotation.made_at
    )
    return annotation.model_copy(
        update={
            "faces": (face,),
            "by": by,
            "origin": origin,
            "provenance": provenance or None,
            "batch_id": batch_id,
        }
    )


@pytest.fixture
def judge(schema):
    def run(*by_image: list[Annotation], **out: object) -> Assessment:
        images = {one[0].image_id: image(one[0].image_id) for one in by_image}
        return assess(by_image, images, schema, QaParams(), CheckParams(), **out)

    return run


def verdict(assessed: Assessment, image_id: str, check: str) -> Verdict:
    (found,) = [one for one in assessed.verdicts if (one.image_id, one.check) == (image_id, check)]
    return found


def test_what_nobody_looked_at_is_not_judged(judge, make_annotation) -> None:
    assessed = judge([make_annotation()])
    assert (assessed.verdicts, assessed.suspicious, assessed.report.reviewed) == ((), (), 0)


def test_people_who_disagree_keep_an_image_back_until_gold_decides(judge, make_annotation) -> None:
    sent = make_annotation()
    human, replica = look(sent, "a", "human", job="3"), look(sent, "b", "replica", dx=20)
    assessed = judge([sent, human, replica])
    failed = verdict(assessed, sent.image_id, PEOPLE_AGREE)
    assert not failed.passed
    assert failed.measured > failed.threshold == 0.1
    (found,) = assessed.suspicious
    assert found.finding.check == PEOPLE_AGREE
    assert found.provenance.job == "3"
    assert found.finding.at in human.faces[0].landmarks["ibug68"].points
    settled = judge([sent, human, replica, look(sent, "expert", "gold", dx=20)])
    assert verdict(settled, sent.image_id, PEOPLE_AGREE).passed
    assert settled.suspicious == ()


def test_an_annotator_is_doubted_only_with_gold_enough(judge, make_annotation) -> None:
    def of(count: int) -> Assessment:
        known = [make_annotation(f"{n:064x}") for n in range(count)]
        own = make_annotation("f" * 64)
        return judge(
            *([one, look(one, "e", "gold"), look(one, "a", "human", dx=20)] for one in known),
            [own, look(own, "a", "human")],
        )

    assert verdict(of(4), "f" * 64, ANNOTATOR_AGREES).passed
    doubted = verdict(of(5), "f" * 64, ANNOTATOR_AGREES)
    assert not doubted.passed
    assert doubted.measured > doubted.threshold == 0.05
    assert verdict(of(5), f"{0:064x}", ANNOTATOR_AGREES).passed  # its gold is released


def test_honeypots_count_for_their_annotator_and_change_nothing_else(
    judge, make_annotation, schema
) -> None:
    sent = make_annotation()
    gold, bad = look(sent, "e", "gold"), look(sent, "a", "replica", dx=40, batch_id="b")
    drawn = [Honeypot(batch_id="b", image_id=sent.image_id)]
    assessed = judge([sent, gold, bad], honeypots=drawn)
    assert {row.against for row in assessed.report.agreement} == {"honeypot"}
    assert [one.annotator for one in assessed.report.standings] == ["a"]
    assert {row.name for row in assessed.report.agreement if row.axis == "job"} == {"b"}
    assert all(one.passed for one in assessed.verdicts)
    assert (assessed.suspicious, assessed.report.edits) == ((), ())
    assert judge([sent, gold]).verdicts == assessed.verdicts


def test_a_honeypot_that_is_drawn_again_counts_each_time(judge, make_annotation) -> None:
    sent = make_annotation()
    gold = look(sent, "e", "gold")
    looks = [
        look(sent, "a", "replica", dx=dx, job=job, batch_id=batch_id)
        for dx, job, batch_id in ((2, "3", "b"), (6, "4", "c"))
    ]
    drawn = [Honeypot(batch_id=one, image_id=sent.image_id) for one in "bc"]
    once, twice = (judge([sent, gold, *looks[:n]], honeypots=drawn) for n in (1, 2))
    (first,), (both,) = once.report.standings, twice.report.standings
    assert (first.images, both.images) == (1, 1)
    assert both.nme == pytest.approx(2 * first.nme)  # 2 px, then 2 and 6
    jobs = {row.name for row in twice.report.agreement if row.axis == "job"}
    assert jobs == {"3", "4"}
    assert {row.against for row in twice.report.agreement} == {"honeypot"}


def test_a_replica_is_a_honeypot_in_the_batch_only_that_it_was_drawn_for(
    judge, make_annotation
) -> None:
    sent = make_annotation()
    labels = [sent, look(sent, "e", "gold"), look(sent, "a", "replica", batch_id="own")]
    drawn = [Honeypot(batch_id="later", image_id=sent.image_id)]
    assert {row.against for row in judge(labels, honeypots=drawn).report.agreement} == {"gold"}


def test_the_newest_of_several_looks_is_judged(judge, make_annotation) -> None:
    sent = make_annotation()
    late = look(sent, "b", "human").model_copy(
        update={"made_at": sent.made_at + timedelta(hours=1), "faces": ()}
    )
    assessed = judge([sent, look(sent, "a", "human"), late])
    edited = {row.label: row for row in assessed.report.edits}
    assert edited["face"].wrong.value == 1
