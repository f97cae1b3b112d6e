"""Tables that people open in a spreadsheet, with words of strangers in them."""

import csv
from collections.abc import Iterable
from typing import TextIO

# What begins a formula, or hides what does: OWASP, "CSV Injection"; its wide forms serve as well.
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def disarmed(field: str) -> str:
    """`field` as a spreadsheet shows it and does not run it: after an apostrophe where it must.

    Line feeds stay; what else steers a reader becomes a space. Some begin a new row at a bare
    carriage return, also within quotes.

    >>> disarmed("=HYPERLINK(0)"), disarmed("Ann O'Nym")
    ("'=HYPERLINK(0)", "Ann O'Nym")
    """
    shown = "".join(one if one.isprintable() or one == "\n" else " " for one in field)
    return f"'{shown}" if field.startswith(_STARTS) else shown


def write_rows(out: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV, all text in them disarmed; what was read of such a table stays as it is.

    out: opened with newline="", or in memory.
    """
    table = csv.writer(out, lineterminator="\n")
    for row in rows:
        table.writerow(disarmed(one) if isinstance(one, str) else one for one in row)
