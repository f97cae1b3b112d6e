"""Who is held against whom, and that the report says what was planted."""

import numpy as np
import pytest

from annotation.agreement import AgreementRow, Work, agreement, comparisons, standings
from mirrorset.records import Annotation, Landmarks


def person(annotation: Annotation, by: str, origin: str = "human", dx: float = 0.0) -> Work:
    (face,) = annotation.faces
    sent = face.landmarks["ibug68"]
    points = tuple((x + dx, y) for x, y in sent.points)
    moved = Landmarks(points=points, visibility=sent.visibility, confidence=sent.confidence)
    face = face.model_copy(update={"landmarks": {"ibug68": moved}})
    update = {"faces": (face,), "by": by, "origin": origin}
    return Work(annotation.model_copy(update=update), f"job of {by}")


def row(rows: list[AgreementRow], **wanted: object) -> AgreementRow:
    (found,) = [one for one in rows if all(getattr(one, k) == v for k, v in wanted.items())]
    return found


def test_nothing_to_compare_gives_nothing(make_annotation, schema) -> None:
    assert agreement([]) == []
    works = [person(make_annotation(), "a")]
    assert list(comparisons(works, schema)) == []
    model = Work(make_annotation(), "")
    assert list(comparisons([*works, model], schema)) == []


def test_people_are_held_against_gold_and_against_each_other(make_annotation, schema) -> None:
    annotation = make_annotation()
    works = [
        person(annotation, "expert", "gold"),
        person(annotation, "a"),
        person(annotation, "b", "replica"),
        person(annotation, "expert", "human"),
    ]
    found = {
        (one.against, tuple(name for axis, name in one.places if axis == "annotator"))
        for one in comparisons(works, schema)
    }
    assert found == {
        ("gold", ("a",)),
        ("gold", ("b",)),
        ("replica", ("a", "b")),
        ("replica", ("b", "expert")),
    }


def test_what_was_merged_from_replicas_is_no_opinion_beside_them(make_annotation, schema) -> None:
    annotation = make_annotation()
    replicas = [person(annotation, "a", "replica"), person(annotation, "b", "replica", dx=2.0)]
    merged = person(annotation, "consensus", dx=1.0)
    (only,) = comparisons([*replicas, merged], schema)
    assert only.places[:2] == (("annotator", "a"), ("annotator", "b"))
    expert = person(annotation, "expert", "gold")
    held = list(comparisons([merged, expert], schema))
    assert [one.against for one in held] == ["gold"]


def test_a_correction_is_not_held_against_what_it_corrects(make_annotation, schema) -> None:
    """Whoever takes a job over sees the labels of whoever had it before."""
    annotation = make_annotation()
    works = [person(annotation, "first"), person(annotation, "second", dx=1.0)]
    assert list(comparisons(works, schema)) == []


def test_honeypots_are_a_table_of_their_own(make_annotation, schema) -> None:
    annotation = make_annotation()
    works = [
        person(annotation, "expert", "gold"),
        person(annotation, "a", "replica")._replace(is_honeypot=True),
        person(annotation, "b", "replica")._replace(is_honeypot=True),
        person(annotation, "c"),
    ]
    found = list(comparisons(works, schema))
    assert [one.against for one in found] == ["honeypot", "honeypot", "gold"]


def test_rows_are_by_annotator_job_and_slice(make_annotation, schema) -> None:
    works, slices = [], {}
    for number in range(4):
        annotation = make_annotation(f"{number:064x}")
        works += [
            person(annotation, "expert", "gold"),
            person(annotation, "good" if number % 2 else "bad", dx=0.0 if number % 2 else 9.0),
        ]
        slices[annotation.image_id] = [("pose", "frontal" if number < 2 else "left")]
    rows = agreement(comparisons(works, schema, slices=slices))
    wanted = {"label": "ibug68", "measure": "nme", "against": "gold"}
    assert row(rows, axis="annotator", name="good", **wanted).value == 0
    bad = row(rows, axis="annotator", name="bad", **wanted)
    assert bad.value > 0
    assert row(rows, axis="job", name="job of bad", **wanted).value == bad.value
    assert row(rows, axis="all", **wanted).value == pytest.approx(bad.value / 2)
    left = row(rows, axis="pose", name="left", **wanted)
    assert (left.images, left.value) == (2, pytest.approx(bad.value / 2))
    visible = row(rows, axis="all", label="ibug68", measure="visibility_kappa")
    assert (visible.value, visible.same_share) == (None, 1)  # all said "visible" of every point


def seen(work: Work, occluded: set[int]) -> Work:
    """The work with these points said to be occluded."""
    (face,) = work.annotation.faces
    given = face.landmarks["ibug68"]
    visibility = tuple(1 if index in occluded else 2 for index in range(68))
    face = face.model_copy(
        update={"landmarks": {"ibug68": given.model_copy(update={"visibility": visibility})}}
    )
    return work._replace(annotation=work.annotation.model_copy(update={"faces": (face,)}))


def test_each_point_has_its_own_kappa_of_visibility(make_annotation, schema) -> None:
    """Ten images: on jaw_0 a and gold agree in 8 of 10, on jaw_1 always, on jaw_2 never differ."""
    works = []
    for number in range(10):
        annotation = make_annotation(f"{number:064x}")
        gold = {0, 1} if number < 5 else set()
        said = (gold ^ {0}) if number in (0, 5) else gold
        works += [
            seen(person(annotation, "expert", "gold"), gold),
            seen(person(annotation, "a"), said),
        ]
    rows = agreement(comparisons(works, schema))
    wanted = {"measure": "point_visibility_kappa"}
    points = [one for one in rows if one.axis == "all" and one.measure == wanted["measure"]]
    assert sorted(one.label for one in points) == sorted(
        f"ibug68.{name}" for name in schema.point_names
    )
    first = row(rows, axis="all", label="ibug68.jaw_0", **wanted)
    # 8 of 10 the same, half of them by chance.
    assert (first.value, first.same_share) == (pytest.approx((0.8 - 0.5) / 0.5), 0.8)
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    second = row(rows, axis="all", label="ibug68.jaw_1", **wanted)
    assert (second.value, second.low, second.high) == (1, 1, 1)
    third = row(rows, axis="all", label="ibug68.jaw_2", **wanted)
    assert (third.value, third.same_share, third.images) == (None, 1, 10)
    by_job = row(rows, axis="job", name="job of a", label="ibug68.jaw_0", **wanted)
    assert by_job.value == first.value


def test_three_looks_at_one_image_are_one_image(make_annotation, schema) -> None:
    annotation = make_annotation()
    works = [
        person(annotation, name, "replica", dx) for name, dx in zip("abc", (0, 3, 6), strict=True)
    ]
    rows = agreement(comparisons(works, schema))
    every = row(rows, axis="all", label="ibug68", measure="nme")
    assert every.images == 1
    assert (every.low, every.high) == (None, None)
    middle = row(rows, axis="annotator", name="b", label="ibug68", measure="nme")
    assert middle.value == pytest.approx(every.value * 3 / 4)  # 3 and 3 px, of 3, 3 and 6


def test_the_planted_error_is_recovered_and_its_interval_covers_it(make_annotation, schema) -> None:
    random = np.random.default_rng(11)
    covered = 0
    for trial in range(40):
        works = []
        for number in range(25):
            annotation = make_annotation(f"{trial * 100 + number:064x}")
            works += [
                person(annotation, "expert", "gold"),
                person(annotation, "a", dx=float(random.gamma(4, 1))),
            ]
        (standing,) = standings(comparisons(works, schema), "ibug68")
        (face,) = make_annotation().faces
        points = np.asarray(face.landmarks["ibug68"].points)
        planted = 4 / float(np.linalg.norm(points[36] - points[45]))
        covered += standing.low <= planted <= standing.high
    assert covered >= 33
