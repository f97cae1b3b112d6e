"""The page says what the files say, and nothing in them runs or leaves."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from mirrorset.errors import InputError
from mirrorset.files import write_records
from mirrorset.records import Reason, Rejected
from reports.page import PageParams, render
from reports.shown import name_of

MakeRelease = Callable[..., Path]
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"


@pytest.fixture
def page(make_release: MakeRelease, tmp_path: Path) -> Callable[..., str]:
    """A function that renders a release of the images given, as HTML text."""

    def rendered(
        *images: dict[str, Any], rejected: list[Rejected] | None = None, **params: int
    ) -> str:
        listed = tmp_path / "rejected.jsonl"
        write_records(listed, rejected or [])
        out = tmp_path / "page.html"
        release = make_release(*images)
        assert render(release, listed, [], out, "Faces", params=PageParams(**params)) == out
        return out.read_text(encoding="utf-8")

    return rendered


def text(html: str) -> str:
    """What a reader sees, tags taken out and white space evened."""
    return " ".join(
        unescape(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", html, flags=re.S)).split()
    )


def index(html: str) -> Any:
    """What the page's script is told."""
    (told,) = re.findall(r'<script type="application/json" id="index">(.*?)</script>', html)
    return json.loads(told)


def values(html: str, facet: str) -> list[str]:
    """The facet of every image."""
    (found,) = [one for one in index(html)["facets"] if one["name"] == facet]
    return [found["values"][place] for place in found["of"]]


def labels(html: str, page: Path) -> list[Any]:
    """The labels of every image, as the page's script reads them."""
    told: list[Any] = []
    for file in sorted((page.parent / index(html)["labels"]).iterdir()):
        numbered = file.read_text(encoding="utf-8").removeprefix("takeLabels(").removesuffix(");\n")
        told += json.loads(f"[{numbered}]")[1]
    return told


def test_the_summary_counts_every_item_once(page: Callable[..., str]) -> None:
    rejected = [
        Rejected(item_id="gallery:1", step="crawl", reason=Reason.ROBOTS),
        Rejected(item_id="gallery:2", step="crawl", reason=Reason.NO_DERIVATIVES),
        Rejected(item_id="a" * 64, step="select", reason=Reason.QUALITY),
    ]
    images = [{}, {"split": "test"}, {"split": "test", "licence": "CC BY-NC-SA 2.0"}]
    words = text(page(*images, rejected=rejected))
    assert "Found 6 Accepted 4 Rejected 3 Released 3" in words
    assert "faces 0.1.0, for research use. train 1 · test 2." in words
    assert "Licences: CC BY 4.0 2 · CC BY-NC-SA 2.0 1" in words
    assert "Labels by mesh (Apache-2.0)." in words


def test_labels_that_nobody_checked_are_called_unreviewed(page: Callable[..., str]) -> None:
    words = text(page({"split": "test"}, {"split": "train"}))
    assert "Unreviewed: no person has checked these labels." in words
    assert "Declared unreviewed: the test split holds 1 of them." in words
    assert "The test split holds none of them." in text(page({"split": "train"}))


def test_a_partly_reviewed_release_says_how_much_is_not(page: Callable[..., str]) -> None:
    html = page({}, {"origin": "human"}, {"origin": "gold"})
    assert "no person has checked the labels of 1 of 3 images" in text(html)
    assert sorted(values(html, "annotator")) == ["a model", "research", "research"]


def test_a_reviewed_release_has_no_banner(page: Callable[..., str]) -> None:
    assert "Unreviewed:" not in text(page({"origin": "human"}))


def test_the_least_certain_images_come_first_and_a_cap_says_what_it_hides(
    page: Callable[..., str],
) -> None:
    images = [{"confidence": c} for c in (0.9, 0.3, 0.7, 0.5)]
    assert index(page(*images))["numbers"]["confidence"] == [0.3, 0.5, 0.7, 0.9]
    capped = page(*images, images=2)
    assert index(capped)["numbers"]["confidence"] == [0.3, 0.5]
    assert "Another 2, the most certain ones, are in the release" in text(capped)


def test_the_same_files_give_the_same_bytes(make_release: MakeRelease, tmp_path: Path) -> None:
    release = make_release({}, {"split": "val"})
    first, second = (
        render(release, [], [], tmp_path / name / "index.html", "Faces") for name in ("a", "b")
    )
    files = [file.relative_to(first.parent) for file in first.parent.rglob("*") if file.is_file()]
    assert len(files) == 4
    for file in files:
        assert (first.parent / file).read_bytes() == (second.parent / file).read_bytes()


def test_a_page_made_anew_leaves_nothing_of_the_one_before(
    make_release: MakeRelease, tmp_path: Path
) -> None:
    out = tmp_path / "index.html"
    render(make_release({}, {"colour": 90}), [], [], out, "Faces")
    render(make_release({"colour": 90}), [], [], out, "Faces")
    beside = sorted(file.suffix for file in (tmp_path / "index").rglob("*") if file.is_file())
    assert beside == [".jpg", ".js"]


@pytest.mark.parametrize("field", ["author", "tags"])
def test_text_of_labels_is_escaped(page: Callable[..., str], tmp_path: Path, field: str) -> None:
    hostile = {"author": HOSTILE, "tags": ((HOSTILE, HOSTILE),)}[field]
    html = page({field: hostile})
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    (label,) = labels(html, tmp_path / "page.html")
    assert HOSTILE in [value for _, value in label["facts"]]


def test_text_of_rejected_items_is_escaped_and_addresses_are_no_links(
    page: Callable[..., str],
) -> None:
    rejected = Rejected(
        item_id=HOSTILE,
        step=HOSTILE,
        reason=Reason.HTTP_ERROR,
        detail=HOSTILE,
        image_url="javascript:alert(3)",
    )
    html = page({}, rejected=[rejected])
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "javascript:alert(3)" in text(html)
    assert 'href="javascript' not in html


def test_the_title_is_escaped(make_release: MakeRelease, tmp_path: Path) -> None:
    out = render(make_release({}), [], [], tmp_path / "page.html", HOSTILE)
    assert "<script>alert" not in out.read_text(encoding="utf-8")


def test_the_policy_admits_this_style_and_script_and_the_files_beside_it(
    page: Callable[..., str],
) -> None:
    html = page({})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "'self' data:"
    for tag, files in (("style", ""), ("script", "'self' ")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"{files}'sha256-{digest}'"


def test_nothing_on_the_page_points_outside(page: Callable[..., str]) -> None:
    html = page({"group_id": "g"}, {"group_id": "g"})
    targets = re.findall(r'(?:src|href|srcset|action|data|poster)="([^"]*)"', html)
    assert targets
    assert all(target.startswith(("data:", "#", "page/pictures-384/")) for target in targets)
    assert not re.findall(r"url\(|@import", html)


def test_every_image_says_in_words_what_it_shows(page: Callable[..., str], tmp_path: Path) -> None:
    (label,) = labels(page({}), tmp_path / "page.html")
    assert re.fullmatch(r"Image [0-9a-f]{8}, 1 face, yaw 0°, light from the front\.", label["alt"])
    assert dict(label["facts"])["Author"] == "A. Photographer"


def test_near_duplicates_stand_together_and_a_torn_group_comes_first(
    page: Callable[..., str],
) -> None:
    html = page(
        {"group_id": "whole", "split": "val"},
        {"group_id": "whole", "split": "val"},
        {"group_id": "whole", "split": "val"},
        {"group_id": "torn", "split": "train"},
        {"group_id": "torn", "split": "test"},
        {"group_id": "single"},
    )
    words = text(html)
    assert "2 groups have more than one image" in words
    groups = words[words.index("Near-duplicates 2 groups") :]
    assert groups.index("torn ✗ in different splits 2 images") < groups.index("whole 3 images")
    assert "single" not in groups


def test_large_groups_are_cut_and_say_so(page: Callable[..., str]) -> None:
    html = page(*[{"group_id": "g"}] * 4, members_per_group=2)
    assert "g 4 images, 2 shown" in text(html)


def test_what_is_absent_is_said(page: Callable[..., str]) -> None:
    words = text(page({}))
    assert "Nothing was rejected." in words
    assert "No two images of this release are near-duplicates." in words
    assert "No model has been compared" in words


def test_a_missing_release_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no release"):
        render(tmp_path / "absent", [], [], tmp_path / "page.html", "Faces")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        ("Ada", "Ada"),
        ("", "author not stated"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}evil", "evil"),
        ("\u05e2\u05d3\u05d4", "\u2068\u05e2\u05d3\u05d4\u2069"),
        ("\u2069\u05e2\u05d3\u05d4, CC0", "\u2068\u05e2\u05d3\u05d4, CC0\u2069"),
    ],
)
def test_no_name_turns_the_licence_around(author: str, shown: str) -> None:
    assert name_of(author) == shown
