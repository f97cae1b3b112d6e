"""CVAT's deliveries, heard in the process that serves: each piece of news starts a pull."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from annotation.cvat.webhook import News
from flows.listen import receiving
from flows.serve_params import ServeParams
from flows.serving.following import deployment_name, is_running, start_following
from mirrorset.workspace import Workspace

_log = logging.getLogger(__name__)
_SETTLE_S = 1.0
_LOOK_EVERY_S = 2.0
_OTHER_PORT = (
    "end what listens there (`mirrorset annotate listen` may), or choose another in params.yaml "
    "(serve: webhook_host, webhook_port)"
)


@contextmanager
def listening(
    workspace: Workspace, params: ServeParams, stopping: threading.Event
) -> Iterator[str]:
    """Start a pull on each signed delivery while the body runs; yields the address, or "" where no
    secret is set. Raises UnavailableError where the port is taken.
    """
    if not workspace.settings.cvat_webhook_secret.get_secret_value():
        yield ""
        return
    news = News()
    with receiving(workspace, news, params.webhook_host, params.webhook_port, _OTHER_PORT):
        thread = threading.Thread(
            target=_pull_on, args=(workspace, news, params.pull.time_limit_s, stopping), daemon=True
        )
        thread.start()
        yield f"http://{params.webhook_host}:{params.webhook_port}/"


def _pull_on(
    workspace: Workspace, news: News, time_limit_s: float, stopping: threading.Event
) -> None:
    name = deployment_name(workspace, "pull")
    while not stopping.is_set():
        # Looks up now and then, so that it ends when it is to.
        if not news.wait(_LOOK_EVERY_S):
            continue
        time.sleep(_SETTLE_S)
        news.wait(0)
        try:
            # One at work may have passed by what the news is about; one that has taken longer
            # than it may is dead, whatever Prefect says.
            ends_at = time.monotonic() + time_limit_s
            while time.monotonic() < ends_at and is_running(name):
                if stopping.wait(_LOOK_EVERY_S):
                    break
            if not stopping.is_set():
                start_following(workspace, "pull")
        except Exception as error:
            # The scheduled pull comes all the same.
            _log.warning("The pull that CVAT's news call for could not be started: %s", error)
