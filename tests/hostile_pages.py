"""Hostile pages and listings: bombs, depths, licences that lie; and odd pages to be borne."""

import json

from hostile_servers import (
    Hostile,
    Say,
    answer,
    brotli_bomb,
    deflate_bomb,
    dripping,
    gzip_bomb,
    photograph,
    pouring,
)

from mirrorset.records import Reason

_BY = "https://creativecommons.org/licenses/by/4.0/"
_ND = "https://creativecommons.org/licenses/by-nd/4.0/"


def _page(*parts: str, licence: str = _BY, picture: str = "/good.jpg") -> bytes:
    """A page of these parts and a good picture under a licence."""
    linked = f'<a rel="license" href="{licence}">l</a>' if licence else ""
    return answer(
        f'<html>{"".join(parts)}<img src="{picture}">{linked}</html>'.encode(),
        "Content-Type: text/html; charset=utf-8",
    )


def _ld(text: str) -> str:
    return f'<script type="application/ld+json">{text}</script>'


def hostile_pages() -> list[Hostile]:
    """Pages of a gallery that are refused."""
    large, unknown, none = Reason.TOO_LARGE, Reason.LICENCE_UNKNOWN, Reason.NOT_AN_IMAGE
    over = "over 10000000 bytes"
    pages = {
        f"a {encoding} bomb page": (
            answer(bomb(), f"Content-Encoding: {encoding}", "Content-Type: text/html"), large, over
        )
        for encoding, bomb in {
            "gzip": gzip_bomb, "deflate": deflate_bomb, "br": brotli_bomb,
        }.items()
    } | {
        "a page without end": (
            pouring(b"HTTP/1.1 200 OK\r\n\r\n", b"<p>" * 99_999), large, over
        ),
        "a million pictures": (answer(b"<img src=a>" * 1_000_000), large, over),
        "a page that drips": (
            dripping(b"HTTP/1.1 200 OK\r\n\r\n<html>"), Reason.HTTP_ERROR, "took longer"
        ),
        "an empty page": (answer(b""), none, "shows no picture"),
        "a page of NULs": (answer(bytes(9_999)), none, "shows no picture"),
        "a picture for a page": (answer(photograph(0)), none, "shows no picture"),
        "pictures without addresses": (
            answer(
                b"<img src='javascript:x()'><img src='data:image/png;base64,AA=='><img src=''>"
                b"<img src='http://[::1'><img src='file:///etc/passwd'><img src='http://h:0/a'>"
            ),
            none, "shows no picture",
        ),
        "markup twenty thousand deep": (_page("<div>" * 20_000), none, "shows no picture"),
        "JSON-LD a hundred thousand deep": (
            answer(_ld("[" * 100_000 + "]" * 100_000).encode()), none, "shows no picture"
        ),
        "JSON-LD of a number without end": (
            answer(_ld('{"@type": "ImageObject", "contentUrl": ' + "9" * 99_999 + "}").encode()),
            none, "shows no picture",
        ),
        "a charset that is none": (
            answer(b"\xff\xfe\0\0<html>", "Content-Type: text/html; charset=\udcff"), none, ""
        ),
        "an address of 1 MB": (
            _page(picture=f"/{'a' * 1_000_000}.jpg"), Reason.HTTP_ERROR, "answered 404"
        ),
        "a page that leads in a circle": (
            answer(b"", "Location: /a-page-that-leads-in-a-circle", status="302 Found"),
            Reason.HTTP_ERROR, "redirect",
        ),
        "a page inside": (
            answer(b"", "Location: http://169.254.169.254/", status="302 Found"),
            Reason.FORBIDDEN_ADDRESS, "169.254.169.254",
        ),
        # Licences that lie.
        "no derivatives beside BY": (
            _page(f'<a rel="license" href="{_ND}">x</a>'), Reason.NO_DERIVATIVES, "BY-ND"
        ),
        "no derivatives in the file": (
            _page(picture="/nd.jpg"),
            Reason.NO_DERIVATIVES, "BY-ND",
        ),
        "consent by a stranger": (_page(licence="consented"), unknown, "consented"),
        "a Cyrillic letter in the name": (_page(licence="CC ВY 4.0"), unknown, "ВY"),
        "a Cyrillic letter in the address": (
            _page(licence="https://creativecommоns.org/licenses/by/4.0/"), unknown, "licenses/by"
        ),
        "another host that begins alike": (
            _page(licence="https://creativecommons.org.example.test/licenses/by/4.0/"),
            unknown, "example.test",
        ),
        "the licence's host as a user": (
            _page(licence="https://creativecommons.org@example.test/licenses/by/4.0/"),
            unknown, "example.test",
        ),
        "a licence in another's query": (
            _page(licence="https://example.test/?https://creativecommons.org/licenses/by/4.0/"),
            unknown, "example.test",
        ),
        "a licence in a fragment": (
            _page(licence="https://example.test/#creativecommons.org/licenses/by/4.0/"),
            unknown, "example.test",
        ),
        "a licence with a reservation": (
            _page(licence="CC BY 4.0, except for training"), unknown, "except for training"
        ),
        "a licence turned around": (_page(licence="CC \u202eYB\u202c 4.0"), unknown, "4.0"),
        "a licence of 1 MB": (_page(licence="CC BY 4.0 " * 100_000), unknown, "CC BY 4.0"),
        "a licence in a comment": (
            _page(f'<!-- <a rel="license" href="{_BY}"> -->', licence=""),
            Reason.LICENCE_MISSING, "",
        ),
        "two licences in JSON-LD": (
            answer(_ld(json.dumps({
                "@type": "ImageObject", "contentUrl": "/good.jpg", "license": [_BY, _ND],
            })).encode()),
            Reason.NO_DERIVATIVES, "BY-ND",
        ),
    }  # fmt: skip
    return [Hostile(name, say, reason, words) for name, (say, reason, words) in pages.items()]


#: Pages that are odd, and whose picture is taken all the same.
BEARABLE: dict[str, bytes] = {
    "giant-title": _page(f"<title>{'a' * 5_000_000}</title>"),
    "giant-attribute": _page(f'<p data-a="{"a" * 5_000_000}">'),
    "many-attributes": _page(f"<p {' '.join(f'a{n}=1' for n in range(9_999))}>"),
    "one-picture-often": _page('<img src="/good.jpg">' * 9_999),
    "base-that-is-none": _page('<base href="javascript:x()">'),
    "meta-refresh": _page('<meta http-equiv="refresh" content="0; url=file:///etc/passwd">'),
    "surrogates": _page("&#xD800;&#0;<p title='\x00'>"),
    "latin-1-header": answer(
        _page().partition(b"\r\n\r\n")[2], "Content-Disposition: inline; filename=caf\udce9.html"
    ),
    "json-ld-that-is-none": _page(_ld("{" * 99_999), _ld('{"@graph": "a"}'), _ld("\0")),
}


def hostile_listings() -> dict[str, tuple[Say, str]]:
    """Sitemaps that end the crawl with a sentence, and words of it."""
    return {
        "gzip bomb": (answer(gzip_bomb(), "Content-Encoding: gzip"), "is over 60000000 bytes"),
        "bomb in a file": (answer(gzip_bomb()), "cannot be read"),
        "no listing": (answer(photograph(0)), "cannot be read"),
        "empty": (answer(b""), "cannot be read"),
        "that drips": (dripping(b"HTTP/1.1 200 OK\r\n\r\n<urlset>"), "took longer"),
    }


def sitemaps_of_entities(further: str) -> dict[str, bytes]:
    """Sitemaps that unfold: to a billion laughs, and to a file of ours."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
    file = '<!ENTITY file SYSTEM "file:///etc/hostname">'
    return {
        name: answer(
            f"<!DOCTYPE urlset [{entities}]><urlset><url><loc>&{entity};</loc></url>"
            f"<url><loc>{further}</loc></url></urlset>".encode()
        )
        for name, entities, entity in (("laughs", laughs, "l9"), ("file", file, "file"))
    }
