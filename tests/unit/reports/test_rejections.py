"""What was rejected is counted, listed and capped; of possible minors only the id is told."""

from itertools import cycle
from pathlib import Path

import pytest

from mirrorset.errors import InputError
from mirrorset.files import write_records
from mirrorset.records import Reason, Rejected
from reports.rejections import by_reason, item_count, read_rejected, rejections_chart


def rejected(item_id: str, reason: Reason, step: str = "crawl", **fields: str) -> Rejected:
    return Rejected(item_id=item_id, step=step, reason=reason, **fields)


def test_nothing_rejected() -> None:
    assert by_reason([], 10) == []
    assert item_count([], set()) == 0


def test_the_most_frequent_reason_comes_first() -> None:
    records = [rejected("a", Reason.ROBOTS)] + [
        rejected(i, Reason.NO_FACE, "prelabel") for i in "bcd"
    ]
    first, second = by_reason(records, 10)
    assert (first.reason, first.step, first.count) == (Reason.NO_FACE, "prelabel", 3)
    assert (second.reason, second.count) == (Reason.ROBOTS, 1)


def test_the_chart_says_the_counts_in_words_too() -> None:
    assert rejections_chart([]) is None
    chart = rejections_chart(by_reason([rejected("a", Reason.ROBOTS)], 1))
    assert chart is not None
    assert chart.alt == "Rejected items by reason: Refused by robots.txt (crawl) 1."


def test_the_chart_fits_a_phone_whatever_was_rejected() -> None:
    steps = ("crawl", "prelabel", "annotate", "select", "group", "split")
    records = [
        rejected(step, reason, step) for reason, step in zip(Reason, cycle(steps), strict=False)
    ]
    chart = rejections_chart(by_reason(records, 1))
    assert chart is not None
    assert chart.width_px <= 360


def test_a_long_list_is_cut_and_says_so() -> None:
    (rejection,) = by_reason([rejected(str(i), Reason.ROBOTS) for i in range(5)], 2)
    assert (len(rejection.items), rejection.items_left_out, rejection.count) == (2, 3, 5)


def test_nothing_leads_to_a_possible_minor() -> None:
    record = rejected(
        "a", Reason.MINOR_DOUBT, "select", detail="measured 0.4", image_url="https://example.org/a"
    )
    ((item,),) = (it.items for it in by_reason([record], 10))
    assert (item.item_id, item.detail, item.image_url) == ("a", "", "")


def test_intimate_pictures_are_only_counted() -> None:
    records = [rejected(i, Reason.INTIMATE, "prelabel", detail="x") for i in "abc"]
    (rejection,) = by_reason(records, 2)
    assert (rejection.count, rejection.items, rejection.items_left_out) == (3, (), 0)


def test_every_reason_has_words() -> None:
    for reason in Reason:
        (rejection,) = by_reason([rejected("a", reason)], 1)
        assert rejection.words
        assert "_" not in rejection.words


def test_files_are_read_together_and_repetitions_once(tmp_path: Path) -> None:
    write_records(
        tmp_path / "a.jsonl", [rejected("x", Reason.ROBOTS), rejected("y", Reason.ROBOTS)]
    )
    write_records(tmp_path / "b.jsonl", [rejected("x", Reason.ROBOTS)])
    records = read_rejected([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert [record.item_id for record in records] == ["x", "y"]


def test_what_was_released_all_the_same_does_not_count() -> None:
    records = [
        rejected("a", Reason.ROBOTS),
        rejected("b", Reason.QUALITY, "select"),
        rejected("b", Reason.CHECK_FAILED, "annotate"),
        rejected("c", Reason.ROBOTS),
    ]
    assert item_count(records, {"c"}) == 2
    assert item_count(records, {"c"}, step="crawl") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl does not exist"):
        read_rejected([tmp_path / "absent.jsonl"])
