"""Words of strangers in Markdown and on pages, which readers show as text and nothing else."""

import re

from mirrorset.records import one_line

# What Markdown or HTML would read as more than text.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&|#~])")
# At a line's beginning: a list, a heading's underline or a number of a list.
_START = re.compile(r"^([-+=](?=[-+=\s]|$)|\d+(?=[.)](?:\s|$)))")
# A bare address becomes a link where GitHub's dialect is read.
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp|www)([:.])")

# Embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX 9, 2).
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def straight(text: str) -> str:
    r"""`text` without what would turn round the direction of words in it and after it.

    >>> straight("\u202egnp.A")
    'gnp.A'
    """
    return _TURNS.sub("", text)


def escaped(text: str) -> str:
    r"""`text` on one line, with nothing that is markup.

    >>> print(escaped("[x](javascript:1) | <b>"))
    \[x\](javascript:1) \| \<b\>
    """
    text = _SPECIAL.sub(r"\\\1", one_line(text))
    text = _LINK.sub(r"\1\\\2", text)
    return _START.sub(lambda found: _start(found[1]), text)


def _start(begins: str) -> str:
    # A digit cannot be escaped, only what follows it; an entity stands for the digit.
    return f"&#{ord(begins[0])};{begins[1:]}" if begins[0].isdigit() else f"\\{begins}"
