"""The type is in the bytes: every known beginning has a name, and nothing makes sniffing fail."""

import gzip

import pytest
from hostile_files import AVIF, HTML, JPEG, MP4, PNG, WEBP, ZIP, box
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorset.anatomy import dissect
from mirrorset.sniff import hidden, sniff


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp"), (AVIF, "image/avif")],
)
def test_pictures_that_can_be_read_have_a_media_type(content: bytes, media_type: str) -> None:
    kind = sniff(content)
    assert kind.media_type == media_type
    assert dissect(content, media_type).end == len(content)
    assert hidden(content, len(content)) is None


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"avif\0\0\0\0avifmif1miaf", "an AVIF picture"),
        (b"mif1\0\0\0\0mif1avifmiaf", "an AVIF picture"),
        (b"avis\0\0\0\0avifavismsf1", "an animated AVIF"),
        (b"heic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"mif1\0\0\0\0mif1heic", "a HEIC picture"),
        (b"msf1\0\0\0\0hevc", "a HEIC picture"),
        (b"mif1\0\0\0\0mif1", "a HEIF picture"),
        (b"crx \0\0\0\1crx isom", "a Canon raw picture (CR3)"),
        (b"qt  \0\0\0\0qt  ", "a QuickTime video (MOV)"),
        (b"isom\0\0\0\0isommp42", "an MP4 video"),
    ],
)
def test_brands_tell_iso_media_apart(brands: bytes, name: str) -> None:
    assert sniff(box(b"ftyp", brands)).name == name


@given(st.binary(max_size=80), st.sampled_from([b"", JPEG[:40], AVIF[:400], WEBP[:40], PNG[:60]]))
@example(b"\xff\xfe<", b"")
def test_no_bytes_make_it_fail(content: bytes, beginning: bytes) -> None:
    kind = sniff(beginning + content)
    if kind.media_type:
        end = dissect(beginning + content, kind.media_type).end
        hidden(beginning + content, 0 if end is None else end)


@given(st.binary(max_size=300))
def test_a_zip_is_found_wherever_it_lies(padding: bytes) -> None:
    for content in (JPEG + padding + ZIP, JPEG + ZIP + padding, padding + ZIP + JPEG):
        found = hidden(content, len(JPEG))
        assert found is not None
        assert found.family == "archive"


def test_a_zip_is_looked_for_as_far_as_readers_look() -> None:
    assert hidden(JPEG + ZIP + b"a" * 65_535, len(JPEG)) is not None
    assert hidden(b"a PK\5\6 by chance" + bytes(100), 0) is None


@pytest.mark.parametrize(
    "trailer", [b"", bytes(9), MP4, JPEG, b"SEFH SEFT", b"<3", b"a < b and b > c"]
)
def test_what_is_no_other_file_is_not_named(trailer: bytes) -> None:
    assert hidden(JPEG + trailer, len(JPEG)) is None


@pytest.mark.parametrize("trailer", [HTML, gzip.compress(b"", mtime=0), MP4 + b"<SVG/onload=x()>"])
def test_another_file_behind_the_picture_is_named(trailer: bytes) -> None:
    assert hidden(JPEG + trailer, len(JPEG)) is not None
