"""Listen: what annotators have done is pulled again and again, sooner where the server says so."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from annotation.cvat.webhook import News, receiver
from flows.annotate import PullSummary
from flows.annotate import pull as pull_all
from mirrorset.errors import MirrorsetError, SettingsError, UnavailableError
from mirrorset.records import Batch
from mirrorset.workspace import Workspace, open_workspace

_log = logging.getLogger(__name__)

# Whoever saves causes several deliveries; the pull that they call for waits for all of them.
_SETTLE_S = 1.0
_GRACE_S = 5.0
_OTHER_PORT = "choose another --port, or a --host of this machine"


def listen(
    home: Path,
    host: str,
    port: int,
    every_s: float,
    pull: Callable[[Path], PullSummary] = pull_all,
) -> Iterator[PullSummary]:
    """Pull at least every `every_s` seconds, and soon after a signed delivery; yield each result.

    Without end. A pull that fails, as where the server is down, is logged, and the next one comes.
    Raises SettingsError where no secret is set, UnavailableError where the port is taken.
    """
    workspace = open_workspace(home)
    if not workspace.settings.cvat_webhook_secret.get_secret_value():
        raise SettingsError(
            "cvat_webhook_secret is not set: give the webhook on the CVAT server a secret, and set "
            "MIRRORSET_CVAT_WEBHOOK_SECRET to the same."
        )

    news = News()
    with receiving(workspace, news, host, port, _OTHER_PORT):
        while True:
            try:
                yield pull(home)
            except MirrorsetError as error:
                _log.warning("%s It is tried again.", error)
            if news.wait(every_s):
                time.sleep(_SETTLE_S)
                news.wait(0)


@contextmanager
def receiving(
    workspace: Workspace, news: News, host: str, port: int, remedy: str
) -> Iterator[None]:
    """Tell `news` of the deliveries of the workspace's projects while the body runs.

    The secret must be set. Raises UnavailableError where the port is taken; `remedy` says what to
    do then.
    """

    def projects() -> set[int]:
        with workspace.catalogue() as catalogue:
            return {int(one.project) for one in catalogue.read(Batch) if one.project.isdecimal()}

    secret = workspace.settings.cvat_webhook_secret.get_secret_value()
    with (
        _listened_on(host, port, remedy) as listening,
        _served(receiver(secret, projects, news), listening),
    ):
        yield


@contextmanager
def _listened_on(host: str, port: int, remedy: str) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UnavailableError(
            f"{host}:{port} cannot be listened on ({error.strerror}): {remedy}."
        ) from None
    with listening:
        yield listening


@contextmanager
def _served(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """The application answers there while the body runs."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="webhook", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        # A sender that keeps its connection open is not waited for.
        thread.join(_GRACE_S)
