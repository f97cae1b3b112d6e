"""Text from outside, as it may be kept: files and databases hold neither surrogates nor NULs."""

import json
import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def clean(text: str) -> str:
    r"""`text` without lone surrogates and NULs.

    >>> clean("A\ud800d\0a")
    'Ada'
    """
    return _UNSTORABLE.sub("", text)


def read_json(text: str | bytes) -> Any:
    """The JSON value, all its text clean. Raises ValueError or RecursionError where it is none."""
    return _cleaned(json.loads(text, strict=False))


def _cleaned(node: Any) -> Any:
    if isinstance(node, str):
        return clean(node)
    if isinstance(node, list):
        return [_cleaned(value) for value in node]
    if isinstance(node, dict):
        return {clean(key): _cleaned(value) for key, value in node.items()}
    return node
