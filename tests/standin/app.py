"""The stand-in's web application: every topic's endpoints, and what is common to all answers."""

import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from standin import (
    about,
    annotations,
    background,
    backup,
    consensus,
    datasets,
    frames,
    guides,
    issues,
    jobs,
    labels,
    people,
    projects,
    quality,
    tasks,
    webhooks,
)
from standin.background import Works
from standin.call import Answer
from standin.pace import Pace, Paced
from standin.refusals import RefusedError, broken
from standin.state import State
from standin.webhooks import Webhooks

VERSION = "2.54.1"
_TOPICS = (
    about,
    people,
    backup,
    projects,
    labels,
    tasks,
    frames,
    jobs,
    annotations,
    datasets,
    issues,
    guides,
    webhooks,
    quality,
    consensus,
    background,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Slashless:
    """The server takes its addresses with and without a slash at the end."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self.app(scope, receive, send)


def make_app(state: State, version: str = VERSION, schema: Path | None = None) -> FastAPI:
    """The application on a state of its own."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.kept = state
    app.state.works = Works({}, set())
    app.state.uploads = {}
    app.state.webhooks = Webhooks(state)
    app.state.quality = quality.Quality()
    app.state.consensus = {}
    state.listeners.append(app.state.webhooks.hear)
    app.state.pace = Pace()
    app.state.version = version
    app.state.schema = schema
    for topic in _TOPICS:
        app.include_router(topic.router)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(404, _no_such_page)
    app.add_exception_handler(RequestValidationError, _no_such_page)
    app.add_exception_handler(405, _not_allowed)
    app.add_exception_handler(Exception, _broke)
    app.add_middleware(Slashless)
    app.add_middleware(Paced, pace=app.state.pace)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    if error.media_type is not None:
        return Response(error.body, error.status, media_type=error.media_type)
    headers = {"WWW-Authenticate": "Token"} if error.status == 401 else None
    return Answer(error.body, error.status, headers)


async def _no_such_page(request: Request, error: Exception) -> Response:
    page = (
        '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n'
        "  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n"
        "</body>\n</html>\n"
    )
    return Response(page, 404, media_type="text/html; charset=utf-8")


async def _not_allowed(request: Request, error: Exception) -> Response:
    return Answer({"detail": f'Method "{request.method}" not allowed.'}, 405)


async def _broke(request: Request, error: Exception) -> Response:
    """A fault of the stand-in itself, which a test should not take for the server's."""
    traceback.print_exception(error)
    return await _refused(request, broken())
