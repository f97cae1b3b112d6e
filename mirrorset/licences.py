"""Licences as they occur in the wild, normalised; and what each allows.

Unknown text is never guessed: `normalise` returns None, and the item is rejected.
"""

import re

from mirrorset.records import IntendedUse, Licence, Reason

CC0 = Licence(code="CC0", version="1.0", url="https://creativecommons.org/publicdomain/zero/1.0/")
PUBLIC_DOMAIN = Licence(code="PD", url="https://creativecommons.org/publicdomain/mark/1.0/")

_CC_URL = re.compile(
    r"creativecommons\.org/licenses/(?P<terms>by(?:-(?:nc|sa|nd))*)/(?P<version>\d\.\d)", re.I
)
# "CC BY-NC-SA 2.0", "cc-by-sa-3.0-de", "Creative Commons BY-NC-SA 2.0 license"
_CC_NAME = re.compile(
    r"\b(?:cc|creative commons)[\s\-_]*(?P<terms>by(?:[\s\-_]+(?:nc|sa|nd))*)"
    r"[\s\-_]+(?P<version>\d\.\d)\b",
    re.IGNORECASE,
)
# "Creative Commons Attribution-Share Alike 4.0 International"
_CC_LONG = re.compile(
    r"(?:creative commons|cc)[\s\-]+attribution(?P<terms>(?:[\s\-]*(?:non[\s\-]?commercial"
    r"|share[\s\-]?alike|no[\s\-]?deriv(?:ative)?s?(?:[\s\-]works)?))*)[\s\-]+(?P<version>\d\.\d)",
    re.IGNORECASE,
)
_CC0 = re.compile(
    r"creativecommons\.org/publicdomain/zero/"
    r"|^(?:cc[\s\-]?(?:0|zero)|cc0[\s\-]1\.0.*|creative commons (?:zero|0).*)$",
    re.IGNORECASE,
)
_PUBLIC_DOMAIN = re.compile(
    r"creativecommons\.org/publicdomain/mark/"
    r"|^(?:pd|pdm|pd[\s\-].*|public[\s\-]domain(?:[\s\-]mark)?(?:\s1\.0)?"
    r"|this (?:work|image|file) is in the public domain\.?)$",
    re.IGNORECASE,
)


def normalise(text: str) -> Licence | None:
    """The licence that `text` (a short name, a sentence or an address) states, or None.

    >>> normalise("https://creativecommons.org/licenses/by-nc-sa/2.0/").code
    'CC-BY-NC-SA'
    """
    stated = " ".join(text.split())
    if _CC0.search(stated):
        return CC0
    if _PUBLIC_DOMAIN.search(stated):
        return PUBLIC_DOMAIN
    if match := _CC_URL.search(stated) or _CC_NAME.search(stated):
        return _creative_commons(match["terms"], match["version"])
    if match := _CC_LONG.search(stated):
        return _creative_commons(_short_terms(match["terms"]), match["version"])
    return None


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


def _creative_commons(terms: str, version: str) -> Licence | None:
    words = re.split(r"[\s\-_]+", terms.lower())
    # One order for every spelling: BY, then NC, then SA or ND.
    kept = [word for word in ("by", "nc", "sa", "nd") if word in words]
    if "sa" in kept and "nd" in kept:
        return None
    name = "-".join(kept)
    return Licence(
        code=f"CC-{name.upper()}",
        version=version,
        url=f"https://creativecommons.org/licenses/{name}/{version}/",
    )


def _short_terms(long_terms: str) -> str:
    lowered = long_terms.lower()
    short = "by"
    for marker, term in (("commercial", "nc"), ("alike", "sa"), ("deriv", "nd")):
        if marker in lowered:
            short += f"-{term}"
    return short
