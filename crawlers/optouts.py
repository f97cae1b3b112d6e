"""What a host, a page or a picture says against being used: robots.txt, TDM reservation, noai.

Pure functions of what was received. Doubt excludes: a robots.txt that cannot be had closes the
host, one reserving place is enough, and what cannot be read never opens what would be closed.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from crawlers.items import Refusal
from crawlers.robots import Pattern, Robots, path_of
from crawlers.uses import is_reserving, refused_use, robots_tag
from mirrorset.records import Reason, utc_now

if TYPE_CHECKING:
    from scrapy.http import Headers

# Status and body of an answer; redirects are followed before, five at most (RFC 9309, 2.3.1.2).
Answer = tuple[int, bytes]

_ROBOTS_NAMES = ("robots", "x-robots-tag")
_USE_NAMES = ("content-signal", "content-signals", "content-usage")


@dataclass(frozen=True)
class Reservation:
    """One rule of a tdmrep.json: whether the paths of a pattern are reserved."""

    pattern: Pattern
    is_reserved: bool


@dataclass(frozen=True)
class HostRules:
    """What one host (scheme, name and port) allows.

    robots: None where the host is closed to us. robots_sha256: "" where it has no robots.txt.
    reservations: the rules of `/.well-known/tdmrep.json`, in its order. ai_txt: the rules of
    `/ai.txt`. evidence: for receipts, what was read: a file's name → its sha256, or the status
    where there was no file.
    """

    robots: Robots | None
    robots_sha256: str
    reservations: tuple[Reservation, ...] = ()
    ai_txt: Robots | None = None
    evidence: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, robots: Answer, tdmrep: Answer | None = None, ai_txt: Answer | None = None
    ) -> Self:
        """The rules that a host's answers spell; None for what was not asked for."""
        answers = {"robots.txt": robots, "tdmrep.json": tdmrep, "ai.txt": ai_txt}
        rules, robots_sha256 = read_robots(*robots)
        is_told = all(_is_told(*answer) for answer in (tdmrep, ai_txt) if answer)
        return cls(
            robots=rules if is_told else None,
            robots_sha256=robots_sha256,
            reservations=read_tdmrep(*tdmrep) if tdmrep else (),
            ai_txt=read_ai_txt(*ai_txt) if ai_txt else None,
            evidence={name: _seen(*answer) for name, answer in answers.items() if answer},
        )

    def refusal(self, url: str, agent: str) -> Refusal | None:
        """Why `url` may not be asked for by `agent` (a product token), or None."""
        path = path_of(url)
        if self.robots is None:
            return Refusal(
                reason=Reason.ROBOTS,
                detail=f"The robots.txt of {_host(url)} or a file like it could not be read, "
                "so the host is left alone.",
                is_retryable=True,
            )
        if not self.robots.allows(path, agent):
            return Refusal(
                reason=Reason.ROBOTS, detail=f"The robots.txt of {_host(url)} disallows it."
            )
        if use := self.robots.refused_use(path, agent):
            return _refused_use(f"The robots.txt of {_host(url)}", use)
        if self.ai_txt and not _allows_media(self.ai_txt, path, agent):
            return Refusal(
                reason=Reason.OPT_OUT_NOAI, detail=f"The ai.txt of {_host(url)} disallows it."
            )
        if _is_reserved(self.reservations, path):
            return Refusal(
                reason=Reason.OPT_OUT_TDM,
                detail=f"The tdmrep.json of {_host(url)} reserves text and data mining.",
            )
        return None

    def crawl_delay_s(self, agent: str) -> float:
        """Seconds that robots.txt asks to leave between two requests."""
        return self.robots.delay_s(agent) if self.robots else 0.0


def _is_told(status: int, _body: bytes) -> bool:
    """Whether an answer tells what a host says, or that it says nothing: no server in trouble."""
    return status < 500 and status != 429


def read_robots(status: int, body: bytes) -> tuple[Robots | None, str]:
    """The rules and the sha256 of a robots.txt answer (RFC 9309, 2.3.1).

    No such file (4xx, or redirects that led nowhere) allows everything; a server in trouble (5xx,
    429, no answer) closes the host: None.
    """
    if 200 <= status < 300:
        return Robots(body), hashlib.sha256(body).hexdigest()
    if 300 <= status < 500 and status != 429:
        return Robots(b""), ""
    return None, ""


def read_ai_txt(status: int, body: bytes) -> Robots | None:
    """The rules of an `/ai.txt` answer, in Spawning's format: robots.txt by media suffix.

    Anything but a file says nothing; neither does a page, or an ai.txt of another format.
    """
    return Robots(body) if 200 <= status < 300 else None


def read_tdmrep(status: int, body: bytes) -> tuple[Reservation, ...]:
    """The rules of a `/.well-known/tdmrep.json` answer (TDMRep, W3C group report of 2024).

    A lone object is read as a list of one. Anything but a well-formed answer reserves nothing.
    """
    if not 200 <= status < 300:
        return ()
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    rules = read if isinstance(read, list) else [read]
    return tuple(
        Reservation(
            pattern=Pattern.read(_location(str(rule.get("location") or "/"))),
            is_reserved=is_reserving(rule["tdm-reservation"]),
        )
        for rule in rules
        if isinstance(rule, dict) and "tdm-reservation" in rule
    )


def header_refusal(headers: "Headers", agent: str, now: datetime | None = None) -> Refusal | None:
    """Why response headers forbid the use of what they come with at `now`, or None."""
    for name in ("X-Robots-Tag", "tdm-reservation", *_USE_NAMES):
        values = [value.decode("latin-1") for value in headers.getlist(name)]
        if refusal := _refusal(name, values, f"The {name} header", agent, now):
            return refusal
    return None


def meta_refusal(
    metas: Iterable[tuple[str, str]], agent: str, now: datetime | None = None
) -> Refusal | None:
    """Why a page's <meta> tags, as (name or http-equiv, content), forbid the use, or None."""
    for name, content in metas:
        lowered = name.strip().lower()
        if refusal := _refusal(lowered, [content], f"The page's meta {lowered}", agent, now):
            return refusal
    return None


def _refusal(
    name: str, values: list[str], place: str, agent: str, now: datetime | None
) -> Refusal | None:
    """Why values of a header or meta tag forbid the use; other names than the known say nothing."""
    lowered = name.lower()
    if not values:
        return None
    if lowered in (*_ROBOTS_NAMES, agent.lower()):
        if word := robots_tag(values, agent, now or utc_now()):
            return Refusal(reason=Reason.OPT_OUT_NOAI, detail=f"{place} says {word}.")
    elif lowered in _USE_NAMES:
        if use := refused_use(values):
            return _refused_use(place, use)
    elif lowered == "tdm-reservation" and any(map(is_reserving, values)):
        return Refusal(reason=Reason.OPT_OUT_TDM, detail=f"{place} reserves text and data mining.")
    return None


def _refused_use(place: str, use: str) -> Refusal:
    reason = Reason.OPT_OUT_TDM if use == "tdm" else Reason.OPT_OUT_NOAI
    return Refusal(reason=reason, detail=f"{place} denies the use {use}.")


def _allows_media(ai_txt: Robots, path: str, agent: str) -> bool:
    """Whether ai.txt allows a path; "*.jpg" stands for a kind of file, so for ".JPG" too."""
    return ai_txt.allows(path, agent) and ai_txt.allows(path.lower(), agent)


def _is_reserved(reservations: tuple[Reservation, ...], path: str) -> bool:
    """Whether a path is reserved.

    TDMRep has the most specific match count, and calls the first in sequence the most specific.
    Where the first and the longest differ, one that reserves is enough.
    """
    matching = [rule for rule in reservations if rule.pattern.covers(path)]
    if not matching:
        return False
    longest = max(matching, key=lambda rule: rule.pattern.octets)
    return matching[0].is_reserved or longest.is_reserved


def _location(text: str) -> str:
    """A location as a pattern: without the host that some write, and from the root on."""
    path = re.sub(r"^https?://[^/]*", "", text.strip())
    return path if path.startswith(("/", "*")) else f"/{path}"


def _seen(status: int, body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if 200 <= status < 300 else str(status)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return url
