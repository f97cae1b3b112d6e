"""Addresses as they are written in the wild."""

from urllib.parse import urldefrag, urljoin, urlsplit

from crawlers.text import clean


def web_address(address: str, base: str = "") -> str:
    """The absolute http(s) address, without fragment, or "" where it is none that can be asked.

    >>> web_address("../images/ada.jpg#top", "http://example.org/gallery/ada.html")
    'http://example.org/images/ada.jpg'
    >>> web_address("mailto:ada@example.org"), web_address("https://ada:secret@example.org/")
    ('', '')
    """
    try:
        absolute = urldefrag(urljoin(base, clean(address).strip())).url
        parts = urlsplit(absolute)
        # A user or password in it is nobody's to keep in a receipt.
        is_askable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        )
        # Reading the port checks it.
        return absolute if is_askable and parts.port != 0 else ""
    except ValueError:
        return ""
