"""How templates become self-contained pages: all text is escaped, nothing but our own runs."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mirrorset.markup import straight
from reports.comparisons import number, percent
from reports.slices import count_words

_TEMPLATES = Path(__file__).with_name("templates")
_INLINE = {"style": "page.css", "script": "page.js"}


def filled(template: str, page: Any) -> str:
    """The template with `page`, and with style and script for it to stand inside.

    The page's content security policy admits these two by their hash and nothing else.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_straight,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "count_words": count_words}
    inline: dict[str, str] = {}
    for name, file in _INLINE.items():
        text = (_TEMPLATES / file).read_text(encoding="utf-8")
        inline[name] = Markup(text)  # noqa: S704 - ours, not data
        inline[f"{name}_hash"] = _policy_hash(text)
    return environment.get_template(template).render(page=page, **inline)


def _straight(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return straight(value) if is_text else value


def _policy_hash(text: str) -> str:
    """The text's hash as a content security policy writes it (W3C CSP Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
