from annotation.conversion import to_shapes
from annotation.exchange import Returned, ReturnedImage
from annotation.honeypots import disguised
from mirrorset.records import Annotation


def back(annotation: Annotation, schema, origin: str = "human") -> ReturnedImage:
    return ReturnedImage(
        image_id=annotation.image_id,
        shapes=to_shapes(annotation, "a.png", 640, 480, schema),
        by="annotator-1",
        returned_at=annotation.made_at,
        origin=origin,
    )


def test_work_on_a_honeypot_is_a_replica_and_all_else_stays(make_annotation, schema) -> None:
    ordinary, honeypot = make_annotation("0" * 64), make_annotation("1" * 64)
    returned = Returned(
        batch_id="b",
        images=(
            back(ordinary, schema),
            back(honeypot, schema),
            back(honeypot, schema, "gold"),
        ),
    )
    kept = disguised(returned, {honeypot.image_id})
    assert [image.origin for image in kept.images] == ["human", "replica", "gold"]
    assert [image.shapes for image in kept.images] == [image.shapes for image in returned.images]
    assert disguised(returned, ()) == returned
