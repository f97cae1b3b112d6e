"""Honeypots: images with known gold among ordinary ones, and their results kept apart."""

from collections.abc import Collection, Iterable

from annotation.exchange import Returned
from mirrorset.records import Annotation, Batch, Honeypot


def drawn(batches: Iterable[Batch], annotations: Iterable[Annotation]) -> list[Honeypot]:
    """The honeypots of batches that have just been planned from `annotations`.

    An image with gold is in a new batch for no other reason. To be kept before the batch is
    pushed: later, the gold of its own ground-truth job would look the same.
    """
    gold = {one.image_id for one in annotations if one.origin == "gold"}
    return [
        Honeypot(batch_id=batch.batch_id, image_id=image_id)
        for batch in batches
        for image_id in batch.image_ids
        if image_id in gold
    ]


def disguised(returned: Returned, honeypots: Collection[str]) -> Returned:
    """What came back with the work on `honeypots` as replicas: measured, judged by no check and
    never released, so that the gold stays what it was.
    """
    return returned.model_copy(
        update={
            "images": tuple(
                image.model_copy(update={"origin": "replica"})
                if image.image_id in honeypots and image.origin == "human"
                else image
                for image in returned.images
            )
        }
    )
