"""A push or a pull of the benchmark's pictures by mirrorset, as `benchmarks/cvat.py` runs it.

    MIRRORSET_CVAT_TOKEN=… python benchmarks/cvat_ours.py push|pull FOLDER URL JOB_SIZE POINTS

Prints JSON: requests, and seconds without the interpreter's start. What is pulled is compared with
what was sent, shape by shape; SystemExit where it is not the same.
"""

import json
import os
import sys
import time
from pathlib import Path

from cvat_data import schema_of

from annotation.batches import BatchParams, make_batch
from annotation.checks import round_trip
from annotation.cvat.connection import connect
from annotation.cvat.exchange import ServerExchange
from annotation.outgoing import sendable
from annotation.pseudonyms import Pseudonyms
from annotation.schema import REVIEWED
from mirrorset.blobs import BlobStore
from mirrorset.files import read_records, write_records
from mirrorset.records import Annotation, Batch, ImageRecord


def main() -> None:
    """Push or pull once."""
    verb, folder, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    job_size, points = int(sys.argv[4]), int(sys.argv[5])
    schema = schema_of(points)
    began = time.perf_counter()
    connection = connect(url, os.environ["MIRRORSET_CVAT_TOKEN"])
    names = Pseudonyms(folder / "annotators.json")
    exchange = ServerExchange(connection, names, BatchParams(segment_size=job_size))
    labels = list(read_records(folder / "labels.jsonl", Annotation))
    if verb == "push":
        images = list(read_records(folder / "images.jsonl", ImageRecord))
        batch = make_batch([one.image_id for one in images], schema.version)
        blobs = BlobStore(str(folder / "blobs"))
        ready, rejected = sendable(batch, images, blobs, labels, schema)
        if rejected:
            raise SystemExit(rejected[0].detail)
        write_records(folder / "batch.jsonl", [exchange.push(ready, images, blobs, labels, schema)])
        images_done = len(ready.image_ids)
    else:
        (batch,) = read_records(folder / "batch.jsonl", Batch)
        returned = exchange.pull(batch)
        by_id = {label.image_id: label for label in labels}
        back = returned.images if returned else ()
        for one in back:
            tags = tuple(tag for tag in one.shapes.tags if tag.label != REVIEWED)
            shapes = one.shapes.model_copy(update={"tags": tags})
            if not round_trip(by_id[one.image_id], shapes, schema).passed:
                raise SystemExit(f"{one.image_id} came back otherwise than it was sent.")
        images_done = len(back)
    seconds = time.perf_counter() - began
    told = {"images": images_done, "requests": connection.requests, "seconds": seconds}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
