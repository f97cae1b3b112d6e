"""A crawl's shards on Dask workers: each on whatever machine has room for it."""

import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress

from distributed import Event, Future, KilledWorker, get_client

from crawlers.order import ShardOrder
from crawlers.processes import done_by_processes
from mirrorset.cluster import connected
from mirrorset.errors import MirrorsetError, UnavailableError
from mirrorset.logs import handed_on, joined

_LOOK_EVERY_S = 1.0
# A shard whose worker died is given to another; what it had settled stays settled.
_RETRIES = 2


def done_by_workers(scheduler: str, shards: Sequence[ShardOrder]) -> Iterator[None]:
    """Do each shard on a worker of the cluster at `scheduler`; yields every second.

    Catalogue, blob store and the folder of the log must be the same for all workers. Raises
    UnavailableError where no scheduler answers or it is lost, where the workers of a shard are lost
    too often, and the fault of the first shard that has one: the others are then told to end.
    """
    with connected(scheduler) as client:
        stop = Event(f"mirrorset-stop-{secrets.token_hex(8)}", client=client)
        shares = [
            client.submit(_do, shard, stop.name, handed_on(), pure=False, retries=_RETRIES)
            for shard in shards
        ]
        try:
            while waiting := [share for share in shares if not share.done()]:
                _raise_fault([share for share in shares if share not in waiting])
                time.sleep(_LOOK_EVERY_S)
                yield
            _raise_fault(shares)
        finally:
            # A scheduler that is gone tells nobody; its workers end by themselves.
            if client.status == "running":
                with suppress(OSError):
                    stop.set()


def _raise_fault(shares: Sequence["Future[MirrorsetError | None]"]) -> None:
    for share in shares:
        try:
            fault = share.result()
        except (KilledWorker, CancelledError) as lost:
            what = "workers died" if isinstance(lost, KilledWorker) else "scheduler was lost"
            raise UnavailableError(
                f"The Dask cluster's {what}: what was crawled is kept, run it again to go on."
            ) from lost
        if fault:
            raise fault


def _do(shard: ShardOrder, stop_name: str, told: str) -> MirrorsetError | None:
    """On the worker: the shard, until it is done or all are told to end; returns its fault.

    Dask would do again what raises, and a fault is no worker's.
    """
    stop = Event(stop_name, client=get_client())
    try:
        with joined(told):
            for _ in done_by_processes([shard]):
                if stop.is_set():
                    break
    except MirrorsetError as fault:
        return fault
    return None
