"""Labelling workers of a Dask cluster, on any number of machines."""

from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from annotation.worker import LabelOrder, label
from mirrorset.cluster import connected
from mirrorset.errors import UnavailableError
from mirrorset.logs import handed_on, joined


class Cluster:
    """The workers that the scheduler at an address has at the time, one thread of each a shard.

    They need the same mirrorset and blob store; the order's folder of weights is made where it is
    missing. Dask gives the shard of a worker that died to another by itself; `lost` is raised where
    it has done so too often. Raises as `connected` does.
    """

    lost: type[Exception]

    def __init__(self, scheduler: str) -> None:
        self._client = connected(scheduler)
        from distributed import KilledWorker  # noqa: PLC0415  (an extra)

        self.lost = KilledWorker
        # The same images in a second run are another task.
        self._executor = self._client.get_executor(pure=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    @property
    def room(self) -> int:
        """Two shards a thread, so that none waits for its next; workers may come and go."""
        try:
            threads: int = sum(self._client.nthreads().values())
        except (OSError, ValueError) as error:
            raise UnavailableError(
                f"The Dask scheduler no longer answers ({error}): what was labelled is kept, run "
                "it again to go on."
            ) from None
        return 2 * max(1, threads)

    def begin(self, order: LabelOrder, image_ids: Sequence[str]) -> "Future[bytes]":
        """Have some worker label the images."""
        told = handed_on()
        work: Future[bytes] = self._executor.submit(_label, order, tuple(image_ids), told)
        return work


def _label(order: LabelOrder, image_ids: Sequence[str], told: str) -> bytes:
    """On the worker."""
    with joined(told):
        return label(order, image_ids)
