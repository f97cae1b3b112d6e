import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from annotation.archive import read_archive, write_archive
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
    assert points.attrib["points"] == "117.80,117.00"
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
