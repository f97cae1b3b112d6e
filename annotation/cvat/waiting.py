"""What a CVAT server does in the background: asked after quickly at first, then ever more rarely.

A request is known by its id. It is queued or started, then finished or failed, and some time later
it is gone: a creation after some eight minutes, an export after a day. One that is gone, and one
that outlasts our patience, is no loss: what it was to make says itself whether it is there.
"""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from annotation.cvat.connection import AnswerError, Connection
from mirrorset.errors import OverdueError, UnavailableError

_FIRST_PAUSE_S = 0.02
_GROWTH = 1.5
_LONGEST_PAUSE_S = 1.0
_TIMEOUT_S = 600.0


class FailedError(UnavailableError):
    """The server tried and failed. said: its own words."""

    def __init__(self, sentence: str, said: str) -> None:
        super().__init__(sentence)
        self.said = said


class GoneError(UnavailableError):
    """The server does not know the request: it never did, or it has expired."""


def wait(
    connection: Connection,
    request_id: str,
    what: str,
    timeout_s: float = _TIMEOUT_S,
    began_at: float | None = None,
) -> dict[str, Any]:
    """Wait until a background request has finished; returns what the server says of it.

    what: for messages, "making task 3". began_at: the moment (`time.monotonic`) from which
    `timeout_s` counts, by itself this one. Raises FailedError, GoneError, and OverdueError where it
    takes longer than `timeout_s`: it goes on all the same, and the same wait may begin again.
    """
    path = request_path(request_id)
    give_up_at = (time.monotonic() if began_at is None else began_at) + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            request = connection.call("GET", path)
        except AnswerError as error:
            if error.status != 404:
                raise
            raise GoneError(
                f"{connection.name} no longer knows of {what} ({request_id}): run this again."
            ) from None
        if request["status"] == "finished":
            return dict(request)
        if request["status"] == "failed":
            said = str(request.get("message", "")).strip()
            # Of a traceback, its last line says what went wrong.
            told = " ".join(said.rpartition("\n")[2].split())
            raise FailedError(f"{connection.name} failed at {what}: {told[:300]}.", said)
        if time.monotonic() + pause_s > give_up_at:
            raise OverdueError(
                f"{connection.name} has not finished {what} after {timeout_s:.0f} s (it is "
                f"{request['status']}): it goes on there; run this again to take up its result."
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)


def run(
    connection: Connection,
    path: str,
    what: str,
    *,
    query: Mapping[str, object] | None = None,
    body: object = None,
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Any]:
    """Start what may be started twice without harm (an export, a report), and wait for its end.

    One that runs already (409) is joined; one that is gone before it was seen to finish is started
    once more. timeout_s: of both together. Raises as `wait` does.
    """
    began_at = time.monotonic()
    try:
        return wait(connection, _start(connection, path, query, body), what, timeout_s, began_at)
    except GoneError:
        return wait(connection, _start(connection, path, query, body), what, timeout_s, began_at)


def request_path(request_id: str) -> str:
    """Where a background request is asked after."""
    return f"/api/requests/{quote(request_id, safe='')}"


def _start(
    connection: Connection, path: str, query: Mapping[str, object] | None, body: object
) -> str:
    answer = connection.call("POST", path, query=query, body=body, also=(409,), is_repeatable=True)
    return str(answer["rq_id"])
