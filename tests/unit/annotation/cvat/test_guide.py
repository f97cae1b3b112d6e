"""Guides: every schema's reads, says all there is to set, and its pictures are what CVAT takes."""

import io
from pathlib import Path

import pytest
from PIL import Image

from annotation.cvat.guide import Guide, read_guide
from annotation.guides.pictures import FOLDER
from annotation.schema import LabelSchema, load_label_schema
from mirrorset.errors import SettingsError

NAMES = ("selfie", "selfie-parsing")


def picture(kind: str = "PNG", side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, 8)).save(buffer, kind)
    return buffer.getvalue()


def written(folder: Path, markdown: str, **pictures: bytes) -> LabelSchema:
    (folder / "g.md").write_text(markdown)
    for name, content in pictures.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return load_label_schema().model_copy(update={"guides": ("g.md",)})


@pytest.mark.parametrize("name", NAMES)
def test_guides_have_pictures_that_the_server_leaves_as_they_are(name: str) -> None:
    guide = read_guide(load_label_schema(name))
    assert {"points.png", "visibility.png", "lighting.png"} <= {one.name for one in guide.pictures}
    for one in guide.pictures:
        assert one.media_type == "image/png"
        assert max(Image.open(io.BytesIO(one.content)).size) <= 1920
        assert len(one.content) < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_guides_tell_of_every_label_attribute_and_option(name: str) -> None:
    schema = load_label_schema(name)
    markdown = read_guide(schema).markdown
    told = {"ibug68", "score", "unknown"}
    for label in schema.labels:
        names = [label.name, *(one.name for one in label.attributes)]
        options = [
            value for one in label.attributes if one.kind == "select" for value in one.values
        ]
        for word in {*names, *options} - told:
            assert f"`{word}`" in markdown, (label.name, word)
    assert schema.version in markdown


def test_every_picture_is_shown_by_a_guide() -> None:
    shown = {one.name for name in NAMES for one in read_guide(load_label_schema(name)).pictures}
    assert shown == {path.name for path in FOLDER.glob("*.png")}


def test_links_become_assets_and_the_text_says_which_picture_each_is(tmp_path: Path) -> None:
    schema = written(tmp_path, "# Eyes\n\n![An eye](eye.png)\n", eye_png=picture())
    guide = read_guide(schema, tmp_path)
    (eye,) = guide.pictures
    assert guide.uploaded({eye.sha256: "0e39e5be-f87d"}).splitlines() == [
        "# Eyes",
        "",
        "![An eye](/api/assets/0e39e5be-f87d)",
        "",
        f"*Labels: {schema.version}*",
        "",
        f"[sha256:{eye.sha256}]: /api/assets/0e39e5be-f87d",
    ]


def test_a_picture_shown_twice_is_one_asset(tmp_path: Path) -> None:
    text = "![An eye](eye.png) ![The same](eye.png)"
    guide = read_guide(written(tmp_path, text, eye_png=picture()), tmp_path)
    assert len(guide.pictures) == 1
    assert guide.uploaded({guide.pictures[0].sha256: "7"}).count("(/api/assets/7)") == 2


def test_links_to_elsewhere_are_left(tmp_path: Path) -> None:
    guide = read_guide(written(tmp_path, "[more](https://example.org/a.png)"), tmp_path)
    assert guide.pictures == ()
    assert "(https://example.org/a.png)" in guide.uploaded({})


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("eye_svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "takes no guide's picture"),
        ("eye_bmp", picture("BMP"), "takes no guide's picture"),
        ("eye_png", picture(side=1921), "would make eye.png smaller"),
    ],
)
def test_pictures_that_the_server_refuses_or_makes_smaller_are_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    schema = written(tmp_path, f"![]({name.replace('_', '.')})", **{name: content})
    with pytest.raises(SettingsError, match=reason):
        read_guide(schema, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has no lost"):
        read_guide(written(tmp_path, "![](lost.png)"), tmp_path)


def test_a_guide_without_pictures_is_its_text() -> None:
    assert Guide(markdown=" a ", pictures=()).uploaded({}) == "a"
