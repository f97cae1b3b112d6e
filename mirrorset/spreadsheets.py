"""Tables that people open in a spreadsheet, with words of strangers in them."""

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
