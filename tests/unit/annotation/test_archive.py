import os
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from annotation.archive import erase_from_archive, read_archive, write_archive
from annotation.conversion import to_shapes
from annotation.cvat_xml import MalformedXmlError, parse_xml
from annotation.schema import LabelSchema
from annotation.shapes import ImageShapes
from mirrorset.errors import InputError
from mirrorset.records import Annotation

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def shapes(make_annotation: Callable[..., Annotation], schema: LabelSchema) -> ImageShapes:
    return to_shapes(make_annotation(), "abababababababab.jpg", 640, 480, schema)


def xml_of(path: Path) -> Element:
    with zipfile.ZipFile(path) as archive:
        return parse_xml(archive.read("annotations.xml"))


def outline(element: Element) -> tuple[str, ...]:
    """The kinds of children in order, each once."""
    return tuple(dict.fromkeys(child.tag for child in element))


@pytest.mark.parametrize("name", ["export_cvat_images.zip", "export_project_cvat.zip"])
def test_real_exports_read(shared_data: Path, name: str) -> None:
    archive = read_archive(shared_data / "cvat" / name)
    assert archive.dumped_at.date().isoformat() == "2026-11-22"
    assert len(archive.images) == 20
    first = archive.images[0]
    assert (first.name, first.width_px, first.height_px) == ("img_0000.jpg", 640, 640)
    (box,), (skeleton,), (mask,), (tag,) = (
        first.rectangles,
        first.skeletons,
        first.masks,
        first.tags,
    )
    assert box.box == (100, 120, 420, 500)
    assert box.is_occluded
    assert box.attributes == {"occlusion": "none", "blurred": "false", "yaw": "0", "note": "n0"}
    corner, nose = skeleton.elements[0], skeleton.elements[2]
    assert (corner.label, corner.is_outside, corner.point) == ("mouth_right", True, (311.2, 416.4))
    assert (nose.label, nose.is_outside, nose.is_occluded) == ("nose", False, True)
    assert (mask.left, mask.top, mask.width, mask.height, mask.rle) == (10, 10, 51, 31, (0, 1581))
    assert tag.attributes == {"condition": "normal"}
    assert [(one.kind, one.label) for one in first.foreign] == [("polygon", "hair")]


def test_ours_has_the_structure_of_a_real_export(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema, shared_data: Path
) -> None:
    write_archive(tmp_path / "t.zip", [shapes], [], schema, name="t", at=AT)
    ours, real = xml_of(tmp_path / "t.zip"), xml_of(shared_data / "cvat" / "export_cvat_images.zip")
    for path in (
        ".",
        "meta",
        "meta/task",
        "meta/task/segments",
        "meta/task/segments/segment",
        "meta/task/owner",
        "meta/task/assignee",
        "meta/task/labels",
    ):
        ours_at, real_at = ours.find(path), real.find(path)
        assert ours_at is not None
        assert real_at is not None
        assert outline(ours_at) == outline(real_at), path
    by_kind = {label.findtext("type"): label for label in ours.iterfind("meta/task/labels/label")}
    for label in real.iterfind("meta/task/labels/label"):
        kind = label.findtext("type")
        if kind != "polygon":
            assert outline(by_kind[kind]) == outline(label), kind
    real_attribute = real.find("meta/task/labels//attribute")
    ours_attribute = ours.find("meta/task/labels//attribute")
    assert ours_attribute is not None
    assert real_attribute is not None
    assert outline(ours_attribute) == outline(real_attribute)
    for path in ("image", "image/box", "image/skeleton", "image/skeleton/points", "image/mask"):
        ours_at, real_at = ours.find(path), real.find(path)
        assert ours_at is not None
        assert real_at is not None
        assert list(ours_at.attrib) == list(real_at.attrib), path
    for path in ("image/tag", "image/tag/attribute", "image/box/attribute"):
        ours_at, real_at = ours.find(path), real.find(path)
        assert ours_at is not None
        assert real_at is not None
        assert list(ours_at.attrib) == list(real_at.attrib), path


def test_numbers_are_written_as_cvat_writes_them(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema
) -> None:
    write_archive(tmp_path / "t.zip", [shapes], [], schema, name="t", at=AT)
    image = xml_of(tmp_path / "t.zip").find("image")
    assert image is not None
    box, points, mask = image.find("box"), image.find("skeleton/points"), image.find("mask")
    assert box is not None
    assert points is not None
    assert mask is not None
    assert box.attrib["xtl"] == "100.00"
    assert points.attrib["points"] == "117.80,111.48"
    assert mask.attrib["rle"] == "1, 2, 2, 3"


def test_reads_back_what_was_written(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema
) -> None:
    write_archive(tmp_path / "t.zip", [shapes], [(shapes.name, b"bytes")], schema, name="t", at=AT)
    archive = read_archive(tmp_path / "t.zip")
    assert archive.images == (shapes,)
    assert archive.dumped_at == AT
    assert archive.assignee == ""
    with zipfile.ZipFile(tmp_path / "t.zip") as members:
        assert members.namelist() == ["annotations.xml", f"images/{shapes.name}"]
        assert members.read(f"images/{shapes.name}") == b"bytes"


def test_same_content_same_bytes(tmp_path: Path, shapes: ImageShapes, schema: LabelSchema) -> None:
    for name in ("a.zip", "b.zip"):
        write_archive(tmp_path / name, [shapes], [("i.jpg", b"1")], schema, name="t", at=AT)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>
<annotations><version>&b;</version></annotations>"""


def test_document_types_are_refused_before_entities_exist() -> None:
    with pytest.raises(MalformedXmlError, match="document type \\(lolz\\)"):
        parse_xml(BOMB)
    with pytest.raises(MalformedXmlError, match="document type"):
        parse_xml(BOMB.decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"))


IMAGE = '<image id="0" name="a.jpg" width="9" height="9">{}</image>'
META = "<meta><task/><dumped>2026-11-22 13:42:41+00:00</dumped></meta>"


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (BOMB.decode(), "document type"),
        ("<annotations>", "XML is broken"),
        ("<html/>", "no annotations.xml of version 1.1"),
        ("<annotations><version>1.1</version></annotations>", "no time of export"),
        (IMAGE.format('<box label="face"/>'), "a shape of a.jpg lacks 'xtl'"),
        (IMAGE.format('<box xtl="1" ytl="1" xbr="1" ybr="1"/>'), "lacks 'label'"),
        (
            IMAGE.format('<box label="face" xtl="nan" ytl="1" xbr="1" ybr="1"/>'),
            "nan is no coordinate",
        ),
        (
            IMAGE.format('<box label="face" xtl="0" ytl="0" xbr="1e308" ybr="1"/>'),
            "1e308 is no coordinate",
        ),
        (
            IMAGE.format('<skeleton label="s"><points label="p" points="3"/></skeleton>'),
            "a number of a.jpg cannot be read",
        ),
    ],
)
def test_bad_xml_is_one_sentence(tmp_path: Path, xml: str, words: str) -> None:
    if xml.startswith("<image"):
        xml = f"<annotations><version>1.1</version>{META}{xml}</annotations>"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("annotations.xml", xml)
    with pytest.raises(InputError, match=words) as error:
        read_archive(tmp_path / "bad.zip")
    assert "bad.zip is no archive" in str(error.value)


def test_bad_zips_are_one_sentence(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_archive(tmp_path / "absent.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match="damaged or not whole"):
        read_archive(tmp_path / "text.zip")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(InputError, match="it is no file"):
        read_archive(tmp_path / "pipe.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("person_keypoints.json", "{}")
    with pytest.raises(InputError, match="it holds no annotations"):
        read_archive(tmp_path / "other.zip")
    write_archive(tmp_path / "half.zip", [shapes], [], schema, name="t", at=AT)
    whole = (tmp_path / "half.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or not whole"):
        read_archive(tmp_path / "half.zip")
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    (tmp_path / "half.zip").write_bytes(flipped)
    with pytest.raises(InputError, match="damaged or not whole"):
        read_archive(tmp_path / "half.zip")


@pytest.mark.parametrize(
    "name",
    [
        "../../.ssh/authorized_keys",
        "images/../../x.jpg",
        "/etc/cron.d/x",
        "..\\..\\x.jpg",
        "C:\\Windows\\x.dll",
        "C:x.dll",
        "\\\\host\\share\\x",
    ],
)
def test_zips_that_lead_out_of_their_folder_are_refused(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema, name: str
) -> None:
    path = tmp_path / "t.zip"
    write_archive(path, [shapes], [], schema, name="t", at=AT)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match="leads out of the folder"):
        read_archive(path)
    with pytest.raises(InputError, match="leads out of the folder"):
        erase_from_archive(path, {"abababababababab"})
    assert [one.name for one in tmp_path.iterdir()] == ["t.zip"]


@pytest.mark.parametrize("encoding", ["utf-7", "shift_jis", "gb2312", "no-such"])
def test_an_encoding_that_no_export_has_is_refused(encoding: str) -> None:
    with pytest.raises(MalformedXmlError, match="the XML is broken"):
        parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><annotations/>'.encode())


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("9999-12-31 23:59:59-12:00", "is no time"),
        ("0001-01-01 00:00:00+12:00", "is no time"),
        ("9998-01-01 00:00:00+00:00", "yet to come"),
    ],
)
def test_a_time_that_no_export_has_is_refused(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema, moment: str, said: str
) -> None:
    path = tmp_path / "t.zip"
    write_archive(path, [shapes], [], schema, name="t", at=AT)
    with zipfile.ZipFile(path) as archive:
        xml = archive.read("annotations.xml").decode()
    dumped = re.search("<dumped>.*?</dumped>", xml)
    assert dumped
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.xml", xml.replace(dumped[0], f"<dumped>{moment}</dumped>"))
    with pytest.raises(InputError, match=said):
        read_archive(path)


def test_more_elements_than_any_export_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.cvat_xml._MOST_ELEMENTS", 10)
    assert len(parse_xml(b"<r>" + b"<a/>" * 9 + b"</r>")) == 9
    with pytest.raises(MalformedXmlError, match="more than 10 elements"):
        parse_xml(b"<r>" + b"<a/>" * 10 + b"</r>")


def test_zip_bombs_are_refused_unopened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", b"<annotations>" + b" " * (1 << 23))
    with pytest.raises(InputError, match="as only bombs are"):
        read_archive(tmp_path / "t.zip")


def test_a_zip_that_lies_about_its_size_is_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", b"<annotations>" + b" " * (1 << 23))
    content = bytearray((tmp_path / "t.zip").read_bytes())
    # The sizes in the directory at the end, which readers go by.
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    (tmp_path / "t.zip").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_archive(tmp_path / "t.zip")


def test_two_lists_of_annotations_are_refused(
    tmp_path: Path, shapes: ImageShapes, schema: LabelSchema
) -> None:
    """Readers differ in which of two members of one name they take."""
    path = tmp_path / "t.zip"
    write_archive(path, [shapes], [], schema, name="t", at=AT)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("annotations.xml", b"<annotations/>")
    with pytest.raises(InputError, match="twice"):
        read_archive(path)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd"><annotations/>',
        '<!DOCTYPE a [<!ENTITY % p "x"> %p;]><annotations/>',
    ],
)
def test_entities_of_every_kind_are_refused(tmp_path: Path, text: str) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("annotations.xml", text)
    with pytest.raises(InputError, match="document type"):
        read_archive(tmp_path / "t.zip")


def test_deep_xml_is_read_without_recursion() -> None:
    deep = b"<a>" * 200_000 + b"</a>" * 200_000
    assert parse_xml(deep).tag == "a"


def test_an_image_is_taken_out_and_all_else_stays(
    tmp_path: Path, make_annotation: Callable[..., Annotation], schema: LabelSchema
) -> None:
    images = [
        to_shapes(make_annotation(letter * 64), f"{letter * 16}.jpg", 640, 480, schema)
        for letter in "abc"
    ]
    path = tmp_path / "t.zip"
    contents = [(image.name, image.name.encode()) for image in images]
    write_archive(path, images, contents, schema, name="t", at=AT)
    assert erase_from_archive(path, {"b" * 16})
    assert read_archive(path).images == (images[0], images[2])
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "annotations.xml",
            *(f"images/{letter * 16}.jpg" for letter in "ac"),
        ]
        assert archive.read(f"images/{'c' * 16}.jpg") == f"{'c' * 16}.jpg".encode()
    before = path.read_bytes()
    assert b"b" * 16 not in before
    assert not erase_from_archive(path, {"b" * 16})
    assert path.read_bytes() == before
