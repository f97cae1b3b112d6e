"""Secrets stay out of what is written: logs, messages, tracebacks and notes pass `masked`.

Known are the credentials in this process's environment and those of the settings it has read; by
their form, passwords within addresses and what a header or a query says of authorisation.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

MASK = "***"

# What is shorter may be an ordinary word, whose masking says more than it hides.
_SHORTEST = 6
_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH_STRING|API_?KEY|ACCESS_KEY")
_IN_ADDRESS = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@(?=[^\s@])")
_IN_HEADER = re.compile(
    r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:token|bearer|basic)\s+)[^\s'\",]+"
)
_IN_QUERY = re.compile(
    r"(?i)([?&](?:api_key|access_token|token|secret|password|x-amz-[a-z-]+)=)[^\s&'\"]+"
)

_told: set[str] = set()


def hide(*secrets: str) -> None:
    """From now on, `masked` knows these of this process's settings."""
    for secret in secrets:
        _told.update(one for one in (secret, unquote(secret)) if len(one) >= _SHORTEST)


def hide_password_of(address: str) -> None:
    """`hide` the password in an address, if one is there."""
    if found := _IN_ADDRESS.search(address):
        hide(found[2])


def masked(text: str) -> str:
    """`text` without secrets, *** in their place.

    >>> masked("postgresql://mirrorset:hunter2@db/faces")
    'postgresql://mirrorset:***@db/faces'
    """
    # A secret that holds another one goes first.
    for secret in sorted({*_told, *_of_environment()}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _IN_ADDRESS.sub(rf"\1:{MASK}@", text)
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
        one.args = tuple(masked(arg) if isinstance(arg, str) else arg for arg in one.args)
        todo += [one.__cause__, one.__context__]


def _of_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _NAMES.search(name.upper()):
            yield value
