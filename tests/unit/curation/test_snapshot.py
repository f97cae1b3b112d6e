from datetime import UTC, datetime, timedelta

from curation.snapshot import best_annotation
from mirrorset.records import Annotation, Origin

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def made(origin: Origin, hours: int = 0) -> Annotation:
    return Annotation(
        image_id="ab" * 32,
        faces=(),
        origin=origin,
        by="somebody",
        schema_version="1",
        made_at=NOON + timedelta(hours=hours),
    )


def test_gold_goes_before_human_and_human_before_model():
    model, human, gold = made("model", 3), made("human", 2), made("gold", 1)
    assert best_annotation([model, human, gold]) == gold
    assert best_annotation([model, human]) == human


def test_a_replica_is_never_released():
    assert best_annotation([made("replica", 3), made("model")]) == made("model")
    assert best_annotation([made("replica")]) is None
