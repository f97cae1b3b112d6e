"""How long the recorded server took: in `paced` mode the stand-in takes as long.

Plain calls take the median of their kind in both recordings. Calls whose work grows with what is
sent take a line through the small ones and the largest of the second recording, which is the one
that recorded cvat-cli. Seconds of a loopback connection, server and client on one machine.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from standin.call import Call

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# (method, pattern of the path, seconds), the first that fits
_PLAIN_S = [
    ("POST", r"/auth/login", 0.165),
    ("POST", r"/auth/access_tokens", 0.157),
    ("GET", r"/server/about", 0.015),
    ("GET", r"/requests/.+", 0.032),
    ("POST", r"/tasks", 0.059),
    ("GET", r"/tasks", 0.049),
    ("GET", r"/tasks/\d+", 0.042),
    ("PATCH", r"/tasks/\d+", 0.068),
    ("DELETE", r"/tasks/\d+", 0.135),
    ("POST", r"/projects", 0.082),
    ("GET", r"/projects", 0.055),
    ("GET", r"/projects/\d+", 0.030),
    ("PATCH", r"/projects/\d+", 0.052),
    ("DELETE", r"/projects/\d+", 0.172),
    ("GET", r"/jobs", 0.047),
    ("GET", r"/jobs/\d+", 0.040),
    ("POST", r"/jobs", 0.085),
    ("PATCH", r"/jobs/\d+", 0.086),
    ("GET", r"/labels", 0.035),
    ("PATCH", r"/labels/\d+", 0.046),
    ("GET", r"/users", 0.157),
    ("GET", r"/users/self", 0.170),
    ("POST", r"/issues", 0.136),
    ("GET", r"/issues", 0.114),
    ("POST", r"/comments", 0.114),
    ("POST", r"/assets", 0.479),
    ("GET", r"/(tasks|jobs)/\d+/data/meta", 0.046),
    ("DELETE", r"/(tasks|jobs)/\d+/annotations", 0.234),
    ("PATCH", r"/.+/\d+_[0-9a-f-]+", 0.040),
    ("POST", r"/quality/reports", 0.123),
    ("POST", r"/consensus/merges", 0.100),
]
_OTHER_S = 0.045
_FRAME_S, _CHUNK_S = 0.050, 0.245
_MULTIPLE_S, _MULTIPLE_S_PER_MB = 0.045, 0.0102
_FINISH_S = 0.064

# seconds for few, and for each row more: a shape, an element, a tag or an attribute's value
_ANNOTATIONS_S = {"GET": (0.073, 0.00005), "PUT": (0.137, 0.00031), "PATCH": (0.065, 0.00031)}

# a background request's seconds from its creation to its end, and for each image more
_BACKGROUND_S = {
    "create": (0.19, 0.00125),
    "import": (0.15, 0.00135),
    "export": (0.13, 0.0004),
    "calculate": (0.157, 0.0),
    "merge": (0.25, 0.0),
}


@dataclass
class Pace:
    """Whether answers are held back until the recorded server would have given them."""

    is_on: bool = False


def background_s(call: Call, action: str, images: int) -> float:
    """Seconds that such work takes on this server; 0 where it isn't paced."""
    pace: Pace = call.request.app.state.pace
    least, more = _BACKGROUND_S[action]
    return least + images * more if pace.is_on else 0.0


def call_s(method: str, path: str, query: str, headers: set[str], sent: int, rows: int) -> float:
    """Seconds of one call. sent: bytes of its body. rows: annotation rows sent or answered."""
    path = path.removeprefix("/api").rstrip("/")
    if re.fullmatch(r"/(tasks|jobs)/\d+/annotations", path) and method in _ANNOTATIONS_S:
        least, more = _ANNOTATIONS_S[method]
        return least + rows * more
    if "upload-multiple" in headers:
        return _MULTIPLE_S + _MULTIPLE_S_PER_MB * sent / 1e6
    if "upload-finish" in headers:
        return _FINISH_S
    if method == "GET" and re.fullmatch(r"/(tasks|jobs)/\d+/data", path):
        return _CHUNK_S if "chunk" in query else _FRAME_S
    for known, pattern, seconds in _PLAIN_S:
        if method == known and re.fullmatch(pattern, path):
            return seconds
    return _OTHER_S


class Paced:
    """Holds an answer back until its time; the stand-in's own work counts."""

    def __init__(self, app: App, pace: Pace) -> None:
        self.app = app
        self.pace = pace

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.pace.is_on:
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        sent = bytearray()
        held: list[Message] = []

        async def listen() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def hold(message: Message) -> None:
            held.append(message)

        await self.app(scope, listen, hold)
        answered = b"".join(message.get("body", b"") for message in held)
        is_reading = scope["method"] == "GET"
        seconds = call_s(
            scope["method"],
            scope["path"],
            scope["query_string"].decode(),
            {name.decode().lower() for name, _ in scope["headers"]},
            len(sent),
            _rows(answered if is_reading else bytes(sent)) if "annotations" in scope["path"] else 0,
        )
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        for message in held:
            await send(message)


def _rows(content: bytes) -> int:
    """Shapes, elements, tags and attribute values in annotations; 0 for what is none."""
    try:
        read = json.loads(content)
    except ValueError:
        return 0
    if not isinstance(read, dict):
        return 0
    tops = [*(read.get("shapes") or []), *(read.get("tags") or [])]
    every = [*tops, *(element for one in tops for element in one.get("elements") or [])]
    return len(every) + sum(len(one.get("attributes") or []) for one in every)
