"""robots.txt and files like it, read as RFC 9309 and Google's own matcher read them.

Bytes in, verdicts out; nothing here raises, whatever the bytes are. Beyond the RFC: Crawl-delay
and Request-rate, and the lines that say what may be done with what is fetched (Content-Signal,
Content-Usage, DisallowAITraining).
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote

from crawlers.uses import stated_uses

# RFC 9309, 2.5: at least 500 KiB are parsed. Google's crawler stops there too.
MAX_BYTES = 500 * 1024

# The misspellings that Google's parser takes for Disallow, and a colon that may be missing.
_RECORD = re.compile(
    rb"(user[ -]?agent|allow|disallow|dissallow|dissalow|disalow|diasllow|disallaw"
    rb"|crawl[ -]delay|request[ -]rate|content-signals?|content-usage|(?:dis)?allowaitraining)"
    rb"\s*[:\s]\s*(.*)",
    re.IGNORECASE,
)
_URL = re.compile(r"(?:[a-z][a-z0-9+.\-]*:)?(?://[^/?#]*)?([^#]*)", re.IGNORECASE)
_ESCAPE = re.compile("%[0-9a-f]{2}", re.IGNORECASE)
_SCOPED = re.compile(rb"([/*]\S*)(.*)")
_NORMAL = re.compile(r"[\w.~/=&?,:;@!+()\-]*", re.ASCII).fullmatch
# RFC 3986: reserved characters, and "%" for escapes that stand already. In an address "*" and
# "$" are characters like others and written as escapes; in a pattern they are signs.
_KEPT = "%/?:@!&'()+,;=[]~"
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:e\+?\d+)?", re.ASCII | re.IGNORECASE)
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})\s*([smhd]?)", re.ASCII | re.IGNORECASE)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def path_of(url: str) -> str:
    """Path and query of an address in the form that patterns are compared with (RFC 9309, 2.2.2).

    >>> path_of("https://example.org/a b/%7Eada/%e4?x=*#top")
    '/a%20b/~ada/%E4?x=%2A'
    """
    matched = _URL.match(url)
    path = matched[1] if matched else ""
    return _normal(path if path.startswith("/") else f"/{path}", _KEPT)


@dataclass(frozen=True)
class Pattern:
    """A path pattern: `*` stands for anything, a final `$` for the end of the address.

    pieces: what stands between the `*`. octets: the length that the longest match goes by.
    """

    pieces: tuple[str, ...]
    is_anchored: bool
    octets: int

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """The pattern that `text` spells."""
        is_anchored = text[-1:] in ("$", b"$")
        body = _normal(text[:-1] if is_anchored else text, f"{_KEPT}*")
        return cls(tuple(body.split("*")), is_anchored, len(body) + is_anchored)

    def covers(self, path: str) -> bool:
        """Whether it matches a path of `path_of`. Time is linear in the path for each piece."""
        first, *rest = self.pieces
        if not path.startswith(first):
            return False
        if not rest:
            return not self.is_anchored or len(path) == len(first)
        at = len(first)
        for piece in rest[:-1]:
            found = path.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        if self.is_anchored:
            return len(path) - len(rest[-1]) >= at and path.endswith(rest[-1])
        return path.find(rest[-1], at) >= 0


@dataclass(frozen=True)
class _Rule:
    pattern: Pattern
    is_allowed: bool
    rank: tuple[int, bool]


class _Rules:
    """Rules of which the longest that matches decides; at equal length the `winner` does.

    Looked up by what stands before the first `*`, so that a file of thousands costs microseconds.
    """

    def __init__(self, rules: Iterable[tuple[bytes, bool]], winner: bool) -> None:
        self._by_head: dict[str, list[_Rule]] = defaultdict(list)
        for text, is_allowed in dict.fromkeys(rules):
            pattern = Pattern.read(text)
            rank = (pattern.octets, is_allowed is winner)
            self._by_head[pattern.pieces[0]].append(_Rule(pattern, is_allowed, rank))
        self._lengths = sorted({len(head) for head in self._by_head})

    def allow(self, path: str) -> bool:
        """What the deciding rule says; True where none matches."""
        verdict, rank = True, (0, False)
        for length in self._lengths:
            for rule in self._by_head.get(path[:length], ()):
                if rule.rank > rank and rule.pattern.covers(path):
                    verdict, rank = rule.is_allowed, rule.rank
        return verdict


@dataclass
class _Group:
    """User-agent lines and the lines that follow them."""

    agents: set[str] = field(default_factory=set)
    has_rules: bool = False
    access: list[tuple[bytes, bool]] = field(default_factory=list)
    uses: list[tuple[str, bytes, bool]] = field(default_factory=list)
    delay_s: float = 0.0


@dataclass(frozen=True)
class _Agent:
    """All that a file says to one agent."""

    access: _Rules
    uses: dict[str, _Rules]
    delay_s: float


class Robots:
    """One robots.txt or ai.txt.

    Agents are product tokens ("mirrorset"), compared without regard to case. The groups that
    name an agent count for it together, and those of "*" only where no group names it.
    """

    def __init__(self, body: bytes) -> None:
        self._groups = _read_groups(body)
        self._agents: dict[str, _Agent] = {}

    def allows(self, path: str, agent: str) -> bool:
        """Whether `agent` may fetch a path of `path_of` (RFC 9309, 2.2.2)."""
        return path == "/robots.txt" or self._said_to(agent).access.allow(path)

    def refused_use(self, path: str, agent: str) -> str:
        """The first use that is denied for a path of `path_of`, as its label, or ""."""
        uses = self._said_to(agent).uses.items()
        return next((label for label, rules in uses if not rules.allow(path)), "")

    def delay_s(self, agent: str) -> float:
        """Seconds asked for between two requests: the longest Crawl-delay or Request-rate."""
        return self._said_to(agent).delay_s

    def _said_to(self, agent: str) -> _Agent:
        if agent not in self._agents:
            token = agent.lower()
            groups = [group for group in self._groups if token in group.agents]
            groups = groups or [group for group in self._groups if "*" in group.agents]
            uses: dict[str, list[tuple[bytes, bool]]] = defaultdict(list)
            for group in groups:
                for label, pattern, is_allowed in group.uses:
                    uses[label].append((pattern, is_allowed))
            self._agents[agent] = _Agent(
                access=_Rules((rule for group in groups for rule in group.access), winner=True),
                uses={label: _Rules(rules, winner=False) for label, rules in uses.items()},
                delay_s=max((group.delay_s for group in groups), default=0.0),
            )
        return self._agents[agent]


def _read_groups(body: bytes) -> list[_Group]:
    # Uses stated before any User-agent line are stated to "*"; rules there say nothing (RFC 9309).
    group = _Group(agents={"*"})
    orphan = group
    groups = [group]
    for line in re.split(rb"\r\n?|\n", _capped(body)):
        record = _RECORD.match(line.partition(b"#")[0].strip())
        if record is None:
            continue
        key, value = record[1].lower(), record[2]
        if key.startswith(b"user"):
            if group.has_rules or group is orphan:
                group = _Group()
                groups.append(group)
            group.agents.add(_product_token(value))
        elif key.startswith(b"crawl"):
            # Other records do not part groups (RFC 9309, 2.2.4), so neither do the two delays.
            group.delay_s = max(group.delay_s, _crawl_delay_s(value.decode("latin-1")))
        elif key.startswith(b"request"):
            group.delay_s = max(group.delay_s, _request_rate_s(value.decode("latin-1")))
        else:
            group.has_rules = True
            _add_rule(group, key, value, is_orphan=group is orphan)
    return groups


def _add_rule(group: _Group, key: bytes, value: bytes, is_orphan: bool) -> None:
    if key.startswith(b"content"):
        # "Content-Usage: /path train-ai=n" (draft-ietf-aipref-attach); the path may be missing.
        scoped = _SCOPED.fullmatch(value)
        pattern, text = scoped.groups() if scoped else (b"/", value)
        uses = stated_uses(text.decode("latin-1"))
        group.uses += [(label, pattern, is_allowed) for label, is_allowed in uses]
    elif key.endswith(b"aitraining"):
        # draft-canel-robots-ai-control
        if value:
            group.uses.append(("ai-train", value, key.startswith(b"allow")))
    elif value and not is_orphan:
        group.access.append((value, key == b"allow"))
        # As Google does: who allows /index.html allows the folder.
        folder, slash, page = value.rpartition(b"/")
        if key == b"allow" and slash and page.startswith(b"index.htm"):
            group.access.append((folder + b"/$", True))


def _capped(body: bytes) -> bytes:
    """The first 500 KiB in whole lines, without byte order mark and NULs (UTF-16 has many)."""
    if len(body) > MAX_BYTES:
        whole = max(body.rfind(b"\n", 0, MAX_BYTES), body.rfind(b"\r", 0, MAX_BYTES))
        body = body[: whole if whole >= 0 else MAX_BYTES]
    return body.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff")


def _product_token(value: bytes) -> str:
    """ "*", or the name before version and comments: "mirrorset" of "MirrorSet/1.0 (x)"."""
    if value[:1] == b"*" and not value[1:2].strip():
        return "*"
    token = re.match(rb"[A-Za-z_\-]*", value)
    return token[0].decode("ascii").lower() if token else ""


def _crawl_delay_s(value: str) -> float:
    number = _NUMBER.match(value)
    return float(number[0]) if number else 0.0


def _request_rate_s(value: str) -> float:
    """Seconds a request of "requests/seconds"; the hours that may follow are left aside."""
    rate = _RATE.match(value)
    if rate is None or not int(rate[1]):
        return 0.0
    return int(rate[2]) * _UNIT_S[rate[3].lower()] / int(rate[1])


def _normal(text: str | bytes, kept: str) -> str:
    """Escaped where RFC 3986 asks for it, and nowhere else; escapes in upper case."""
    if isinstance(text, str):
        if _NORMAL(text):
            return text
        text = text.encode("utf-8", "replace")
    return _ESCAPE.sub(lambda match: _unescaped(match[0].upper()), quote(text, safe=kept))


def _unescaped(escape: str) -> str:
    character = unquote(escape, "latin-1")
    return character if character in _UNRESERVED else escape
