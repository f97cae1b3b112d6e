"""Shards handed to workers until all are labelled, whatever becomes of a worker."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from typing import Protocol

from annotation.worker import LabelOrder
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected
from mirrorset.spool import encoded

_log = logging.getLogger(__name__)

# A second worker gets the shard whole: its labels are then the same to the last bit.
_TRIES = 2
# Pictures that kill what reads them lie among others that do not.
_MOST_LOST_IN_A_ROW = 8


class Team(Protocol):
    """Workers that label: `annotation.processes.Processes`, `annotation.cluster.Cluster`.

    lost: the error of a Future whose worker died.
    """

    lost: type[Exception]

    @property
    def room(self) -> int:
        """How many shards may be under way at once, at least one."""

    def begin(self, order: LabelOrder, image_ids: Sequence[str]) -> Future[bytes]:
        """Let a worker call `annotation.worker.label`, now or when it is free."""


@dataclass(frozen=True)
class Labelled:
    """What came of some images: their number and the content of their shard."""

    images: int
    content: bytes


def labelled(
    team: Team, order: LabelOrder, shards: Iterator[tuple[str, ...]]
) -> Iterator[Labelled]:
    """Label all `shards`, yielding each as it is done; read ahead only as the team has room.

    A shard whose worker died is done again whole, then picture by picture; a picture that cost two
    workers by itself is rejected (MODEL_FAILED), to be tried again by the next run.

    Raises what `annotation.worker.label` raises, and UnavailableError where the cluster goes away
    or workers die whatever they are given; what was yielded stands.
    """
    backlog = _Backlog(shards)
    under_way: dict[Future[bytes], _Share] = {}
    done: list[Labelled] = []
    while True:
        while len(under_way) < team.room and (share := backlog.take()):
            under_way[team.begin(order, share.image_ids)] = share
        # Keeping these takes the caller a while, in which workers are busy already.
        yield from done
        if not under_way:
            return
        done = []
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            share = under_way.pop(future)
            try:
                done.append(Labelled(len(share.image_ids), future.result()))
                backlog.lost_in_a_row = 0
            except team.lost:
                if rejected := backlog.put_back(share):
                    done.append(Labelled(1, encoded([rejected])))
            except CancelledError:
                raise UnavailableError(
                    "The Dask cluster went away: what was labelled is kept, run it again to go on."
                ) from None


@dataclass(frozen=True)
class _Share:
    """Images for one worker, and how many it has cost."""

    image_ids: tuple[str, ...]
    cost: int = 0


class _Backlog:
    """What nobody is at: first what workers died over, then the shards."""

    def __init__(self, shards: Iterator[tuple[str, ...]]) -> None:
        self._shards = shards
        self._again: deque[_Share] = deque()
        self.lost_in_a_row = 0

    def take(self) -> _Share | None:
        if self._again:
            return self._again.popleft()
        image_ids = next(self._shards, None)
        return _Share(image_ids) if image_ids else None

    def put_back(self, share: _Share) -> Rejected | None:
        """Keep what a worker died over for another; the rejection of a picture that is not."""
        self.lost_in_a_row += 1
        if self.lost_in_a_row > _MOST_LOST_IN_A_ROW:
            raise UnavailableError(
                f"{self.lost_in_a_row} labelling workers died one after the other: what was "
                "labelled is kept; see whether memory ran out, and run it with fewer workers."
            )
        cost = share.cost + 1
        _log.warning("A labelling worker died over %d pictures.", len(share.image_ids))
        if cost < _TRIES:
            self._again.append(_Share(share.image_ids, cost))
        elif len(share.image_ids) > 1:
            self._again.extend(_Share((image_id,)) for image_id in share.image_ids)
        else:
            return Rejected(
                item_id=share.image_ids[0],
                step="prelabel",
                reason=Reason.MODEL_FAILED,
                detail=f"{cost} workers died over this picture.",
                is_retryable=True,
            )
        return None
