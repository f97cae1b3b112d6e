from annotation.batches import make_batch
from annotation.conversion import to_shapes
from annotation.exchange import Returned, ReturnedImage
from annotation.honeypots import disguised
from annotation.review import ReviewParams, accept
from annotation.shapes import Tag
from mirrorset.records import Annotation, ImageRecord, Verdict


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


def test_what_comes_of_a_honeypot_is_measured_but_neither_judged_nor_released(
    make_annotation, schema
) -> None:
    sent = make_annotation()
    image = ImageRecord(
        image_id=sent.image_id,
        media_type="image/png",
        size_bytes=1,
        width_px=640,
        height_px=480,
        pixel_hash=sent.image_id,
        phash="0" * 16,
    )
    batch = make_batch([sent.image_id], schema.version)

    def accepted(image_back: ReturnedImage) -> list:
        returned = Returned(batch_id=batch.batch_id, images=(image_back,))
        return accept(
            batch,
            disguised(returned, {sent.image_id}),
            [image],
            [sent],
            schema,
            params=ReviewParams(),
        )

    records = accepted(back(sent, schema))
    (label,) = [one for one in records if isinstance(one, Annotation)]
    assert label.origin == "replica"
    judged = {(one.check, one.passed) for one in records if isinstance(one, Verdict)}
    assert judged == {("not_stopped", True)}
    stopped = back(sent, schema)
    tags = (*stopped.shapes.tags, Tag(label="do_not_use", attributes={"reason": "distress"}))
    shapes = stopped.shapes.model_copy(update={"tags": tags})
    records = accepted(stopped.model_copy(update={"shapes": shapes}))
    assert {(one.check, one.passed) for one in records if isinstance(one, Verdict)} == {
        ("not_stopped", False)
    }
