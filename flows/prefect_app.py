"""Prefect's server as `mirrorset serve` starts it: for programs and browsers of this machine alone.

Whoever may talk to it may have any command run, and by itself it listens to everybody: a page from
anywhere, opened in a browser here, could. So it answers no browser whose page is not its own, and
to no name but this machine's, which a page elsewhere may have given its own address (DNS
rebinding).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from prefect.server.api import server
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

_HOSTS = ("127.0.0.1", "localhost")
_REFUSED = PlainTextResponse("This server answers its own pages alone.\n", status_code=403)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app() -> App:
    """For `uvicorn --factory`."""
    return guarded(server.create_app())


def guarded(inner: App) -> App:
    """The application, refusing (403) what another's page asks for in a browser of this machine."""

    async def guarded_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_from_here(Headers(scope=scope)):
            await inner(scope, receive, send)
        else:
            await _REFUSED(scope, receive, send)

    return guarded_app


def _is_from_here(headers: Headers) -> bool:
    host, origin = _place(f"//{headers.get('host', '')}"), headers.get("origin")
    if host is None or origin is None:
        return host is not None
    return _place(origin) == host


def _place(url: str) -> int | None:
    """The port of an address of this machine; None of any other."""
    try:
        parts = urlsplit(url)
        return (parts.port or 80) if parts.hostname in _HOSTS else None
    except ValueError:
        return None
