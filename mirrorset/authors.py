"""Authors as sources name them: which names are one, which name nobody, whom a picture shows."""

import re
import unicodedata

from mirrorset.records import Sighting

_MARKS = " .,;:-–—?!()[]<>\"'“”*_/"
# Words for nobody, in the languages in which sources and uploaders write them. Commons says it
# twice over: "Unknown authorUnknown author".
_NOBODY = re.compile(
    r"(?:(?:(?:an |the )?(?:unknown|anonymous|unidentified|uncredited|various)"
    r"(?: (?:author|artist|creator|photographer|person|source|user)s?)?"
    r"|(?:author|artist|creator|photographer) (?:is )?(?:unknown|anonymous)"
    r"|not (?:known|given|stated|named|provided|credited|available)"
    r"|no (?:author|name)|anon|none|null|n/a"
    r"|unbekannt|anonym|inconnu|anonyme|desconocido|anónimo|desconhecido|anônimo|sconosciuto"
    r"|anonimo|onbekend|okänd|nieznany|неизвестен|неизвестный автор|不明|佚名|匿名) ?)+"
)


def plain(author: str) -> str:
    """The name by which authors are compared: one blank between words, no case, one way to write
    an accent.

    >>> plain(" jane  DOE") == plain("Jane Doe")
    True
    """
    # Folding case takes some letters apart again.
    folded = unicodedata.normalize("NFKC", author).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def names_nobody(author: str) -> bool:
    """Whether the name is empty or says that nobody knows it.

    >>> [one for one in ("", "Unknown author", "[anonymous]", "Ada Known") if names_nobody(one)]
    ['', 'Unknown author', '[anonymous]']
    """
    words = plain(author).strip(_MARKS)
    return not words or _NOBODY.fullmatch(words) is not None


def shown_author(sighting: Sighting) -> str:
    """The author whom the picture shows, as `plain` writes the name; "" where it is not said that
    it shows its author, or nobody is named.
    """
    if not sighting.shows_author or names_nobody(sighting.author):
        return ""
    return plain(sighting.author)
