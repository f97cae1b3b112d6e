"""One authenticated channel to a CVAT server, on the low-level client of CVAT's own SDK.

The SDK supplies authentication, organisation, certificates and the pool of kept connections. Its
typed models are passed by: they fail on answers of another version, so an answer here is plain
JSON. What is lost on the way is asked for again, and nothing is made twice by that.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import urllib3
import yaml
from cvat_sdk.api_client import ApiClient, Configuration
from pydantic_core import from_json, to_json
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import parse_url

from annotation.cvat.answers import lacking
from mirrorset.errors import InputError, OverdueError, SettingsError, UnavailableError

_log = logging.getLogger(__name__)

#: The server's version whose answers were recorded; a newer one is tried, an older one is asked.
KNOWN_VERSION = (2, 54)

#: Every call that this package makes once it is connected, as the server's own schema names it.
NEEDED = (
    *("GET /api/users", "GET /api/requests/{id}"),
    *("GET /api/projects", "POST /api/projects"),
    *("GET /api/projects/{id}", "PATCH /api/projects/{id}"),
    *("GET /api/labels", "PATCH /api/labels/{id}", "DELETE /api/labels/{id}"),
    *("POST /api/guides", "GET /api/guides/{id}", "PATCH /api/guides/{id}"),
    *("POST /api/assets", "GET /api/assets/{uuid}"),
    *("GET /api/tasks", "POST /api/tasks"),
    *("GET /api/tasks/{id}", "PATCH /api/tasks/{id}", "DELETE /api/tasks/{id}"),
    *("GET /api/tasks/{id}/data/", "POST /api/tasks/{id}/data/"),
    *("GET /api/tasks/{id}/data/meta", "PATCH /api/tasks/{id}/data/meta"),
    *("GET /api/jobs", "POST /api/jobs", "PATCH /api/jobs/{id}", "GET /api/jobs/{id}/data/meta"),
    *("GET /api/jobs/{id}/annotations/", "PUT /api/jobs/{id}/annotations/"),
    *("GET /api/issues", "POST /api/issues", "PATCH /api/issues/{id}"),
    *("GET /api/comments", "POST /api/comments"),
)

#: (name, content, media type) of a file to upload; the name is all that the server learns of it.
Upload = tuple[str, bytes, str]

#: How long a call is tried again while the server cannot be reached.
PATIENCE_S = 60.0

_CONNECT_S = 10.0
_READ_S = 120.0
# How a server says that it has none of that slug, whatever it was asked for.
_NO_ORGANISATION = "organization does not exist"
# A wait that is over sooner needs no words.
_WORTH_A_WARNING_S = 5.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
# A 500 is mostly the server's answer to what it was sent: asked again twice, then believed.
_TRIES_AT_500 = 3
#: Calls that are under way at once.
PARALLEL = 8
_PAGE_SIZE = 1000
_SHOWN_BYTES = 300
# The schema has ten thousand lines, for which the loader without C takes seconds.
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AnswerError(UnavailableError):
    """The server answered a call with an error, or with what cannot be read.

    status: HTTP's. answer: what it said, as JSON where it was, else None.
    """

    def __init__(self, sentence: str, status: int, answer: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.answer = answer
        # What it forbids or does not understand it will not take later either.
        self.may_pass = status not in (400, 403)


class Connection:
    """A CVAT server as one user sees it; threads may share it.

    url: where it is. organisation: the slug of the one it works in, or "". version: as it calls
    itself, "" until it was asked. requests: how many were made so far.
    """

    def __init__(
        self, url: str, token: str, organisation: str = "", patience_s: float = PATIENCE_S
    ) -> None:
        """patience_s: how long a call is tried again while the server cannot be reached. Less than
        the usual is also the longest that an answer is waited for.
        """
        self.url = url.rstrip("/")
        self.organisation = organisation
        self.version = ""
        self.requests = 0
        self._patience_s = patience_s
        self._read_s = _READ_S if patience_s >= PATIENCE_S else patience_s
        self._is_away = False
        self._counting = threading.Lock()
        configuration = Configuration(host=self.url, access_token=token)
        configuration.connection_pool_maxsize = PARALLEL
        self._client = ApiClient(configuration)
        self._client.set_default_header("Accept", "application/vnd.cvat+json")
        # Resumable uploads are refused with 500 without it.
        self._client.set_default_header("Origin", self._client.build_origin_header())
        if organisation:
            self._client.set_default_header("X-Organization", organisation)

    @property
    def name(self) -> str:
        """The server and its version, for messages."""
        return f"{self.url} (CVAT {self.version})" if self.version else self.url

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        files: Sequence[tuple[str, Upload | str]] | None = None,
        headers: Mapping[str, str] | None = None,
        also: Sequence[int] = (),
        find: Callable[[], Any] | None = None,
        is_repeatable: bool = False,
    ) -> Any:
        """What the server answers: JSON, or bytes where it is none, or None where it is empty.

        path: below the server's address, "/api/tasks/3". body: sent as JSON; bytes as they are.
        files: form fields and their uploads or plain values. also: error statuses that are an
        answer here. find: for a call that makes something, looks for what an earlier try may have
        made; None while there is nothing. is_repeatable: such a call does no harm when it is made
        twice.

        A lost connection, a 5xx and a 429 are tried again with back-off. A call that makes
        something is made again only where the first surely came to nothing, or `find` finds
        nothing, or it is repeatable; otherwise it is then an error. The first time that a server
        which was there is away, a warning says so.

        Raises AnswerError for an error status, and for an answer that lacks what is read of it
        (`annotation.cvat.answers`), SettingsError where the token is refused or there is no such
        organisation, UnavailableError where an answer is lost and the call cannot be made again,
        OverdueError where the server is not reached within the connection's patience.
        """
        is_making = method == "POST" or (method == "PATCH" and "action" in (query or {}))
        give_up_at = time.monotonic() + self._patience_s
        for tries, own_pause_s in enumerate(_pauses(), start=1):
            response, lost = self._try(method, path, query, body, files, headers)
            if response is not None:
                if method == "DELETE" and tries > 1 and response.status == 404:
                    return None
                if not _is_trouble(response, tries):
                    self._is_away = False
                    return self._answer(method, path, response, also)
            if is_making and not is_repeatable and _may_have_worked(response, lost):
                made = find() if find else None
                if made is not None:
                    return made
                if find is None:
                    raise self._lost(method, path, response, lost)
            pause_s = max(own_pause_s, _asked_pause_s(response))
            if time.monotonic() + pause_s > give_up_at:
                raise OverdueError(str(self._lost(method, path, response, lost)))
            self._warn_of_outage(response, lost)
            time.sleep(pause_s)
        raise AssertionError("pauses have no end")

    def pages(
        self, path: str, query: Mapping[str, object] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The results of a list, page after page, each id once.

        Raises AnswerError where a page that is not the last brings nothing new.
        """
        seen: set[object] = set()
        following: Mapping[str, object] | None = {"page_size": _PAGE_SIZE, **(query or {})}
        while following is not None:
            page = self.call("GET", path, query=following)
            new = {result["id"]: result for result in page["results"] if result["id"] not in seen}
            next_url = page.get("next") or ""
            if next_url and not new:
                raise AnswerError(
                    f"{self.name} answered GET {path} with a page that brings nothing new and "
                    "names a next one: see that no proxy changes its answers, and run this again.",
                    200,
                    page,
                )
            seen.update(new)
            yield from new.values()
            # The server's own idea of its address may be another than ours: only the query counts.
            following = dict(parse_qsl(next_url.partition("?")[2])) if next_url else None

    def _try(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: object,
        files: Sequence[tuple[str, Upload | str]] | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[urllib3.BaseHTTPResponse | None, HTTPError | None]:
        """One request: its response, or how it was lost."""
        sent = {**self._client.get_common_headers(), **(headers or {})}
        self._client.update_params_for_auth(sent, [], None, path, method)
        content: dict[str, Any] = {}
        if files is not None:
            content["fields"] = list(files)
        elif isinstance(body, bytes):
            content["body"] = body
        elif body is not None:
            content["body"] = to_json(body)
            sent["Content-Type"] = "application/json"
        with self._counting:
            self.requests += 1
        try:
            response = self._client.rest_client.pool_manager.request_encode_body(
                method,
                f"{self.url}{path}" + (f"?{urlencode(query)}" if query else ""),
                headers=sent,
                timeout=urllib3.Timeout(
                    connect=min(_CONNECT_S, self._patience_s), read=self._read_s
                ),
                retries=urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=3),
                **content,
            )
        except MaxRetryError as error:
            return None, error.reason if isinstance(error.reason, HTTPError) else error
        except HTTPError as error:
            return None, error
        return response, None

    def _answer(
        self, method: str, path: str, response: urllib3.BaseHTTPResponse, also: Sequence[int]
    ) -> Any:
        try:
            content = _content(response)
        except ValueError:
            raise AnswerError(
                f"{self.name} answered {method} {path} with what is no whole JSON: see that no "
                "proxy changes its answers, and run this again.",
                response.status,
                None,
            ) from None
        if response.status < 400 and (problem := lacking(method, path, content)):
            known = ".".join(map(str, KNOWN_VERSION))
            raise AnswerError(
                f"{self.name} answered {method} {path} with {problem}: see that no proxy changes "
                f"its answers, and that it is a CVAT server as {known} is.",
                response.status,
                content,
            )
        if response.status < 400 or response.status in also:
            return content
        if response.status == 401:
            raise SettingsError(
                f"{self.name} does not accept the token: make an access token there, in the "
                "profile, and set MIRRORSET_CVAT_TOKEN."
            )
        if response.status == 404 and self.organisation and _NO_ORGANISATION in _said(content):
            raise SettingsError(
                f"{self.name} has no organisation {self.organisation!r}: set cvat_organisation to "
                "the slug of one that the token's owner is in, or leave it out."
            )
        sentence = f"{self.name} answered {method} {path} with {response.status}"
        if response.status == 403:
            sentence += ": may the token's owner do this, and is the token not a read-only one?"
        else:
            sentence += f": {_said(content)}."
        raise AnswerError(sentence, response.status, content)

    def _warn_of_outage(
        self, response: urllib3.BaseHTTPResponse | None, lost: HTTPError | None
    ) -> None:
        """Say once that the server is away, so that nobody waits without knowing for what."""
        if response is not None and response.status == 500:
            return  # believed before long
        with self._counting:
            is_known, self._is_away = self._is_away, True
        if not is_known and self._patience_s > _WORTH_A_WARNING_S:
            _log.warning(
                "CVAT at %s %s; trying again for up to %.0f s.",
                self.url,
                f"cannot be reached ({_told(lost)})"
                if response is None
                else f"answers with {response.status}",
                self._patience_s,
            )

    def _lost(
        self,
        method: str,
        path: str,
        response: urllib3.BaseHTTPResponse | None,
        lost: HTTPError | None,
    ) -> UnavailableError:
        advice = "see that it is up and run this again: it goes on where it was"
        if response is None:
            return UnavailableError(f"{self.name} cannot be reached ({_told(lost)}): {advice}.")
        return AnswerError(
            f"{self.name} answered {method} {path} with {response.status}: {advice}.",
            response.status,
            None,
        )


def connect(
    url: str, token: str, organisation: str = "", patience_s: float = PATIENCE_S
) -> Connection:
    """A connection whose server is there and is known to have the calls that are needed.

    organisation: the slug of the one to work in; "" for the user's own space. A version newer than
    KNOWN_VERSION is warned of. Raises SettingsError where `url` is none or holds a password and
    where `token` is missing, InputError where there is no CVAT or one that lacks a call, and as
    `Connection.call` does.
    """
    if "@" in url:
        raise SettingsError(
            "cvat_url holds a user or a password: write the server's address alone, and set "
            "MIRRORSET_CVAT_TOKEN to an access token of it."
        )
    if not _is_address(url):
        raise SettingsError(
            f"cvat_url {url!r} is no server's address: write https://cvat.example.org."
        )
    # As files and stores of secrets give it, with a line break at its end.
    token = token.strip()
    if not token:
        raise SettingsError(
            f"There is no token for {url}: make an access token there, in the profile, and set "
            "MIRRORSET_CVAT_TOKEN."
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"MIRRORSET_CVAT_TOKEN holds characters that no token of {url} has: copy it anew."
        )
    if not organisation.isascii() or not organisation.isprintable():
        raise SettingsError(
            f"cvat_organisation {organisation!r} holds characters that no slug has: write it as "
            f"{url} does."
        )
    connection = Connection(url, token, organisation, patience_s)
    about = connection.call("GET", "/api/server/about")
    if not isinstance(about, dict) or not about.get("version"):
        raise InputError(
            f"{url} is no CVAT server: it answered GET /api/server/about with {_shown(about)}, "
            "which names no version of CVAT."
        )
    connection.version = str(about["version"])
    version = _major_minor(connection.version)
    known = ".".join(map(str, KNOWN_VERSION))
    if version is None:
        _log.warning("%s is of no version that is known here, as %s is.", connection.name, known)
    elif version > KNOWN_VERSION:
        _log.warning("%s is newer than %s, the version known here.", connection.name, known)
    elif version < KNOWN_VERSION:
        _refuse_lacking(connection)
    return connection


def _is_address(url: str) -> bool:
    try:
        # Each of the two refuses some that the other lets pass; both are used on the way.
        parts, host = urlsplit(url), parse_url(url).host
    except ValueError:
        return False
    is_more = parts.query or parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.netloc and host and not is_more)


def _refuse_lacking(connection: Connection) -> None:
    """Raise InputError naming the first needed call that the server's own schema has not."""
    known = ".".join(map(str, KNOWN_VERSION))
    try:
        schema = connection.call(
            "GET", "/api/schema/", query={"scheme": "yaml"}, headers={"Accept": "*/*"}
        )
        # The C twin of the safe loader is as safe.
        paths = yaml.load(schema, Loader=_YAML_LOADER)["paths"]  # noqa: S506
        has = {f"{method.upper()} {path}" for path, calls in paths.items() for method in calls}
    except (AnswerError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        raise InputError(
            f"{connection.name} is older than {known}, and its GET /api/schema/ does not say "
            f"whether it has the calls that are needed here: update it to {known} or later."
        ) from None
    if absent := [call for call in NEEDED if call not in has]:
        raise InputError(
            f"{connection.name} has no `{absent[0]}`, which is needed here: update it to "
            f"{known} or later."
        )


def _pauses() -> Iterator[float]:
    """Seconds between tries, growing, each a little off so that clients do not march in step."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s * random.uniform(0.7, 1.3)  # noqa: S311  (no secret)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _is_trouble(response: urllib3.BaseHTTPResponse, tries: int) -> bool:
    if response.status == 500:
        return tries < _TRIES_AT_500
    return response.status > 500 or response.status == 429


def _asked_pause_s(response: urllib3.BaseHTTPResponse | None) -> float:
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return float(asked) if asked.isdecimal() else 0.0


def _may_have_worked(response: urllib3.BaseHTTPResponse | None, lost: HTTPError | None) -> bool:
    """Whether the server may have done what it was asked for, though we did not hear of it."""
    if response is not None:
        return response.status != 429
    return not isinstance(lost, NewConnectionError | ConnectTimeoutError)


def _content(response: urllib3.BaseHTTPResponse) -> Any:
    if not response.data:
        return None
    if "json" in response.headers.get("Content-Type", ""):
        return from_json(response.data)
    return response.data


def _said(content: object) -> str:
    """What an error answer says, as one short line; the server's HTML pages say nothing."""
    if content is None or isinstance(content, bytes):
        return "it says no more"
    text = content if isinstance(content, str) else to_json(content).decode()
    return " ".join(text.split())[:300].rstrip(".")


def _shown(content: object) -> str:
    """The beginning of an answer that was to be JSON, as one short line."""
    if isinstance(content, bytes):
        text = content[:_SHOWN_BYTES].decode("utf-8", "replace")
    else:
        text = to_json(content).decode()
    return f"`{' '.join(text.split())[:80]}`"


def _told(lost: HTTPError | None) -> str:
    """How a connection was lost, without the addresses of objects."""
    text = re.sub(r"<[^>]*>:? ?|^\(|\)$", "", str(lost))
    return " ".join(text.split())[:200] or type(lost).__name__


def _major_minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
