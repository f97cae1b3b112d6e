"""Faults that a test can switch on, and the layer that makes them happen."""

import asyncio
import random
import re
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from standin.refusals import SERVER_ERROR

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PAGE = "text/html; charset=utf-8"
_REQUESTS = r"/api/requests/.+"
_EXPORTS = r"/api/\w+/\d+/(dataset|backup)/export"


class Kind(StrEnum):
    """What goes wrong.

    ERROR: 500, and nothing was done. ERROR_AFTER: 500, but it was done. RESET: the connection is
    cut before the whole request has been read. RESET_AFTER: it was done, and the connection is
    cut instead of an answer. SLOW: the answer comes late. EXPIRED: a poll finds its request
    unknown (404). CONFLICT: an export is answered 409, as if one were running already.
    """

    ERROR = "error"
    ERROR_AFTER = "error after"
    RESET = "reset"
    RESET_AFTER = "reset after"
    SLOW = "slow"
    EXPIRED = "expired"
    CONFLICT = "conflict"


ANYTHING = (Kind.ERROR, Kind.ERROR_AFTER, Kind.RESET, Kind.RESET_AFTER)


@dataclass
class _Rule:
    """kinds: one of them is drawn each time. left: how often it still applies; None for ever."""

    kinds: tuple[Kind, ...]
    method: str
    path: re.Pattern[str]
    left: int | None
    probability: float
    seconds: float
    draw: random.Random

    def fires(self, method: str, path: str) -> Kind | None:
        if self.left == 0 or not re.fullmatch(self.method, method) or not self.path.search(path):
            return None
        if self.probability < 1 and self.draw.random() >= self.probability:
            return None
        if self.left is not None:
            self.left -= 1
        return self.draw.choice(self.kinds)


@dataclass
class Faults:
    """The switches. happened: (kind, method, path) of each fault, in order.

    >>> faults.next(Kind.ERROR, 3, path="/annotations")     # doctest: +SKIP
    >>> faults.at_random(0.2, seed=7)                       # doctest: +SKIP
    """

    happened: list[tuple[Kind, str, str]] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(
        self, kind: Kind, times: int = 1, *, method: str = ".*", path: str = "", seconds: float = 0
    ) -> None:
        """The next `times` requests whose method fits and whose path has `path` (patterns) fail.

        seconds: how late a slow answer comes.
        """
        self._add((kind,), method, path, times, 1.0, seconds, 0)

    def at_random(
        self,
        probability: float,
        seed: int,
        kinds: tuple[Kind, ...] = ANYTHING,
        *,
        method: str = ".*",
        path: str = "",
        seconds: float = 0,
    ) -> None:
        """Each request fails with this probability, drawn from the seed, until `clear`."""
        self._add(kinds, method, path, None, probability, seconds, seed)

    def clear(self) -> None:
        """Nothing fails any more; what happened is kept."""
        with self._lock:
            self._rules.clear()

    def due(self, method: str, path: str) -> tuple[Kind, float] | None:
        """What goes wrong with this request, and for how long."""
        with self._lock:
            for rule in self._rules:
                kind = rule.fires(method, path)
                if kind is not None:
                    self.happened.append((kind, method, path))
                    return kind, rule.seconds
        return None

    def _add(
        self,
        kinds: tuple[Kind, ...],
        method: str,
        path: str,
        times: int | None,
        probability: float,
        seconds: float,
        seed: int,
    ) -> None:
        if Kind.EXPIRED in kinds and not path:
            method, path = "GET", _REQUESTS
        if Kind.CONFLICT in kinds and not path:
            method, path = "POST", _EXPORTS
        draw = random.Random(seed)
        rule = _Rule(kinds, method, re.compile(path), times, probability, seconds, draw)
        with self._lock:
            self._rules.append(rule)


class Faulty:
    """The outermost layer: it stands between the web server and the application."""

    def __init__(self, app: App, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        due = self.faults.due(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if due is None:
            await self.app(scope, receive, send)
            return
        kind, seconds = due
        match kind:
            case Kind.ERROR:
                await _drain(receive)
                await _answer(send, 500, SERVER_ERROR)
            case Kind.EXPIRED:
                await _answer(send, 404, "There is no request with specified id")
            case Kind.RESET:
                await receive()
                await _cut(receive)
            case Kind.RESET_AFTER:
                await self.app(scope, receive, _swallow)
                await _cut(receive)
            case Kind.ERROR_AFTER:
                await self.app(scope, receive, _swallow)
                await _answer(send, 500, SERVER_ERROR)
            case Kind.SLOW:
                await asyncio.sleep(seconds)
                await self.app(scope, receive, send)
            case Kind.CONFLICT:
                await self.app(scope, receive, _with_status(send, 409))


def _with_status(send: Send, status: int) -> Send:
    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "status": status}
        await send(message)

    return changed


async def _swallow(message: Message) -> None:
    """Nobody hears of it."""


async def _drain(receive: Receive) -> None:
    """Read the whole request, so that the client has sent it before it is answered."""
    while (await receive()).get("more_body"):
        pass


async def _answer(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", _PAGE.encode()), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def _cut(receive: Receive) -> None:
    """Cut the connection.

    ASGI has no word for it, so this reaches for the transport of uvicorn's own cycle, whose bound
    method `receive` is.
    """
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass
