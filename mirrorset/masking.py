"""Secrets stay out of what is written: logs, messages, tracebacks and notes pass `masked`.

Known are the credentials in this process's environment, those of the settings it has read and of
DVC's private configuration; by their form, passwords within addresses and what a header or a query
says of authorisation.
"""

import base64
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, unquote

MASK = "***"

# What is shorter may be an ordinary word, whose masking says more than it hides.
_SHORTEST = 6
_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH_STRING|API_?KEY|ACCESS_KEY")
_IN_ADDRESS = re.compile(r"(?<=://)([^\s/:@\"']*):([^\s/\"'<>]+)@(?=[^\s@])")
# Who needs no password there gives a token in place of a user.
_TOKEN_IN_ADDRESS = re.compile(r"(?i)(https?://)[^\s/?#:@\"'*]+@(?=[^\s@])")
_IN_HEADER = re.compile(
    r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:token|bearer|basic)\s+)[^\s'\",]+"
)
_IN_QUERY = re.compile(
    r"(?i)\b((?:api_key|access_token|client_secret|token|secret|password|x-amz-[a-z-]+)=)"
    r"[^\s&'\">]+"
)

_told: set[str] = set()


def hide(*secrets: str) -> None:
    """From now on, `masked` knows these of this process's settings."""
    for secret in secrets:
        _told.update(_forms(secret))


def hide_password_of(address: str) -> None:
    """`hide` the password in an address, if one is there."""
    _told.update(_of_address(address))


def holds_password(text: str) -> bool:
    """Whether an address in the text holds a password."""
    return _IN_ADDRESS.search(text) is not None


def without_user(address: str) -> str:
    """An address without whom it is asked as.

    >>> without_user("http://admin:hunter2@prefect:4200/api")
    'http://prefect:4200/api'
    """
    return _TOKEN_IN_ADDRESS.sub(r"\1", _IN_ADDRESS.sub("", address))


def masked(text: str) -> str:
    """`text` without secrets, *** in their place.

    >>> masked("postgresql://mirrorset:hunter2@db/faces")
    'postgresql://mirrorset:***@db/faces'
    """
    # A secret that holds another one goes first.
    known = {*_told, *_of_environment(tuple(os.environ.items()))}
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _IN_ADDRESS.sub(rf"\1:{MASK}@", text)
    text = _TOKEN_IN_ADDRESS.sub(rf"\1{MASK}@", text)
    text = _IN_HEADER.sub(rf"\1{MASK}", text)
    return _IN_QUERY.sub(rf"\1{MASK}", text)


def mask_error(error: BaseException) -> None:
    """Take the secrets out of an error's words and of those that led to it, where they lie.

    For what others write of it: an engine keeps errors and tracebacks in its own database.
    """
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(map(_clean, one.args))
        if hasattr(one, "__notes__"):
            one.__notes__ = [masked(note) for note in one.__notes__]
        todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def _clean(arg: object) -> object:
    said = str(arg)
    return arg if masked(said) == said else masked(said)


@lru_cache(maxsize=4)
def _of_environment(environment: tuple[tuple[str, str], ...]) -> frozenset[str]:
    found: set[str] = set()
    for name, value in environment:
        found.update(_of_address(value))
        if _NAMES.search(name.upper()):
            found.update(_forms(value))
            user, colon, password = value.partition(":")
            if colon and "AUTH_STRING" in name.upper():
                found.update(_of_pair(user, password))
    return frozenset(found)


def _of_address(address: str) -> Iterator[str]:
    for found in _IN_ADDRESS.finditer(address):
        yield from _of_pair(unquote(found[1]), found[2])


def _of_pair(user: str, password: str) -> Iterator[str]:
    """The password, and both as HTTP's basic authorisation writes them."""
    yield from _forms(password)
    if len(password) >= _SHORTEST:
        yield base64.b64encode(f"{user}:{unquote(password)}".encode()).decode()


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as addresses write it."""
    for one in (secret, unquote(secret), quote(secret, safe="")):
        if len(one) >= _SHORTEST:
            yield one
