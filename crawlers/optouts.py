"""What a host, a page or a picture says against being used: robots.txt, TDM reservation, noai.

Pure functions of what was received. Doubt excludes: a robots.txt that cannot be had closes the
host (RFC 9309, 2.3.1.4), and one reserving rule is enough.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego
from scrapy.http import Headers

from crawlers.items import Refusal
from mirrorset.records import Reason

# "noindex" and "none" count: a picture that may not be found by search may not be in a dataset.
_REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
_VALUED = re.compile(r"\b(?:unavailable_after|max-[\w\-]+)\s*:\s*[^\s,;]*", re.IGNORECASE)
# "otherbot:" opens the directives for one agent. Commas, semicolons and blanks all separate.
_AGENT_OR_DIRECTIVE = re.compile(r"([a-z*][\w*.\-]*)\s*:|([^\s,;:]+)", re.IGNORECASE)


@dataclass(frozen=True)
class HostRules:
    """What one host (scheme, name and port) allows.

    robots: None where the host is closed to us. robots_sha256: "" where it has no robots.txt.
    reserved: path patterns of `/.well-known/tdmrep.json` that reserve text and data mining.
    """

    robots: Protego | None
    robots_sha256: str
    reserved: tuple[str, ...] = ()

    def refusal(self, url: str, agent: str) -> Refusal | None:
        """Why `url` may not be asked for by `agent`, or None."""
        host = urlsplit(url).netloc
        if self.robots is None:
            return Refusal(
                reason=Reason.ROBOTS,
                detail=f"The robots.txt of {host} could not be read, so the host is left alone.",
                is_retryable=True,
            )
        if not self.robots.can_fetch(url, agent):
            return Refusal(reason=Reason.ROBOTS, detail=f"The robots.txt of {host} disallows it.")
        if any(_matches(pattern, _path(url)) for pattern in self.reserved):
            return Refusal(
                reason=Reason.OPT_OUT_TDM,
                detail=f"The tdmrep.json of {host} reserves text and data mining.",
            )
        return None

    def crawl_delay_s(self, agent: str) -> float:
        """Seconds that robots.txt asks to leave between two requests."""
        return float((self.robots and self.robots.crawl_delay(agent)) or 0)


def read_robots(status: int, body: bytes) -> tuple[Protego | None, str]:
    """The rules and the sha256 of a robots.txt answer (RFC 9309, 2.3.1).

    No such file (4xx) allows everything; a server in trouble (5xx, 429) closes the host: None.
    """
    if status == 200:
        text = body.decode("utf-8", errors="replace")
        return Protego.parse(text), hashlib.sha256(body).hexdigest()
    if 400 <= status < 500 and status != 429:
        return Protego.parse(""), ""
    return None, ""


def read_tdmrep(status: int, body: bytes) -> tuple[str, ...]:
    """Path patterns that a `/.well-known/tdmrep.json` answer reserves (TDMRep, W3C group report).

    Anything but a well-formed answer reserves nothing.
    """
    if status != 200:
        return ()
    try:
        rules = json.loads(body)
    except ValueError:
        return ()
    return tuple(
        str(rule.get("location", "/"))
        for rule in (rules if isinstance(rules, list) else [])
        if isinstance(rule, dict) and str(rule.get("tdm-reservation", "")).strip() == "1"
    )


def header_refusal(headers: Headers, agent: str) -> Refusal | None:
    """Why response headers forbid the use of what they come with, or None."""
    if word := robots_tag(_values(headers, "X-Robots-Tag"), agent):
        return Refusal(reason=Reason.OPT_OUT_NOAI, detail=f"The X-Robots-Tag header says {word}.")
    if any(value.strip() == "1" for value in _values(headers, "tdm-reservation")):
        return Refusal(
            reason=Reason.OPT_OUT_TDM,
            detail="The tdm-reservation header reserves text and data mining.",
        )
    return None


def meta_refusal(metas: Iterable[tuple[str, str]], agent: str) -> Refusal | None:
    """Why a page's <meta> tags, as (name or http-equiv, content), forbid the use, or None."""
    for name, content in metas:
        lowered = name.strip().lower()
        if lowered in ("robots", "x-robots-tag", agent) and (word := robots_tag([content], agent)):
            return Refusal(
                reason=Reason.OPT_OUT_NOAI, detail=f"The page's meta {lowered} says {word}."
            )
        if lowered == "tdm-reservation" and content.strip() == "1":
            return Refusal(
                reason=Reason.OPT_OUT_TDM, detail="The page reserves text and data mining."
            )
    return None


def robots_tag(values: Iterable[str], agent: str) -> str:
    """The first refusing directive of X-Robots-Tag values that concerns `agent`, or "".

    >>> robots_tag(["otherbot: noai, nofollow", "max-snippet: 3, noimageai"], "mirrorset")
    'noimageai'
    """
    for value in values:
        is_ours = True
        words = _VALUED.sub("", value).lower()
        for named, directive in _AGENT_OR_DIRECTIVE.findall(words):
            if named:
                is_ours = named in ("*", agent)
            elif is_ours and directive in _REFUSING:
                return str(directive)
    return ""


def _values(headers: Headers, name: str) -> list[str]:
    return [value.decode("latin-1") for value in headers.getlist(name)]


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _matches(pattern: str, path: str) -> bool:
    """Whether a robots-like pattern (`*` anything, final `$` the end) covers `path`."""
    anchored = pattern.endswith("$")
    pieces = [re.escape(piece) for piece in pattern.removesuffix("$").split("*")]
    return re.match(".*".join(pieces) + ("$" if anchored else ""), path) is not None
