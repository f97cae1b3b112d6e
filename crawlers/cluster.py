"""A crawl's shards on Dask workers: each on whatever machine has room for it."""

import secrets
import time
from collections.abc import Iterator, Sequence

from distributed import Event, Future, get_client

from crawlers.order import ShardOrder
from crawlers.processes import done_by_processes
from mirrorset.cluster import connected
from mirrorset.errors import MirrorsetError

_LOOK_EVERY_S = 1.0
# A shard whose worker died is given to another; what it had settled stays settled.
_RETRIES = 2


def done_by_workers(scheduler: str, shards: Sequence[ShardOrder]) -> Iterator[None]:
    """Do each shard on a worker of the cluster at `scheduler`; yields every second.

    Catalogue, blob store and the folder of the log must be the same for all workers. Raises
    UnavailableError where no scheduler answers, and the fault of the first shard that has one or
    whose workers are lost too often: the others are then told to end.
    """
    with connected(scheduler) as client:
        stop = Event(f"mirrorset-stop-{secrets.token_hex(8)}", client=client)
        shares = [
            client.submit(_do, shard, stop.name, pure=False, retries=_RETRIES) for shard in shards
        ]
        try:
            while waiting := [share for share in shares if not share.done()]:
                _raise_fault([share for share in shares if share not in waiting])
                time.sleep(_LOOK_EVERY_S)
                yield
            _raise_fault(shares)
        finally:
            stop.set()


def _raise_fault(shares: Sequence["Future[MirrorsetError | None]"]) -> None:
    for share in shares:
        if fault := share.result():
            raise fault


def _do(shard: ShardOrder, stop_name: str) -> MirrorsetError | None:
    """On the worker: the shard, until it is done or all are told to end; returns its fault.

    Dask would do again what raises, and a fault is no worker's.
    """
    stop = Event(stop_name, client=get_client())
    try:
        for _ in done_by_processes([shard]):
            if stop.is_set():
                break
    except MirrorsetError as fault:
        return fault
    return None
