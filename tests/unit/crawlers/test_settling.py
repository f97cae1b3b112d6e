import hashlib
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from crawlers.items import Candidate, Permit, Picture, Refusal, Statement
from crawlers.settling import settle
from mirrorset.pixels import PixelParams
from mirrorset.records import Licence, Reason

CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
PERMIT = Permit(
    licence=Licence(code="CC0", version="1.0", url=CC0),
    statement=Statement(read_from="a rel=license", text=CC0),
)


def picture(content: bytes, sha1: str = "", permit: Permit | None = PERMIT) -> Picture:
    candidate = Candidate(
        source="gallery",
        source_item_id="h.org/ada.html",
        page_url="http://h.org/ada.html",
        image_url="http://h.org/ada.jpg",
        author="Ada",
        permit=permit,
        sha1=sha1,
    )
    return Picture(candidate, content, {"etag": '"1"'}, {"robots.txt": "0" * 64})


def test_a_good_picture_becomes_image_and_sighting(encoded: Callable[..., bytes]) -> None:
    content = encoded("JPEG")
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    settled = settle(picture(content, sha1=sha1.upper()), PixelParams(), "research", "mirrorset/0")
    assert not isinstance(settled, Refusal)
    image, sighting = settled
    assert image.image_id == sighting.image_id == hashlib.sha256(content).hexdigest()
    assert (sighting.source_item_id, sighting.author) == ("h.org/ada.html", "Ada")
    assert sighting.evidence.model_dump() == {
        "licence_read_from": "a rel=license",
        "licence_text": CC0,
        "version": sha1.upper(),
        "host_files": {"robots.txt": "0" * 64},
        "headers": {"etag": '"1"'},
        "crawler": "mirrorset/0",
    }


def test_a_sighting_says_where_it_was_found(encoded: Callable[..., bytes]) -> None:
    for shows_author in (False, True):
        settled = settle(
            picture(encoded("JPEG")), PixelParams(), "research", "mirrorset/0", shows_author
        )
        assert not isinstance(settled, Refusal)
        assert settled[1].shows_author is shows_author


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("other bytes", Reason.CHECKSUM),
        ("html", Reason.NOT_AN_IMAGE),
        ("half", Reason.TRUNCATED),
        ("small", Reason.TOO_SMALL),
        ("reserved", Reason.OPT_OUT_TDM),
    ],
)
def test_bytes_that_do_not_pass(encoded: Callable[..., bytes], kind: str, reason: Reason) -> None:
    content = encoded("JPEG")
    mining = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining="DMI-PROHIBITED"/>'
        b"</rdf:RDF>"
    )
    fetched = {
        "other bytes": picture(content, sha1="0" * 40),
        "html": picture(b"<html></html>"),
        "half": picture(content[: len(content) // 2]),
        "small": picture(encoded("PNG", size=(64, 300))),
        "reserved": picture(encoded("JPEG", xmp=mining)),
    }[kind]
    settled = settle(fetched, PixelParams(), "research", "mirrorset/0")
    assert isinstance(settled, Refusal)
    assert settled.reason is reason
    assert settled.detail.endswith(".")
    assert not settled.is_retryable


def test_an_error_of_our_own_ends_one_item(
    encoded: Callable[..., bytes],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: bytes) -> None:
        raise struct.error("unpack requires a buffer of 4 bytes")

    monkeypatch.setattr("crawlers.settling.read_embedded", fail)
    settled = settle(picture(encoded("JPEG")), PixelParams(), "research", "mirrorset/0")
    assert isinstance(settled, Refusal)
    assert settled.reason is Reason.NOT_AN_IMAGE
    assert "requires a buffer" in settled.detail
    assert "Traceback" in caplog.text


def test_where_the_page_is_silent_the_file_must_speak(encoded: Callable[..., bytes]) -> None:
    silent = settle(picture(encoded("JPEG"), permit=None), PixelParams(), "research", "mirrorset/0")
    assert isinstance(silent, Refusal)
    assert silent.reason is Reason.LICENCE_MISSING
    speaking = picture(encoded("JPEG", xmp=stating("CC BY 4.0")), permit=None)
    settled = settle(speaking, PixelParams(), "research", "mirrorset/0")
    assert not isinstance(settled, Refusal)
    assert settled[1].licence.code == "CC-BY"


def stating(licence: str) -> bytes:
    return (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" '
        f'xmpRights:UsageTerms="{licence}"/></rdf:RDF>'
    ).encode()


@pytest.mark.parametrize(
    ("stated", "outcome"),
    [
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", Reason.NO_DERIVATIVES),
        ("CC BY-NC-ND", Reason.LICENCE_UNKNOWN),
        ("CC BY-SA 4.0", "CC-BY-SA"),
        ("CC0", "CC0"),
    ],
)
def test_the_file_may_restrict_what_the_page_allows(
    encoded: Callable[..., bytes], stated: str, outcome: Reason | str
) -> None:
    content = encoded("JPEG", xmp=stating(stated))
    settled = settle(picture(content), PixelParams(), "research", "mirrorset/0")
    if isinstance(settled, Refusal):
        assert settled.reason is outcome
    else:
        assert settled[1].licence.code == outcome


def test_a_name_in_the_file_contradicts_no_licence(encoded: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[0x8298] = "© 2020 Ada"
    content = encoded("JPEG", exif=exif)
    settled = settle(picture(content), PixelParams(), "research", "mirrorset/0")
    assert not isinstance(settled, Refusal)
