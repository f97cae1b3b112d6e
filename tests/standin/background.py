"""Background requests: an id at once, the work a little later, the outcome by polling."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from standin import lists
from standin.call import Answer, Arrived, nothing
from standin.refusals import RefusedError, forbidden
from standin.state import State, User, as_text

router = APIRouter()

_UNKNOWN = RefusedError(404, "There is no request with specified id", "text/html; charset=utf-8")
_TOO_LATE = RefusedError(
    400, "Only requests that have not yet been started can be cancelled", "text/html; charset=utf-8"
)
_KEPT_S = {"create": 500, "import": 3600, "export": 86_400, "calculate": 120, "merge": 300}


class WorkFailedError(Exception):
    """The work could not be done; the text is the request's message."""


@dataclass
class Work:
    """A background request. action, target, subresource: what its id says. format: None where the
    server names none; has_format: whether it shows the key at all.
    """

    id: str
    action: str
    target: str
    subresource: str | None
    owner: User
    created_at: datetime
    project_id: int | None = None
    task_id: int | None = None
    job_id: int | None = None
    format: str | None = None
    has_format: bool = True
    status: str = "queued"
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    result_url: str | None = None
    result_id: int | None = None
    result: bytes = b""
    result_name: str = ""

    @property
    def is_running(self) -> bool:
        return self.status in ("queued", "started")

    @property
    def type(self) -> str:
        return f"{self.action}:{self.subresource or self.target}"


@dataclass
class Works:
    """The requests of a server, and what is running of them.

    least_s: how long each takes at the least, so that a test can see it unfinished.
    """

    known: dict[str, Work]
    running: set[asyncio.Task[None]]
    least_s: float = 0.0

    def start(
        self,
        state: State,
        work: Work,
        do: Callable[[Work], Awaitable[None] | None],
        seconds: float = 0.0,
    ) -> Work:
        """Do it in the background. seconds: what the recorded server took for it."""
        self.known.pop(work.id, None)
        self.known[work.id] = work
        task = asyncio.create_task(self._done(state, work, do, seconds))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return work

    async def _done(
        self,
        state: State,
        work: Work,
        do: Callable[[Work], Awaitable[None] | None],
        seconds: float,
    ) -> None:
        await asyncio.sleep(0)
        work.status, work.started_at = "started", state.now()
        ends = time.monotonic() + seconds
        await asyncio.sleep(self.least_s)
        state.actor, state.is_in_background = work.owner, True
        try:
            waits = do(work)
            if waits is not None:
                await waits
            state.is_in_background = False
            await asyncio.sleep(max(0.0, ends - time.monotonic()))
            work.status, work.message = "finished", ""
        except WorkFailedError as failure:
            work.status, work.message = "failed", str(failure)
        except Exception:
            work.status, work.message = "failed", traceback.format_exc()
        state.is_in_background = False
        work.finished_at = state.now()
        work.expires_at = work.finished_at + timedelta(seconds=_KEPT_S[work.action])


def request_id(action: str, target: str, target_id: object, **more: object) -> str:
    """An id as the server builds it, such as action=create&target=task&target_id=1."""
    parts = {"action": action, "target": target, "target_id": target_id, **more}
    return "&".join(f"{key}={value}" for key, value in parts.items() if value is not None)


def format_id(name: str) -> str:
    return name.replace(" ", "_").replace(".", "~")


def result_address(state: State, path: str, work: Work) -> str:
    return f"{state.url}{path}?{urlencode({'rq_id': work.id})}"


_FIELDS: lists.Fields = {
    "id": lambda work: work.id,
    "status": lambda work: work.status,
    "project_id": lambda work: work.project_id,
    "task_id": lambda work: work.task_id,
    "job_id": lambda work: work.job_id,
    "action": lambda work: work.action,
    "target": lambda work: work.target,
    "subresource": lambda work: work.subresource,
    "format": lambda work: work.format,
    "created_date": lambda work: work.created_at,
}


@router.get("/api/requests")
async def list_requests(call: Arrived) -> Response:
    known = [work for work in works(call).known.values() if work.owner is call.user]
    return lists.answered(call, known, _FIELDS, _shown, order="-created_date")


@router.post("/api/requests/{rq_id:path}/cancel")
async def cancel_request(call: Arrived, rq_id: str) -> Response:
    if _found(call, rq_id).status != "queued":
        raise _TOO_LATE
    del works(call).known[rq_id]
    return nothing(200)


@router.get("/api/requests/{rq_id:path}")
async def get_request(call: Arrived, rq_id: str) -> Response:
    return Answer(_shown(_found(call, rq_id)))


def works(call: Arrived) -> Works:
    found: Works = call.request.app.state.works
    return found


def started(call: Arrived, work: Work) -> Response:
    """202 with the request's id."""
    return Answer({"rq_id": work.id}, 202)


def downloaded(call: Arrived) -> Response:
    """The file that a finished request made."""
    work = _found(call, call.query.get("rq_id", ""))
    if work.status != "finished":
        raise _UNKNOWN
    return Response(
        work.result,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{work.result_name}"'},
    )


def joined(call: Arrived, rq_id: str) -> Response | None:
    """409 with the same id where such a request is still running."""
    work = works(call).known.get(rq_id)
    return Answer({"rq_id": rq_id}, 409) if work is not None and work.is_running else None


def _found(call: Arrived, rq_id: str) -> Work:
    work = works(call).known.get(rq_id)
    if work is None or (work.expires_at is not None and work.expires_at < call.state.now()):
        raise _UNKNOWN
    if work.owner is not call.user and not call.user.is_staff:
        raise forbidden()
    return work


def _shown(work: Work) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "type": work.type,
        "target": work.target,
        "project_id": work.project_id,
        "task_id": work.task_id,
        "job_id": work.job_id,
    }
    if work.has_format:
        operation["format"] = work.format
    return {
        "status": work.status,
        "message": work.message,
        "id": work.id,
        "operation": operation | {"lightweight": None},
        "progress": 0.0,
        "created_date": as_text(work.created_at),
        "started_date": as_text(work.started_at),
        "finished_date": as_text(work.finished_at),
        "expiry_date": as_text(work.expires_at),
        "owner": {"id": work.owner.id, "username": work.owner.username},
        "result_url": work.result_url,
        "result_id": work.result_id,
    }
