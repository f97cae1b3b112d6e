"""A drop is final; a release lasts until then."""

from datetime import UTC, datetime
from itertools import permutations

from mirrorset.decisions import dropped, released
from mirrorset.records import Decision


def decided(image: str, action: str, hour: int) -> Decision:
    at = datetime(2026, 11, 23, hour, tzinfo=UTC)
    return Decision(
        image_id=image * 64, gate="adult", action=action, by="Jane", reason="x", decided_at=at
    )


def test_whatever_the_order_of_rows() -> None:
    rows = [decided("a", "release", 1), decided("b", "drop", 2), decided("a", "drop", 3)]
    rows.append(decided("c", "release", 4))
    for order in permutations(rows):
        assert dropped(order) == {"a" * 64, "b" * 64}
        assert released(iter(order)) == {"c" * 64}


def test_nothing_decided() -> None:
    assert dropped([]) == released([]) == set()
