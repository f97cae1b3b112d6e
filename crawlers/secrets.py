"""Keeps credentials that travel in addresses out of logs and messages."""

import logging
import re

_USER = re.compile(r"//[^/?#\s@]+@")
_SECRET = re.compile(r"\b(api_key|access_token|client_secret|token)=[^&\s>\"']+", re.IGNORECASE)


def masked(text: str) -> str:
    """`text` with the values of secret parameters, and users before hosts, left out.

    >>> masked("GET https://example.org/?api_key=abc&page=2")
    'GET https://example.org/?api_key=…&page=2'
    """
    return _USER.sub("//…@", _SECRET.sub(r"\1=…", text))


class MaskedFormatter(logging.Formatter):
    """Formats as its base does, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, masked."""
        return masked(super().format(record))
