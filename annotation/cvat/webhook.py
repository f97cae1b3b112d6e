"""News from a CVAT server that something has changed: never what, for polling stays the truth.

A delivery can be late, lost or silent, so all it does is make the next poll come sooner. It is
taken only where it is signed with the secret that both sides know (`X-Signature-256`), is of a
project that is ours, is recent by its own signed time, and was not delivered before. The server
gives a delivery no id: the hash of its body is one, for every change carries its own time.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import AwareDatetime
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from mirrorset.records import Record, utc_now

SIGNATURE = "X-Signature-256"

# A delivery is some kilobytes.
_LARGEST_BYTES = 1 << 20
# Queues are slow and clocks differ; what is older may be a replay that is no longer remembered.
_RECENT = timedelta(minutes=10)
# What changes labels or the state of jobs names one of these.
_SUBJECTS = ("job", "task", "project")


class _Subject(Record):
    """A job, task or project that was changed. project_id: None for a task of no project."""

    project_id: int | None
    at: AwareDatetime


class News:
    """Whether there is any since it was last asked; any number of deliveries are one piece."""

    def __init__(self) -> None:
        self._arrived = threading.Event()

    def tell(self) -> None:
        """There is news."""
        self._arrived.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for news, or until `timeout_s` has passed; returns whether there was any."""
        has_arrived = self._arrived.wait(timeout_s)
        self._arrived.clear()
        return has_arrived


def receiver(
    secret: str,
    projects: Callable[[], Collection[int]],
    news: News,
    now: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """An application that takes deliveries by POST to any path and tells `news` of them.

    secret: as given to the webhook on the server, not empty. projects: ids of those that are ours,
    asked for each delivery. Answers: 202 for news, 200 for what is none (a ping, something deleted,
    another project), 401 without a good signature, 409 for what was delivered before or is not
    recent, 413 and 400 for what is no delivery.
    """
    if not secret:
        raise ValueError("a webhook without a secret is not signed")
    app = FastAPI(openapi_url=None)
    delivered: dict[bytes, datetime] = {}

    @app.post("/{path:path}")
    async def deliver(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _answer(413, "too large for a delivery, or broken off")
        if not is_signed(body, request.headers.get(SIGNATURE, ""), secret):
            return _answer(401, "the signature is missing or wrong")
        try:
            subject = _subject(from_json(body))
        except (ValueError, TypeError, KeyError, AttributeError):
            return _answer(400, "no delivery of a CVAT server")
        if subject is None or subject.project_id not in projects():
            return _answer(200, "not of interest")
        moment = now()
        for digest in [digest for digest, at in delivered.items() if moment - at > 2 * _RECENT]:
            del delivered[digest]
        digest = hashlib.sha256(body).digest()
        if digest in delivered or abs(moment - subject.at) > _RECENT:
            return _answer(409, "delivered before, or not recent")
        delivered[digest] = moment
        news.tell()
        return _answer(202, "taken")

    return app


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` ("sha256=" and 64 hex digits) is that of the raw body.

    Takes as long for a signature that is nearly right as for any other.
    """
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


async def _body(request: Request) -> bytes | None:
    """The raw body, or None where it has no end, or one too far away to be read to."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return body


def _subject(delivery: dict[str, Any]) -> _Subject | None:
    """What a delivery tells of; None where it changes no labels."""
    verb, _, kind = delivery["event"].partition(":")
    if verb == "delete" or kind not in _SUBJECTS:
        return None
    told = delivery[kind]
    project_id = told["id"] if kind == "project" else told["project_id"]
    return _Subject(project_id=project_id, at=told["updated_date"])


def _answer(status: int, text: str) -> Response:
    return Response(text + "\n", status, media_type="text/plain")
