from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crawlers.embedded import HEAD_BYTES, read_embedded

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:cc="http://creativecommons.org/ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" {attributes}>{elements}</rdf:Description>
</rdf:RDF></x:xmpmeta>"""
LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def with_xmp(encoded: Callable[..., bytes], attributes: str = "", elements: str = "") -> bytes:
    return encoded("JPEG", xmp=XMP.format(attributes=attributes, elements=elements).encode())


@pytest.mark.parametrize(
    ("attributes", "elements", "read_from"),
    [
        ("", f'<cc:license rdf:resource="{LICENCE}"/>', "xmp cc:license"),
        (f'xmpRights:WebStatement="{LICENCE}"', "", "xmp xmpRights:WebStatement"),
        (
            "",
            f'<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">{LICENCE}</rdf:li>'
            "</rdf:Alt></xmpRights:UsageTerms>",
            "xmp xmpRights:UsageTerms",
        ),
    ],
)
def test_a_licence_is_read_from_xmp(
    encoded: Callable[..., bytes], attributes: str, elements: str, read_from: str
) -> None:
    (statement,) = read_embedded(with_xmp(encoded, attributes, elements)).statements
    assert (statement.read_from, statement.text) == (read_from, LICENCE)


def test_the_first_bytes_of_a_file_are_enough(encoded: Callable[..., bytes]) -> None:
    creator = "<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator>"
    content = with_xmp(encoded, f'xmpRights:WebStatement="{LICENCE}"', creator)
    embedded = read_embedded(content[: min(HEAD_BYTES, len(content) // 2)])
    assert embedded.statements[0].text == LICENCE
    assert embedded.author == "Ada"


def test_exif_names_author_and_copyright(encoded: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[0x013B] = "Grace"
    exif[0x8298] = "CC BY 4.0"
    embedded = read_embedded(encoded("JPEG", exif=exif))
    assert embedded.author == "Grace"
    assert [(s.read_from, s.text) for s in embedded.statements] == [("exif Copyright", "CC BY 4.0")]


def test_iptc_names_author_and_copyright(encoded: Callable[..., bytes]) -> None:
    def record(number: int, text: str) -> bytes:
        return bytes([0x1C, 2, number]) + len(text).to_bytes(2) + text.encode()

    iim = record(80, "Ada Lovelace") + record(116, "CC0")
    resource = b"8BIM\x04\x04\x00\x00" + len(iim).to_bytes(4) + iim + b"\0" * (len(iim) % 2)
    payload = b"Photoshop 3.0\x00" + resource
    plain = encoded("JPEG")
    content = plain[:2] + b"\xff\xed" + (len(payload) + 2).to_bytes(2) + payload + plain[2:]
    embedded = read_embedded(content)
    assert embedded.author == "Ada Lovelace"
    assert [(s.read_from, s.text) for s in embedded.statements] == [("iptc 2:116", "CC0")]


@pytest.mark.parametrize(
    ("value", "is_reserved"),
    [
        ("http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING", True),
        ("http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED", True),
        ("http://ns.useplus.org/ldf/vocab/DMI-ALLOWED", False),
        ("http://ns.useplus.org/ldf/vocab/DMI-UNSPECIFIED", False),
    ],
)
def test_plus_data_mining_reserves(
    encoded: Callable[..., bytes], value: str, is_reserved: bool
) -> None:
    embedded = read_embedded(with_xmp(encoded, f'plus:DataMining="{value}"'))
    assert bool(embedded.mining_reserved_by) == is_reserved


def test_a_file_without_metadata_says_nothing(encoded: Callable[..., bytes]) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert read_embedded(encoded(kind)).statements == ()


@given(st.binary(max_size=300))
def test_anything_is_read(content: bytes) -> None:
    read_embedded(content)
    read_embedded(b"<rdf:RDF" + content + b"</rdf:RDF>")


def test_corrupt_iptc_does_not_hide_exif(encoded: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[0x8298] = "CC BY 4.0"
    plain = encoded("JPEG", exif=exif)
    # A record that ends within its head.
    resource = b"8BIM\x04\x04\x00\x00" + (4).to_bytes(4) + b"\x1c\x02\x74\x05"
    payload = b"Photoshop 3.0\x00" + resource
    content = plain[:2] + b"\xff\xed" + (len(payload) + 2).to_bytes(2) + payload + plain[2:]
    assert [s.text for s in read_embedded(content).statements] == ["CC BY 4.0"]


@pytest.mark.parametrize(
    ("notice", "is_statement"),
    [("© Ada", False), ("© Ada. All rights reserved.", True), ("CC BY-NC-ND", True)],
)
def test_a_notice_counts_where_it_speaks_of_licences(
    encoded: Callable[..., bytes], notice: str, is_statement: bool
) -> None:
    rights = f"<dc:rights><rdf:Alt><rdf:li>{notice}</rdf:li></rdf:Alt></dc:rights>"
    assert bool(read_embedded(with_xmp(encoded, elements=rights)).statements) == is_statement
