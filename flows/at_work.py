"""Work that needs a workspace and a place on a server: neither is held waiting for the other."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

from mirrorset.errors import UnavailableError
from mirrorset.workspace import Workspace

# A run that was killed gives its place back after so long; the least that Prefect takes.
_LEASE_S = 60
_TRY_S = 5

#: How long a run of a deployment waits for its place; None in a run by hand, which needs none.
_wait_s: ContextVar[float | None] = ContextVar("wait_s", default=None)


@contextmanager
def limited(wait_s: float) -> Iterator[None]:
    """What is done inside heeds Prefect's concurrency limits, and waits for a place so long."""
    token = _wait_s.set(wait_s)
    try:
        yield
    finally:
        _wait_s.reset(token)


def place_on(kind: str, address: str) -> str:
    """Name of the concurrency limit of a server; kind: "host" or "cvat"."""
    host = urlsplit(address).netloc or "this-machine"
    return f"mirrorset-{kind}-{host.rpartition('@')[2]}"


@contextmanager
def at_work(workspace: Workspace, *places: str) -> Iterator[None]:
    """Hold the workspace's lock and a place on each server, by the names of their limits.

    Raises UnavailableError where others are on these servers for longer than may be waited.
    """
    wait_s, began = _wait_s.get(), time.monotonic()
    while True:
        with ExitStack() as held:
            held.enter_context(workspace.locked())
            if wait_s is None or not places or _took(held, sorted(set(places))):
                yield
                return
        if time.monotonic() - began > wait_s:
            raise UnavailableError(
                f"Other runs have been at work for too long on what {', '.join(places)} limits: "
                "see the concurrency limits in Prefect's UI."
            )
        time.sleep(1 + secrets.randbelow(4000) / 1000)


def _took(held: ExitStack, places: list[str]) -> bool:
    # Prefect is imported where deployments run, and nowhere else.
    from prefect.concurrency.sync import concurrency

    try:
        held.enter_context(
            concurrency(
                places,
                timeout_seconds=_TRY_S,
                lease_duration=_LEASE_S,
                raise_on_lease_renewal_failure=False,
            )
        )
    except TimeoutError:
        return False
    return True
