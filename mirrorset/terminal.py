"""A terminal that shows words of strangers and obeys none of them: all that is printed passes here.

Secrets are masked in the same place.
"""

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from mirrorset.masking import masked

# What steers a terminal or ends a line (C0, C1, separators), changes the direction of what follows,
# or cannot be written at all (halves of characters).
_STEERS = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)


def legible(text: str) -> str:
    r"""`text` on one line and without secrets; what would steer a terminal is shown as escapes.

    >>> print(legible("Ann\n\x1b[31m\u202eeve"))
    Ann\n\x1b[31m\u202eeve
    """
    return _STEERS.sub(lambda found: _escape(found[0]), masked(text))


def echo(*lines: str, is_error: bool = False) -> None:
    """Print these lines to standard output or error."""
    _write("".join(f"{legible(line)}\n" for line in lines), is_error)


def echo_json(text: str) -> None:
    """Print a text of JSON that means the same: in JSON's own escapes, secrets apart."""
    lines = masked(text).split("\n")
    _write("".join(f"{_STEERS.sub(_json_escape, line)}\n" for line in lines), is_error=False)


class Terminal(Console):
    """Rich's console, for which no text is markup and every text is `legible`.

    Line feeds in a `Text` stay, as our own code makes these; in a `str` they do not.
    """

    def __init__(self, **kwargs: Any) -> None:
        """As `Console`'s."""
        super().__init__(markup=False, emoji=False, **kwargs)
        # A table asks several times for the same.
        self._legible = lru_cache(maxsize=10_000)(legible)

    def render_str(self, text: str, **kwargs: Any) -> Text:
        """The text as it may be shown."""
        return super().render_str(self._legible(text), **kwargs)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The parts of it, in which every text may be shown."""
        if isinstance(renderable, Text):
            shown = "\n".join(map(self._legible, renderable.plain.split("\n")))
            renderable = renderable if shown == renderable.plain else renderable.blank_copy(shown)
        return super().render(renderable, options)


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _write(text: str, is_error: bool) -> None:
    out = sys.stderr if is_error else sys.stdout
    out.write(text)
    out.flush()
