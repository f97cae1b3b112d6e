"""The Prefect server of `mirrorset serve`: the one that is named, or one of its own here."""

import base64
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx

from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.masking import without_user

_log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_PATIENCE_S = 300
_GRACE_S = 5
_PORT_PATIENCE_S = 10.0
#: How long a server that is named may take for its first answer.
_ANSWERS_WITHIN_S = 30
_ASK_S = 5.0

_LEASES = "prefect.server.concurrency.lease_storage"

#: Places that a killed run holds are known after a restart, too.
_SETTINGS = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": f"{_LEASES}.filesystem",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
}


def is_silence(error: Exception) -> bool:
    """Whether Prefect could not talk to its server: nothing else here speaks through httpx."""
    # Its first question, for the server's version, fails as an error of Prefect's own.
    kinds = {type(one).__module__.split(".")[0] for one in (error, error.__cause__)}
    return bool(kinds & {"httpx", "httpcore"}) or "ephemeral Prefect API server" in str(error)


def ask(api_url: str, path: str, patience_s: float) -> httpx.Response:
    """What a server says to Prefect's client, which asks it once. Raises as httpx does."""
    from flows.engine import get_current_settings

    api = get_current_settings().api
    headers = {}
    if api.auth_string is not None:
        encoded = base64.b64encode(api.auth_string.get_secret_value().encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    elif api.key is not None:
        headers["Authorization"] = f"Bearer {api.key.get_secret_value()}"
    verify: ssl.SSLContext | bool = not api.tls_insecure_skip_verify
    if verify and api.ssl_cert_file:
        verify = ssl.create_default_context(cafile=api.ssl_cert_file)
    return httpx.get(
        f"{api_url.rstrip('/')}{path}", headers=headers, timeout=patience_s, verify=verify
    )


def version_of(api_url: str) -> str:
    """The version of a Prefect server.

    Raises UnavailableError where nothing answers, SettingsError where what does refuses us or is no
    Prefect server.
    """
    named = without_user(api_url)
    try:
        answer = ask(api_url, "/admin/version", _ASK_S)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise UnavailableError(
            f"Prefect's server {named} does not answer ({str(error) or type(error).__name__}): "
            "start it, or unset PREFECT_API_URL to have one started here."
        ) from None
    if answer.status_code in (401, 403):
        raise SettingsError(
            f"Prefect's server {named} refuses us: set PREFECT_API_AUTH_STRING, or "
            "PREFECT_API_KEY, to what it accepts."
        )
    said = re.fullmatch(r'"(\d+\.\d+[^"]*)"', answer.text.strip())
    if not answer.is_success or not said:
        raise SettingsError(
            f"{named} answers with {answer.status_code}, not as Prefect does: see that "
            "PREFECT_API_URL ends in /api and names Prefect's server."
        )
    return said[1]


def use(api_url: str) -> None:
    """Let Prefect in this process, which has read its settings already, use this server."""
    import flows.engine  # noqa: F401, I001
    from prefect.context import refresh_global_settings_context

    os.environ["PREFECT_API_URL"] = api_url
    refresh_global_settings_context()


class Server:
    """A server that somebody else runs. api_url: its address for flows; ui_url: for people."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url.rstrip("/")
        self.ui_url = self.api_url.removesuffix("/api")

    @property
    def has_ended(self) -> bool:
        """Whether it has gone for good; another's may come back."""
        return False

    def await_ready(self, is_stopped: Callable[[], bool]) -> None:
        """Return once it answers or is no longer wanted. Raises as `version_of` does."""
        ends_at = time.monotonic() + _ANSWERS_WITHIN_S
        while not is_stopped():
            try:
                version_of(self.api_url)
                return
            except UnavailableError:
                if time.monotonic() > ends_at:
                    raise
            time.sleep(0.5)


class OwnServer(Server):
    """A server that this process started."""

    def __init__(self, port: int) -> None:
        """port: where it is to be; it takes any other where that is taken."""
        with closing(_listening(port)) as place:
            super().__init__(f"http://{_HOST}:{place.getsockname()[1]}/api")
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "uvicorn", "--factory"),
                    "flows.prefect_app:create_app",
                    *("--fd", str(place.fileno()), "--log-level", "error"),
                ],
                env=os.environ
                | _SETTINGS
                | {"PREFECT_UI_API_URL": self.api_url, "PREFECT_API_URL": self.api_url},
                # Ctrl-C is this process's to heed: the server outlives the runs that report to it.
                start_new_session=True,
                pass_fds=(place.fileno(),),
            )

    @property
    def has_ended(self) -> bool:
        """Whether its process has."""
        return self._process.poll() is not None

    def await_ready(self, is_stopped: Callable[[], bool]) -> None:
        """Return once it answers or is no longer wanted; raises UnavailableError where it fails."""
        ends_at = time.monotonic() + _PATIENCE_S
        while not is_stopped():
            if self.has_ended or time.monotonic() > ends_at:
                raise UnavailableError(
                    f"Prefect's server did not start: see that {_home()} can be written to and "
                    "that its prefect.db, if there is one, is whole."
                )
            try:
                if httpx.get(f"{self.api_url}/health", timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)

    def stop(self) -> None:
        """End it, gently for some seconds."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _home() -> str:
    from flows.engine import get_current_settings

    return str(get_current_settings().home)


@contextmanager
def prefect_server(port: int) -> Iterator[Server]:
    """The server that PREFECT_API_URL names; without, one of our own while the body runs, on `port`
    or, where that is taken, on any other.
    """
    if named := os.environ.get("PREFECT_API_URL"):
        yield Server(named)
        return
    server = OwnServer(port)
    try:
        yield server
    finally:
        server.stop()


def _listening(port: int) -> socket.socket:
    """A socket that listens from now on: a server takes seconds to start, and another that starts
    meanwhile would answer for it. That of a serve which was just killed has the port a little yet.
    """
    ends_at = time.monotonic() + _PORT_PATIENCE_S
    while True:
        try:
            return socket.create_server((_HOST, port))
        except OSError as error:
            if time.monotonic() > ends_at:
                other = socket.create_server((_HOST, 0))
                place = f"{_HOST}:{other.getsockname()[1]}"
                _log.warning(
                    "Port %s cannot be used (%s): Prefect's UI is at http://%s, for this time.",
                    *(port, error.strerror, place),
                )
                return other
        time.sleep(0.2)
