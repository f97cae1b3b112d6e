"""What a labelling worker does, in a process of this machine or on one of a Dask cluster.

A worker reads pictures and gives back whole shards; it writes nothing, so whatever happens to it
costs the shard that it was at.
"""

import os
import threading
from collections.abc import Sequence
from multiprocessing import connection, parent_process
from pathlib import Path

import cv2

from annotation.prelabel import PrelabelParams, prelabel_shard
from faces.profiles import Profile, load_profile
from mirrorset.blobs import BlobStore
from mirrorset.records import Record, utc_now
from mirrorset.spool import encoded

_ORPHANED = 3

_warm = threading.local()


class LabelOrder(Record):
    """What a worker is told: the same for all shards of a run.

    blobs_url: fsspec address of the original bytes, models: folder of weights; both as the worker
    reaches them. A worker without the weights fetches them.
    """

    blobs_url: str
    models: Path
    params: PrelabelParams


def label(order: LabelOrder, image_ids: Sequence[str]) -> bytes:
    """The records of the images as the content of one shard (`mirrorset.spool.encoded`).

    Models stay loaded in the thread for the next shard. Raises what `load_profile` does, and
    InputError or IntegrityError where the store lacks an image or holds other bytes.
    """
    profile = _profile(order.params.profile, order.models)
    blobs = BlobStore(order.blobs_url)
    return encoded(prelabel_shard(image_ids, blobs, profile, order.params, utc_now()))


def begin_process() -> None:
    """In a child process, before its first shard: it ends with its parent, and is one thread."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(_ORPHANED)


def _profile(name: str, models: Path) -> Profile:
    wanted = (name, models)
    if getattr(_warm, "key", None) != wanted:
        _warm.profile = load_profile(name, models)
        _warm.key = wanted
    profile: Profile = _warm.profile
    return profile
