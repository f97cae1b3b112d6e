"""Words by which a host, a page or an owner says what may be done with what is shown.

Text in, the refusing word out ("" for none). What each vocabulary says is decided here alone.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# "noindex" and "none" count: a picture that may not be found by search may not be in a dataset.
_REFUSING = frozenset(
    {"noai", "noimageai", "noml", "noindex", "noimageindex", "none", "unavailable_after"}
)

# Uses that a dataset makes of a picture, or lets others make: training; the input of models, as
# pre-labelling gives pictures to models before any training; search, as with "noindex". Labels:
# Content Signals (contentsignals.org, 2025): search, ai-input, ai-train. IETF aipref vocabulary:
# train-ai, ai-use, search (draft-ietf-aipref-vocab-08, 2026), and bots, tdm, ai, genai and
# train-genai of its earlier drafts, which are still served.
_USES = frozenset(
    {"ai-train", "ai-input", "search", "train-ai", "ai-use"}
    | {"bots", "tdm", "ai", "genai", "train-genai"}
)
_USE = re.compile(r"([a-z][a-z0-9_.\-]*)\s*=\s*\"?([\w\-?]+)", re.IGNORECASE)
_YES = frozenset({"yes", "y", "true", "1", "?1", "allow"})

_ZONE = r"(?:\s*(?:utc?|gmt|z\b|[ecmp][sd]t|[+\-]\d{2}:?\d{2}))?"
_CLOCK = r"(?:[t\s]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?" + _ZONE + ")?"
_DATE = (
    r"\d{4}-\d{2}-\d{2}" + _CLOCK + r"|(?:[a-z]{3,9},?\s+)?\d{1,2}[\s\-][a-z]{3,9}[\s\-]\d{2,4}"
    r"(?!\d)" + _CLOCK
)
_UNAVAILABLE_AFTER = re.compile(rf"\bunavailable_after\s*:\s*({_DATE}|[^\s,;]*)")
_VALUED = re.compile(r"\bmax-[\w\-]+\s*:\s*[^\s,;]*")
# "otherbot:" opens the directives for one agent. Commas, semicolons and blanks all separate.
_AGENT_OR_DIRECTIVE = re.compile(r"([^\s,;:]+)\s*:|([^\s,;:]+)")

# Tags of owners, without regard to case, blanks and punctuation: no_cv is the one that the
# makers of FFHQ ask Flickr's users to set (github.com/NVlabs/ffhq-dataset); the others are the
# words of pages and headers, which owners set as tags too.
_TAGS = frozenset(
    {"nocv", "noai", "noimageai", "noml", "notdm", "nomachinelearning", "nocomputervision"}
    | {"noaitraining", "notraining", "donottrain", "nofacerecognition", "nofacialrecognition"}
)
# Machine tags, "namespace:predicate=value": "ai:training=no", "tdm:reservation=1".
# "ai:generated=no" is another matter, so the predicate is one of a use.
_MACHINE_TAG = re.compile(
    r"(?:ai|ml|cv|dataset):(?:train|training|use|usage|learning|dataset|mining)=(\w+)"
)
_TDM_TAG = re.compile(r"tdm:reservation=(\w+)")
_NO = frozenset({"no", "n", "false", "0", "none", "deny", "denied", "never", "off"})


def robots_tag(values: Iterable[str], agent: str, now: datetime) -> str:
    """The first refusing directive of X-Robots-Tag values that concerns `agent`, or "".

    "unavailable_after" refuses from its date on, and where the date cannot be read; a date
    without a zone is UTC. Unknown directives say nothing.

    >>> late = datetime(2026, 1, 1, tzinfo=UTC)
    >>> robots_tag(["otherbot: noai, nofollow", "max-snippet: 3, noimageai"], "mirrorset", late)
    'noimageai'
    """
    for value in values:
        is_ours = True
        dated = _UNAVAILABLE_AFTER.sub(lambda match: _after(match[1], now), value.lower())
        for named, directive in _AGENT_OR_DIRECTIVE.findall(_VALUED.sub("", dated)):
            if named and named not in _REFUSING:
                is_ours = named.partition("/")[0] in ("*", agent.lower())
            elif is_ours and (word := named or directive) in _REFUSING:
                return str(word)
    return ""


def stated_uses(text: str) -> list[tuple[str, bool]]:
    """Uses named in the value of Content-Signal or Content-Usage, and whether each is allowed.

    Whatever is not a yes is a no. Uses that a dataset does not make are left out.

    >>> stated_uses("search=yes, ai-train=no, use=reference")
    [('search', True), ('ai-train', False)]
    """
    stated = [(label.lower(), value.lower() in _YES) for label, value in _USE.findall(text)]
    return [(label, is_allowed) for label, is_allowed in stated if label in _USES]


def refused_use(values: Iterable[str]) -> str:
    """The first use that Content-Signal or Content-Usage values deny, or ""."""
    uses = (use for value in values for use in stated_uses(value))
    return next((label for label, is_allowed in uses if not is_allowed), "")


def is_reserving(value: object) -> bool:
    """Whether a `tdm-reservation` reserves: 1, or anything that is neither 0 nor missing.

    TDMRep calls other values errors; an early draft had 2 for "reserved, with a policy".
    """
    return value is not None and str(value).strip().lower() not in ("", "0", "0.0", "false")


def opt_out_tag(tags: Iterable[str]) -> str:
    """The first tag by which an owner keeps a picture out of datasets, as it was written, or "".

    >>> opt_out_tag(["portrait", "No CV"])
    'No CV'
    """
    return next((tag for tag in tags if _opts_out(tag.casefold())), "")


def _opts_out(tag: str) -> bool:
    if "".join(filter(str.isalnum, tag)) in _TAGS:
        return True
    bare = re.sub(r"[\s_\"'\-]", "", tag)
    if reservation := _TDM_TAG.fullmatch(bare):
        return is_reserving(reservation[1])
    use = _MACHINE_TAG.fullmatch(bare)
    return use is not None and use[1] in _NO


def _after(date: str, now: datetime) -> str:
    """ "unavailable_after" where it is past `date` or nobody can tell, else nothing."""
    try:
        moment = _moment(date.strip())
    except (ValueError, TypeError, OverflowError):
        return " unavailable_after "
    return " unavailable_after " if moment <= now else " "


def _moment(date: str) -> datetime:
    """A date of RFC 822, RFC 850 or ISO 8601, as Google's documentation of robots tags lists."""
    try:
        moment = datetime.fromisoformat(re.sub(r"\s*(?:UTC?|GMT|Z)$", "+00:00", date.upper()))
    except ValueError:
        moment = parsedate_to_datetime(date)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
