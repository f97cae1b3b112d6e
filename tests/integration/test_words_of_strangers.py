"""An author whose name is markup and a formula: in every product it is a name and nothing else."""

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from erasure_room import AUTHOR
from lxml import etree, html
from markdown_it import MarkdownIt

from mirrorset.records import one_line
from mirrorset.spreadsheets import disarmed

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture(scope="module")
def products(twice_released: Path) -> list[Path]:
    """Every file of the workspace, and of what was converted from it."""
    folders = (twice_released / "faces", twice_released / "coco")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if ".git" not in path.parts and "plots" not in path.parts]


def ending(products: list[Path], *endings: str) -> list[Path]:
    found = [path for path in products if path.suffix in endings]
    assert found
    return found


def test_tables_hold_no_formula(products: list[Path]) -> None:
    rows = [
        row
        for path in ending(products, ".csv")
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines())
    ]
    assert not [field for row in rows for field in row if field.startswith(_FORMULA)]
    named = [row for row in rows if disarmed(one_line(AUTHOR)) in row]
    # Two releases and a conversion; the pack has those of the test split.
    assert len(named) > 6 + 12 + 12


def test_pages_hold_no_script_of_theirs(products: list[Path]) -> None:
    for path in ending(products, ".html"):
        page = html.fromstring(path.read_bytes())
        scripts = page.findall(".//script")
        running = [one for one in scripts if one.get("type") != "application/json"]
        assert len(running) <= 1
        assert not [one for one in running if "alert(" in one.text_content()]
        assert page.xpath("//@onerror") == []
        addresses = page.xpath("//@href | //@src | //@action | //@data")
        beside = f"{path.stem}/"
        assert not [one for one in addresses if not one.startswith(("#", "data:", beside))]
        for told in (one for one in scripts if one not in running):
            # Whatever stands in it ends at the end of the page's own index.
            assert one_line(AUTHOR) in json.loads(told.text_content())["authors"]["values"]


def test_labels_beside_a_page_are_data(products: list[Path]) -> None:
    named = 0
    for path in ending(products, ".js"):
        head, labels = path.read_text(encoding="utf-8").split("\n", 1)
        assert head.startswith("takeLabels(")
        images = json.loads("[" + labels.removesuffix(");\n"))
        named += sum(dict(image["facts"])["Author"] == one_line(AUTHOR) for image in images)
    assert named == 12


def test_markdown_is_text(products: list[Path]) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    for path in ending(products, ".md"):
        tokens = reader.parse(path.read_text(encoding="utf-8"))
        inner = [child for token in tokens for child in token.children or ()]
        kinds = {token.type for token in (*tokens, *inner)}
        assert kinds.isdisjoint({"html_block", "html_inline", "image", "link_open"}), path


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.items():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def test_data_gives_the_name_back(products: list[Path]) -> None:
    for path in ending(products, ".json"):
        json.loads(path.read_bytes())
    for path in ending(products, ".yaml"):
        list(_texts(yaml.safe_load(path.read_bytes())))
    for path in ending(products, ".zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".xml"):
                    etree.fromstring(archive.read(name))
