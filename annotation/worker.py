"""What a labelling worker does, in a process of this machine or on one of a Dask cluster.

A worker reads pictures and gives back whole shards; it writes nothing, so whatever happens to it
costs the shard that it was at.
"""

import logging
import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from multiprocessing import connection, parent_process
from pathlib import Path

from pydantic import Field

from annotation.prelabel import PrelabelParams, prelabel_profile, prelabel_shard
from faces.engine import EngineParams
from faces.profiles import Profile
from mirrorset.blobs import BlobStore
from mirrorset.logs import inherit
from mirrorset.masking import mask_error
from mirrorset.records import Record, utc_now
from mirrorset.spool import encoded

_log = logging.getLogger(__name__)
_ORPHANED = 3
# A worker is one of several.
_ONE_THREAD = EngineParams(workers=1)


class LabelOrder(Record):
    """What a worker is told: the same for all shards of a run.

    blobs_url: fsspec address of the original bytes, models: folder of weights; both as the worker
    reaches them. A worker without the weights fetches them.
    """

    blobs_url: str = Field(repr=False)
    models: Path
    params: PrelabelParams


def label(order: LabelOrder, image_ids: Sequence[str]) -> bytes:
    """The records of the images as the content of one shard (`mirrorset.spool.encoded`).

    Models stay loaded for the next shard. Raises what `prelabel_profile` and `prelabel_shard` do.
    """
    try:
        profile = _profile(order.params, order.models)
        blobs = BlobStore(order.blobs_url)
        shard = prelabel_shard(image_ids, blobs, profile, order.params, utc_now(), _ONE_THREAD)
    except Exception as error:
        # A Dask worker logs it.
        mask_error(error)
        raise
    _log.info("A shard of %d images is labelled.", len(image_ids))
    return encoded(shard)


def begin_process() -> None:
    """In a child process, before its first shard: it ends when its parent does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    inherit()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(_ORPHANED)


# One profile serves any number of threads, as a Dask worker may have.
@lru_cache(maxsize=1)
def _profile(params: PrelabelParams, models: Path) -> Profile:
    return prelabel_profile(params, models)
