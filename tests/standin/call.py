"""One request that arrived: who sent it, for which organisation, and what it holds."""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from email.header import Header
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from standin.refusals import RefusedError, bad_request, forbidden
from standin.state import Organisation, State, Token, User

JSON_TYPE = "application/vnd.cvat+json"
_READING = ("GET", "HEAD", "OPTIONS")
_PARAMETER = re.compile('[; ](name|filename)="([^"]*)"')


class Answer(Response):
    """JSON as the server sends it."""

    media_type = JSON_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def nothing(status: int, **headers: str) -> Response:
    """An answer without a body; an underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): _as_header(value) for name, value in headers.items()}
    return Response(status_code=status, headers=named)


def _as_header(text: str) -> str:
    """Latin letters as they are, others as encoded words."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return Header(text, "utf-8").encode()
    return text


@dataclass
class Form:
    """fields: the texts sent under a name, in order. files: (name as sent, content), in order."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class Call:
    """token: None for who has not logged in, which few endpoints allow."""

    state: State
    request: Request
    body: bytes
    token: Token | None

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params)

    @property
    def user(self) -> User:
        if self.token is None:
            raise RefusedError(401, {"detail": "Authentication credentials were not provided."})
        return self.token.user

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def json(self) -> Any:
        """The body as JSON.

        Raises: RefusedError: it is none, or of another media type.
        """
        kind = (self.header("Content-Type") or "application/json").split(";")[0].strip()
        if "json" not in kind:
            raise RefusedError(415, {"detail": f'Unsupported media type "{kind}" in request.'})
        try:
            return json.loads(self.body or b"{}", parse_constant=_no_constant)
        except ValueError as error:
            raise bad_request({"detail": f"JSON parse error - {error}"}) from None

    def form(self) -> Form:
        """The body as fields and files: multipart, or JSON's top level as fields."""
        kind = self.header("Content-Type") or ""
        if "multipart/form-data" not in kind:
            return Form(fields={"": [self.body.decode(errors="replace")]} if self.body else {})
        boundary = re.search(r'boundary="?([^";]+)', kind)
        assert boundary is not None
        form = Form()
        # Split by hand: the parser of mails takes seconds for megabytes of pictures, and a
        # millisecond for the head of each.
        for piece in (b"\r\n" + self.body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
            head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            said = dict(_PARAMETER.findall(head.decode()))
            if "filename" in said:
                form.files.append((said["filename"], content))
            else:
                form.fields.setdefault(said["name"], []).append(content.decode())
        return form

    @property
    def organisation(self) -> Organisation | bool | None:
        """The organisation asked for; None for the personal workspace; True for everything."""
        for given, key in (
            (self.query.get("org_id"), "id"),
            (self.query.get("org"), "slug"),
            (self.header("X-Organization"), "slug"),
        ):
            if given is None:
                continue
            if given == "":
                return None
            for one in self.state.organisations.values():
                if str(getattr(one, key)) == given:
                    return one
            raise RefusedError(404, {"detail": f"{given} organization does not exist."})
        return True

    def is_in_scope(self, organisation: Organisation | None) -> bool:
        wanted = self.organisation
        return wanted is True or wanted is organisation


def _no_constant(name: str) -> float:
    raise ValueError(f"Out of range float values are not JSON compliant: '{name}'")


async def _arrived(request: Request) -> Call:
    state: State = request.app.state.kept
    call = Call(state, request, await request.body(), _token(request, state))
    if call.token is not None and call.token.is_read_only and request.method not in _READING:
        raise forbidden()
    return call


async def _authenticated(call: Annotated[Call, Depends(_arrived)]) -> Call:
    call.state.actor = call.user
    _ = call.organisation  # one that is not there is refused, whatever is asked
    return call


Anybody = Annotated[Call, Depends(_arrived)]
Arrived = Annotated[Call, Depends(_authenticated)]


def _token(request: Request, state: State) -> Token | None:
    """The token that a request names, by Bearer, Token, Basic or a session's cookie.

    Raises: RefusedError: it is unknown, revoked or expired (all the same to the server), or a
        session's request that writes lacks the CSRF token.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        return _by_password(value, state)
    if scheme in ("Bearer", "Token"):
        return _valid(value, state)
    session = request.cookies.get("sessionid")
    if session is None:
        return None
    if request.method not in _READING and request.headers.get("X-CSRFToken") is None:
        raise RefusedError(403, {"detail": "CSRF WorkFailedError: CSRF token missing."})
    return _valid(session, state)


def _valid(value: str, state: State) -> Token:
    for token in state.tokens.values():
        if token.value == value and (token.expires_at is None or token.expires_at > state.now()):
            token.last_used_at = state.now()
            return token
    raise RefusedError(401, {"detail": "Invalid token."})


def _by_password(value: str, state: State) -> Token:
    try:
        name, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, password = "", ""
    for user in state.users.values():
        if (user.username, user.password) == (name, password):
            return Token(0, "", "", user, state.now(), is_session=True)
    raise RefusedError(401, {"detail": "Invalid username/password."})
