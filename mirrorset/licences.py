"""Licences as they occur in the wild, normalised; and what each allows.

A statement is understood as a whole or not at all: whatever stands beside the name or the address
of a licence may take back what the licence gives. Unknown text is never guessed: `normalise`
returns None, and the item is rejected.
"""

import re

from mirrorset.records import IntendedUse, Licence, Reason

CC0 = Licence(code="CC0", version="1.0", url="https://creativecommons.org/publicdomain/zero/1.0/")
PUBLIC_DOMAIN = Licence(code="PD", url="https://creativecommons.org/publicdomain/mark/1.0/")


def _whole(pattern: str) -> re.Pattern[str]:
    # ASCII: other scripts' digits and letters that fold to ours (ſ) are not what licences use.
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


_VERSION = r"(?P<version>1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)"
# The jurisdictions that versions before 4.0 were ported to. A closed list: "nc" is no country here.
_PORT = (
    "(?P<port>ar|at|au|az|be|bg|br|ca|ch|cl|cn|co|cr|cz|de|dk|ec|ee|eg|es|fi|fr|ge|gr|gt|hk|hr|hu"
    "|ie|igo|il|in|it|jp|kr|lu|mk|mt|mx|my|nl|no|nz|pe|ph|pl|pr|pt|ro|rs|scotland|se|sg|si|th|tw"
    "|ua|ug|uk|us|ve|vn|za)"
)
_TERMS = r"(?P<terms>by(?:[ _-]+(?:nc|sa|nd))*)"
_LONG_TERMS = (
    r"attribution(?P<long_terms>(?:[ -]*(?:non[ -]?commercial|share[ -]?alike"
    r"|no[ -]?deriv(?:ative)?s?(?:[ -]works)?))*)"
)
_NAME_END = r"(?: international| unported| generic)?(?: public)?(?: licen[cs]e)?"

_HOST = r"(?:https?://)?(?:www\.)?creativecommons\.org"
_PAGE = r"/?(?:(?<=/)(?:deed|legalcode)(?:\.[a-z]{2,3}(?:[_-][a-z]{2,4})?)?)?(?:\?ref=chooser-v1)?"

_CREATIVE_COMMONS = (
    # "https://creativecommons.org/licenses/by-sa/3.0/de/deed.en"
    _whole(rf"{_HOST}/licenses/{_TERMS}/{_VERSION}(?:/{_PORT})?{_PAGE}"),
    # "CC BY-NC-SA 2.0", "cc-by-sa-3.0-de", "Creative Commons BY-NC-SA 2.0 license"
    _whole(rf"(?:cc|creative commons)[ _-]*{_TERMS}[ _-]+{_VERSION}(?:[ _-]+{_PORT})?{_NAME_END}"),
    # "Creative Commons Attribution-Share Alike 4.0 International"
    _whole(
        rf"(?:cc|creative commons)[ -]+{_LONG_TERMS}[ -]+{_VERSION}(?:[ -]+{_PORT})?{_NAME_END}"
    ),
)
_CC0 = _whole(
    rf"{_HOST}/publicdomain/zero/1\.0{_PAGE}"
    r"|(?:cc[ -]?|creative commons (?:cc[ -]?)?)(?:0|zero)(?:[ -]v?1\.0)?(?: universal)?"
    r"(?:,? public domain dedication)?(?: licen[cs]e)?"
)
# Of the names of Commons' templates only those that rest on the author's own release, a term after
# death or US federal authorship; not PD-Art and its like, whose photographs may be protected.
_PUBLIC_DOMAIN = _whole(
    rf"{_HOST}/publicdomain/mark/1\.0{_PAGE}"
    r"|pd|pdm(?: 1\.0)?|public[ -]domain(?: mark)?(?: 1\.0)?"
    r"|this (?:work|image|file) is in the public domain"
    r"|pd[ -](?:self|old(?:-(?:70|80|100))?(?:-expired)?|nasa"
    r"|us[ -]?gov(?:ernment)?(?:-(?:nasa|noaa|usgs|military))?)"
)

_LEAD = _whole(
    r"(?:this (?:work|image|file|photo|photograph|picture) is )?licen[cs]ed under (?:(?:a|the) )?"
)
# "NAME (SHORT NAME)", and the notice that Creative Commons proposes.
_TWICE = _whole(
    r"(?P<first>[^()]+?)"
    r"(?: \((?P<again>[^()]+)\)|\. To view a copy of this licen[cs]e, visit (?P<address>\S+))"
)


def normalise(text: str) -> Licence | None:
    """The licence that `text` (a name, an address or a plain sentence) states, or None.

    Where a port is named ("3.0 de"), the url is the port's.

    >>> normalise("https://creativecommons.org/licenses/by-nc-sa/2.0/").code
    'CC-BY-NC-SA'
    """
    stated = " ".join(text.split()).removesuffix(".")
    if lead := _LEAD.match(stated):
        stated = stated[lead.end() :]
    if twice := _TWICE.fullmatch(stated):
        licence = _named(twice["first"])
        return licence if licence == _named(twice["again"] or twice["address"]) else None
    return _named(stated)


def refusal(licence: Licence, intended_use: IntendedUse) -> Reason | None:
    """Why the licence forbids storing the picture for this use, or None where it allows it.

    Crops and resized copies are derivatives, so NoDerivatives never passes.
    """
    terms = licence.code.split("-")
    if "ND" in terms:
        return Reason.NO_DERIVATIVES
    if "NC" in terms and intended_use == "commercial":
        return Reason.NON_COMMERCIAL
    return None


def _named(name: str) -> Licence | None:
    if _CC0.fullmatch(name):
        return CC0
    if _PUBLIC_DOMAIN.fullmatch(name):
        return PUBLIC_DOMAIN
    for pattern in _CREATIVE_COMMONS:
        if match := pattern.fullmatch(name):
            fields = match.groupdict()
            terms = fields.get("terms") or _short_terms(fields["long_terms"])
            return _creative_commons(terms, fields["version"], (fields["port"] or "").lower())
    return None


def _creative_commons(terms: str, version: str, port: str) -> Licence | None:
    words = re.split(r"[ _-]+", terms.lower())
    # One order for every spelling: BY, then NC, then SA or ND.
    kept = [word for word in ("by", "nc", "sa", "nd") if word in words]
    if ("sa" in kept and "nd" in kept) or (port and version == "4.0"):
        return None
    name = "-".join(kept)
    path = f"{name}/{version}/{port}/" if port else f"{name}/{version}/"
    return Licence(
        code=f"CC-{name.upper()}",
        version=version,
        url=f"https://creativecommons.org/licenses/{path}",
    )


def _short_terms(long_terms: str) -> str:
    lowered = long_terms.lower()
    short = "by"
    for marker, term in (("commercial", "nc"), ("alike", "sa"), ("deriv", "nd")):
        if marker in lowered:
            short += f"-{term}"
    return short
