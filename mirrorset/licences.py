"""Licences as they occur in the wild, normalised; and what each allows.

A statement is understood as a whole or not at all: whatever stands beside the name or the address
of a licence may take back what the licence gives. Unknown text is never guessed: `normalise`
returns None, and the item is rejected.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from mirrorset.licence_names import (
    AFTER,
    BEFORE,
    EDITIONS,
    EDITIONS_WITHOUT_BY,
    PLACES,
    TERMS,
    UNIVERSAL,
    UNPORTED,
)
from mirrorset.licence_names import PUBLIC_DOMAIN as PUBLIC_DOMAIN_NAMES
from mirrorset.records import IntendedUse, Licence, Reason

CC0 = Licence(code="CC0", version="1.0", url="https://creativecommons.org/publicdomain/zero/1.0/")
PUBLIC_DOMAIN = Licence(code="PD", url="https://creativecommons.org/publicdomain/mark/1.0/")
#: An institution's statement, not a licence.
NO_KNOWN_COPYRIGHT = Licence(code="NKC", url="https://rightsstatements.org/vocab/NKC/1.0/")
#: The people in the picture agreed to the intended use (`Licence`).
CONSENT = Licence(code="CONSENT")

# Characters. What is longer is a text about licences.
_LONGEST = 400
# Nothing but these may stand between the words of a name, or be left out.
_SEPARATORS = str.maketrans("", "", " _-‐‑–—'’")


def _bare(name: str) -> str:
    # Not casefold(), and not NFKC: ſ is no s in a licence, and １ is no 1.
    return unicodedata.normalize("NFC", name).lower().translate(_SEPARATORS)


def _any(names: Iterable[str]) -> str:
    return "|".join(re.escape(_bare(name)) for name in names)


_SHORT = {term: term for term in ("by", "nc", "sa", "nd")}
_LONG = {
    _bare(name): term
    for language in TERMS.values()
    for term, names in language.items()
    for name in names
}
_TERM_OF = _SHORT | _LONG
_PORT_OF = (
    {"": ""}
    | {_bare(name): "" for name in UNPORTED}
    | {_bare(name): port for port, names in PLACES.items() for name in (port, *names)}
)

_VERSION = r"(?P<version>1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)"
_SHORT_TERMS, _LONG_TERMS = rf"(?:{_any(_SHORT)})+", rf"(?:{_any(_LONG)})+"
_TERM = re.compile(_any(sorted(_TERM_OF, key=len, reverse=True)))
# "ccbysa3.0de", "creativecommonsattributionsharealike4.0international"
_CREATIVE_COMMONS = re.compile(
    rf"(?:{_any(BEFORE)})?(?P<lead>cc|creativecommons|クリエイティブ・コモンズ)?"
    rf"(?:(?P<short>{_SHORT_TERMS})|(?P<long>{_LONG_TERMS})"
    rf"(?:\((?P<again>{_SHORT_TERMS}|{_LONG_TERMS})\))?)"
    rf"(?:версии)?{_VERSION}(?P<place>.*?)(?:{_any(AFTER)})?"
)
_CC0 = re.compile(
    rf"(?:cc|creativecommons(?:cc)?)(?:0|zero)(?:v?1\.0)?(?:{_any(UNIVERSAL)})?"
    rf"(?:,?publicdomaindedication)?(?:{_any(AFTER)})?|publicdomaindedication\(cc0\)"
)
# Of the names of Commons' templates only those that rest on the author's own release, a term after
# death or US federal authorship; not PD-Art and its like, whose photographs may be protected.
_PUBLIC_DOMAIN = re.compile(
    rf"(?:creativecommons)?(?:{_any(PUBLIC_DOMAIN_NAMES)})|pd|pdm(?:1\.0)?|publicdomain1\.0"
    r"|this(?:work|image|file)isinthepublicdomain|unitedstatesgovernmentwork"
    r"|pd(?:self|old(?:70|80|100)?(?:expired)?|nasa"
    r"|usgov(?:ernment)?(?:nasa|noaa|usgs|military)?)|usgov"
)
# The words of Flickr, the Library of Congress, rightsstatements.org and Wikimedia Commons.
_NO_KNOWN_COPYRIGHT = re.compile(
    r"noknowncopyright(?:restrictions)?|noknownrestrictions(?:onpublication)?"
    r"|norestrictions|nkcr?"
)

_SCHEME = re.compile(r"(?:(?:https?:)?//)?(?:www\.)?")
_PAGE = (
    r"(?:/(?:(?:deed|legalcode)(?:\.[a-z]{2,3}(?:[_-][a-z]{2,4})?)?|rdf)?)?"
    r"(?:[?&](?:ref|atype|lang|language|uselang)=[a-z0-9_.-]+)*"
)
# "creativecommons.org/licenses/by-sa/3.0/de/deed.en"
_CREATIVE_COMMONS_ADDRESS = re.compile(
    rf"creativecommons\.org/licenses/(?P<terms>(?:by|nc|sa|nd)(?:-(?:by|nc|sa|nd))*)/{_VERSION}"
    rf"(?:/(?P<port>{'|'.join(PLACES)}))?{_PAGE}"
)
_CC0_ADDRESS = re.compile(rf"creativecommons\.org/publicdomain/zero/1\.0{_PAGE}")
_PUBLIC_DOMAIN_ADDRESS = re.compile(
    rf"creativecommons\.org/(?:publicdomain/mark/1\.0|licenses/publicdomain){_PAGE}"
    r"|usa\.gov/(?:copyright\.shtml|government-copyright|government-works)/?"
)
_NO_KNOWN_COPYRIGHT_ADDRESS = re.compile(
    r"flickr\.com/commons/usage/?|rightsstatements\.org/(?:vocab|page)/nkc/1\.0/?"
)

_LEAD = re.compile(
    r"(?:this (?:work|image|file|photo|photograph|picture) is )?licen[cs]ed under (?:(?:a|the) )?"
)
# "NAME (SHORT NAME)", the title of a deed, and the notice that Creative Commons proposes.
_TWICE = re.compile(
    r"(?P<first>[^()]+?)"
    r"(?: \((?P<again>[^()]+)\)| [—–] (?P<short>cc [^()—–]+)"
    r"|\. to view a copy of this licen[cs]e, visit (?P<address>[^ ]+))"
)


def normalise(text: str) -> Licence | None:
    """The licence that `text` (a name, an address or a plain sentence) states, or None.

    Where a port is named ("3.0 de"), the url is the port's. Names are read in ten languages; one
    without "Creative Commons" before it has to end as its title does ("4.0 International").

    >>> normalise("https://creativecommons.org/licenses/by-nc-sa/2.0/").code
    'CC-BY-NC-SA'
    >>> normalise("Namensnennung – Weitergabe unter gleichen Bedingungen 3.0 Deutschland").url
    'https://creativecommons.org/licenses/by-sa/3.0/de/'
    """
    if len(text) > _LONGEST:
        return None
    if text == "consented":
        return CONSENT
    stated = " ".join(text.split()).lower().removesuffix(".")
    if lead := _LEAD.match(stated):
        stated = stated[lead.end() :]
    if licence := _named(stated):
        return licence
    if twice := _TWICE.fullmatch(stated):
        licence = _named(twice["first"])
        again = _named(twice["again"] or twice["short"] or twice["address"])
        return licence if licence == again else None
    return None


def refusal(licence: Licence, intended_use: IntendedUse) -> Reason | None:
    """Why the licence forbids storing the picture for this use, or None where it allows it.

    Crops and resized copies are derivatives, so NoDerivatives never passes. "No known copyright"
    passes for research only: nobody grants anything, and nobody answers for it.
    """
    terms = licence.code.split("-")
    if "ND" in terms:
        return Reason.NO_DERIVATIVES
    if intended_use == "commercial" and "NC" in terms:
        return Reason.NON_COMMERCIAL
    if intended_use == "commercial" and licence.code == NO_KNOWN_COPYRIGHT.code:
        return Reason.LICENCE_UNKNOWN
    return None


def _named(stated: str) -> Licence | None:
    name, address = _bare(stated), _SCHEME.sub("", stated, count=1)
    if _CC0.fullmatch(name) or _CC0_ADDRESS.fullmatch(address):
        return CC0
    if _PUBLIC_DOMAIN.fullmatch(name) or _PUBLIC_DOMAIN_ADDRESS.fullmatch(address):
        return PUBLIC_DOMAIN
    if _NO_KNOWN_COPYRIGHT.fullmatch(name) or _NO_KNOWN_COPYRIGHT_ADDRESS.fullmatch(address):
        return NO_KNOWN_COPYRIGHT
    if at := _CREATIVE_COMMONS_ADDRESS.fullmatch(address):
        return _creative_commons(at["terms"].split("-"), at["version"], at["port"] or "")
    if called := _CREATIVE_COMMONS.fullmatch(name):
        return _called(called)
    return None


def _called(name: re.Match[str]) -> Licence | None:
    is_title = name["long"] and name["place"]
    if not (name["lead"] or is_title) or name["place"] not in _PORT_OF:
        return None
    terms = _terms(name["short"] or name["long"])
    if name["again"] and _terms(name["again"]) != terms:
        return None
    return _creative_commons(terms, name["version"], _PORT_OF[name["place"]])


def _terms(names: str) -> list[str]:
    return [_TERM_OF[name] for name in _TERM.findall(names)]


def _creative_commons(terms: Sequence[str], version: str, port: str) -> Licence | None:
    """The licence of these terms, in any order, where there is one."""
    has_by = "by" in terms
    editions = EDITIONS if has_by else EDITIONS_WITHOUT_BY
    is_contradictory = len(set(terms)) < len(terms) or {"sa", "nd"}.issubset(terms)
    if is_contradictory or port not in editions.get(version, ()):
        return None
    # The addresses of the first licences name ND before NC; codes have one order for all.
    order = ("by", "nd", "nc", "sa") if version == "1.0" or not has_by else ("by", "nc", "sa", "nd")
    path = "-".join(term for term in order if term in terms)
    code = "-".join(term for term in ("cc", "by", "nc", "sa", "nd") if term in ("cc", *terms))
    return Licence(
        code=code.upper(),
        version=version,
        url=f"https://creativecommons.org/licenses/{path}/{version}/{f'{port}/' if port else ''}",
    )
