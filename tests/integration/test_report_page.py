"""The page of real portraits in a real browser: it draws, filters, enlarges, asks no network."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import HOSTILE, SCHEMES, WIDTHS, are_pictures_there, barriers, look, open_page, until
from compared import make_comparisons, make_runs
from playwright.sync_api import Browser, Page

from curation.build import build
from curation.records import Attribution
from faces.profiles import load_profile
from mirrorset.blobs import BlobStore
from mirrorset.files import read_records, write_parts, write_records
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, decode, inspect
from mirrorset.records import (
    Annotation,
    DatasetItem,
    Evidence,
    Licence,
    Reason,
    Rejected,
    Sighting,
    Verdict,
)
from reports.page import Private, render

PORTRAITS = (
    "frl_london/neutral_front/005_03.jpg",
    "frl_london/neutral_front/006_03.jpg",
    "frl_london/smiling_front/005_08.jpg",
    "pd_portraits/astronaut.png",
    "pd_portraits/grace_hopper.jpg",
    "frl_lisa_cc0/lisa1.jpg",
    "frl_lisa_cc0/lisa2.jpg",
)
REFUSED = "frl_london/smiling_front/006_08.jpg"
#: Whose landmarks a person has moved.
EDITED = "pd_portraits/astronaut.png"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHOWN = len(PORTRAITS) + 1


def _attribution(content: bytes, name: str) -> Attribution:
    image = inspect(content, PixelParams())
    sighting = Sighting(
        image_id=image.image_id,
        source="gallery",
        source_item_id=name,
        page_url=f"https://example.org/{name}",
        image_url=f"https://example.org/{name}",
        licence=Licence(code="CC-BY", version="4.0"),
        author=HOSTILE,
        evidence=Evidence(licence_read_from="manifest", licence_text="CC-BY-4.0", crawler="test"),
        seen_at=AT,
    )
    return Attribution(image=image, sighting=sighting)


@pytest.fixture(scope="module")
def page(shared_data: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a release of real portraits, labelled by the research profile."""
    folder = tmp_path_factory.mktemp("faces")
    blobs = BlobStore(str(folder / "blobs"))
    profile = load_profile("research", model_cache)
    rows = []
    by_model = []
    for name in (*PORTRAITS, REFUSED):
        content = (shared_data / "photos" / name).read_bytes()
        measures = profile.measure(decode(content))
        annotation = Annotation(
            image_id=blobs.put(content),
            faces=measures.faces,
            masks=measures.masks,
            origin="model",
            by=profile.name,
            models=profile.models,
            schema_version="1",
            made_at=AT,
        )
        by_model.append(annotation)
        if name == EDITED:
            annotation = _edited(annotation)
            by_model.append(annotation)
        item = DatasetItem(
            image_id=annotation.image_id,
            group_id="lisa" if "lisa" in name else name,
            split="test" if "frl" in name else "train",
            image_shard=0,
            annotation=annotation,
        )
        rows.append((item, _attribution(content, name)))
    _, refused = rows.pop()
    release = _built(folder, blobs, rows)
    rejected = folder / "rejected.jsonl"
    write_records(
        rejected,
        [
            Rejected(item_id="gallery:1", step="crawl", reason=Reason.ROBOTS, detail=HOSTILE),
            Rejected(item_id=refused.image.image_id, step="select", reason=Reason.BLURRED),
        ],
    )
    snapshot = folder / "snapshot"
    adult = Verdict(
        image_id=refused.image.image_id, check="adult", passed=True, measured=0.1, threshold=0.5
    )
    for name, records in (
        ("images", [refused.image]),
        ("sightings", [refused.sighting]),
        ("annotations", sorted(by_model, key=lambda one: one.image_id)),
        ("verdicts", [adult]),
    ):
        write_records(snapshot / name / "00000.jsonl", records)
    out = folder / "report" / "index.html"
    return render(
        release,
        rejected,
        _comparisons(folder / "parity", [item.image_id for item, _ in rows]),
        out,
        "Real portraits",
        private=Private(snapshot, blobs),
    )


def _comparisons(folder: Path, released: list[str]) -> list[Path]:
    """Of drawn faces, which stand for images of the release."""
    paths = make_comparisons(folder, make_runs(folder, "A", "Pixel 8"))
    why = folder / "why-gpu" / "explanation.json"
    told = why.read_text()
    worst = [one["image_id"] for one in json.loads(told)["worst"]]
    for drawn, image_id in zip(worst, released, strict=False):
        told = told.replace(drawn, image_id)
    why.write_text(told)
    return paths


def _built(folder: Path, blobs: BlobStore, rows: list[tuple[DatasetItem, Attribution]]) -> Path:
    work = folder / "work"
    write_parts(work / "items", ((item.image_shard, item) for item, _ in rows))
    write_parts(work / "attributions", ((item.image_shard, one) for item, one in rows))
    release = folder / "release"
    build(
        work,
        blobs,
        release,
        dataset=DatasetParams(name="faces"),
        version="0.1.0",
        responsible=Responsible(),
    )
    return release


def _edited(annotation: Annotation) -> Annotation:
    """As a person would return it who has moved the whole face by 12 px."""
    face = annotation.faces[0]
    landmarks = face.landmarks["ibug68"]
    points = tuple((x + 12, y) for x, y in landmarks.points)
    moved = face.model_copy(
        update={"landmarks": {"ibug68": landmarks.model_copy(update={"points": points})}}
    )
    return annotation.model_copy(
        update={
            "faces": (moved, *annotation.faces[1:]),
            "origin": "human",
            "by": "annotator-1",
            "made_at": AT + timedelta(days=1),
        }
    )


@pytest.fixture
def tab(chromium: Browser, page: Path, complaints: list[str]) -> Iterator[Page]:
    """A tab with the page, at desktop width."""
    opened = open_page(chromium, page, complaints)
    yield opened
    opened.close()


def shown(tab: Page) -> list[str]:
    """Verdict and split of the cards, in their order, as chips say them."""
    return [
        " ".join(card.locator(".chip").all_inner_texts()) for card in tab.locator(".card").all()
    ]


def title(tab: Page) -> str:
    return tab.locator("#viewer h2").inner_text()


def inked(tab: Page, selector: str = ".card canvas") -> int:
    """How many pixels of the first canvas are drawn on, once its labels have been read."""
    # Words take the place of an image's id when its labels are there.
    alt = f"document.querySelector('{selector}').parentElement.querySelector('img').alt"
    until(tab, f"!/^Image [0-9a-f]{{8}}$/.test({alt})")
    tab.wait_for_timeout(100)
    return int(
        tab.evaluate(
            f"""{{ const canvas = document.querySelector({json.dumps(selector)});
              canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
                .data.filter((value, place) => place % 4 === 3 && value).length }}"""
        )
    )


def test_it_draws_all_without_complaint_or_request(tab: Page, complaints: list[str]) -> None:
    expect_loaded = "[...document.querySelectorAll('.card img')].every((it) => it.naturalWidth > 0)"
    until(tab, expect_loaded)
    assert tab.locator(".card").count() == SHOWN
    assert tab.locator(".group img").count() == 2
    assert inked(tab) > 500
    assert complaints == []


def test_hostile_text_stays_text(tab: Page) -> None:
    assert tab.title() == "Real portraits"
    assert HOSTILE in tab.locator(".credit").first.inner_text()
    tab.locator(".card .frame").first.click()
    assert HOSTILE in tab.locator(".facts").inner_text()
    assert tab.title() == "Real portraits"
    assert tab.locator("img[src*='example.org']").count() == 0


def test_a_box_lies_on_its_picture(tab: Page, page: Path) -> None:
    """Where a box alone is drawn, as shares of the picture, is where its label puts it."""
    tab.get_by_label("landmarks").uncheck()
    tab.locator(".card .frame").first.click()
    canvas = "#viewer canvas"
    assert inked(tab, canvas) > 100
    drawn = tab.evaluate(
        f"""{{ const canvas = document.querySelector("{canvas}");
          const {{ width, height }} = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const xs = [], ys = [];
          for (let i = 0; i < width * height; i += 1) if (data[4 * i + 3] > 128) {{
            xs.push(i % width); ys.push(Math.floor(i / width));
          }}
          [Math.min(...xs) / width, Math.min(...ys) / height,
           Math.max(...xs) / width, Math.max(...ys) / height] }}"""
    )
    (label,) = [
        one
        for one in _labels(page)
        if dict(one["facts"])["Image"] == tab.locator(".facts dd").first.inner_text()
    ]
    width, height = label["size"]
    boxes = np.array([face["box"] for face in label["faces"]])
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    expected = [*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)]
    assert drawn == pytest.approx(np.array(expected) / [width, height, width, height], abs=0.02)


def _labels(page: Path) -> list[Any]:
    (file,) = page.parent.rglob("*.js")
    told = re.sub(r"^takeLabels\(0, |\);\s*$", "", file.read_text(encoding="utf-8"))
    found: list[Any] = json.loads(told)
    return found


def test_images_are_filtered_and_ordered(tab: Page) -> None:
    before = tab.locator(".card img").evaluate_all("(all) => all.map((it) => it.src)")
    certain = [float(it) for it in tab.locator(".card b").all_inner_texts()]
    assert certain[: len(PORTRAITS)] == sorted(certain[: len(PORTRAITS)])

    tab.get_by_label("Split").select_option("train")
    assert shown(tab) == ["train"] * 2
    assert tab.locator(".controls output").inner_text() == f"2 of {SHOWN} shown"
    tab.get_by_label("Split").select_option("")
    tab.get_by_label("Verdict").select_option("Face not sharp enough")
    assert shown(tab) == ["Face not sharp enough"]
    tab.get_by_label("Verdict").select_option("released")
    tab.get_by_label("Labels by").select_option("annotator-1")
    assert len(shown(tab)) == 1
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_label("Order").select_option("-confidence")
    after = tab.locator(".card img").evaluate_all("(all) => all.map((it) => it.src)")
    assert sorted(after) == sorted(before)
    assert after != before
    tab.get_by_label("Id or author").fill("nobody")
    assert tab.get_by_text("No image fits this choice.").is_visible()


def test_overlays_are_switched_by_mouse_and_key(tab: Page) -> None:
    least = inked(tab)
    for name, key in (("landmarks", "l"), ("box", "b"), ("pose", "p"), ("person", "m")):
        box = tab.get_by_role("checkbox", name=name)
        box.set_checked(False)
        without = inked(tab)
        box.set_checked(True)
        assert inked(tab) > without
        tab.locator(".card .frame").first.focus()
        tab.keyboard.press(key)
        assert not box.is_checked()
        assert inked(tab) == without
    assert inked(tab) < least


def test_what_people_changed_is_drawn_and_sorted_by(tab: Page) -> None:
    tab.get_by_label("Order").select_option("-moved")
    without = inked(tab)
    tab.get_by_label("before people's edits").check()
    assert inked(tab) > without
    tab.locator(".card .frame").first.click()
    facts = tab.locator(".facts").inner_text()
    assert re.search(r"Corrected by\s+\d+\.\d % of the eye corners' distance", facts)


def test_an_image_is_enlarged_and_left_by_keyboard_alone(tab: Page) -> None:
    tab.locator(".card .frame").nth(1).focus()
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Enter")
    assert title(tab) == f"Image 1 of {SHOWN}"
    frame = tab.locator("#viewer .frame").bounding_box()
    assert frame
    assert frame["width"] > 400
    tab.keyboard.press("ArrowRight")
    assert title(tab) == f"Image 2 of {SHOWN}"
    tab.keyboard.press("Escape")
    assert not tab.locator("#viewer").is_visible()
    until(tab, "document.activeElement.closest('.card')?.dataset.image === '1'")


def test_a_link_shows_what_its_sender_saw(tab: Page, chromium: Browser) -> None:
    tab.get_by_label("Split").select_option("test")
    tab.get_by_label("Order").select_option("-confidence")
    tab.get_by_label("box").uncheck()
    tab.locator(".card .frame").nth(2).click()
    other = chromium.new_page()
    other.goto(tab.url)
    entries = other.evaluate("history.length")
    assert title(other) == "Image 3 of 5"
    assert not other.get_by_label("box").is_checked()
    other.keyboard.press("ArrowLeft")
    assert title(other) == "Image 2 of 5"
    assert shown(other) == ["test"] * 5
    other.keyboard.press("Escape")
    until(other, "!location.hash.includes('image=')")
    assert other.evaluate("history.length") == entries
    other.close()


def test_back_closes_an_enlarged_image_and_nothing_else(tab: Page) -> None:
    # The address is written after the image is closed.
    closed = "location.hash === '#split=test&draw=box'"
    tab.get_by_label("Split").select_option("test")
    entries = tab.evaluate("history.length")
    tab.locator(".card .frame").nth(1).click()
    tab.keyboard.press("ArrowRight")
    tab.locator("#viewer").get_by_label("landmarks").uncheck()
    tab.reload()
    assert title(tab) == "Image 3 of 5"
    tab.go_back()
    until(tab, closed)
    assert not tab.locator("#viewer").is_visible()
    assert shown(tab) == ["test"] * 5
    tab.go_forward()
    assert title(tab) == "Image 3 of 5"
    tab.keyboard.press("Escape")
    until(tab, closed)
    tab.locator(".card .frame").first.click()
    tab.locator("#viewer").get_by_role("button", name="Close").click()
    until(tab, closed)
    assert tab.evaluate("history.length") == entries + 1
    tab.go_back()
    assert tab.url == "about:blank"


def test_back_from_a_link_to_an_image_leads_to_the_link(tab: Page) -> None:
    link = tab.get_by_text("Its labels").first
    link.click()
    assert title(tab).startswith("Image ")
    tab.go_back()
    until(tab, "document.activeElement.textContent === 'Its labels'")
    assert not tab.locator("#viewer").is_visible()


def test_a_section_is_gone_to_without_losing_what_is_shown(
    tab: Page, chromium: Browser, page: Path
) -> None:
    tab.get_by_label("Split").select_option("test")
    address = tab.url
    link = tab.get_by_role("navigation", name="Sections").get_by_text("Parity")
    link.click()
    until(tab, "document.activeElement.id === 'parity'")
    assert 0 <= tab.evaluate("document.getElementById('parity').getBoundingClientRect().top") < 450
    assert tab.url == address
    tab.go_back()
    until(tab, "document.querySelector('header nav').getBoundingClientRect().top >= 0")
    assert tab.url == address
    assert shown(tab) == ["test"] * 5
    tab.get_by_role("button", name="Clear").click()
    until(tab, "!location.hash")
    link.click()
    assert tab.url.endswith("#parity")

    plain = chromium.new_page(java_script_enabled=False)
    plain.goto(page.as_uri())
    plain.get_by_role("navigation", name="Sections").get_by_text("Parity").click()
    assert plain.url.endswith("#parity")
    plain.close()


def test_a_link_leads_to_its_section(chromium: Browser, page: Path) -> None:
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{page.as_uri()}#parity")
    tab.wait_for_timeout(200)
    assert tab.url.endswith("#parity")
    top = tab.evaluate("document.getElementById('parity').getBoundingClientRect().top")
    assert 0 <= top < 450
    tab.close()


def test_overlays_are_switched_where_an_image_is_enlarged(tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.locator(".card .frame").first.click()
    canvas = "#viewer canvas"
    before = inked(tab, canvas)
    tab.locator("#viewer").get_by_label("landmarks").uncheck()
    assert inked(tab, canvas) < before
    assert "draw=box" in tab.url
    tab.locator("#viewer").get_by_role("button", name="Close").click()
    assert not tab.locator(".bar").get_by_label("landmarks").is_checked()


def test_parity_leads_from_its_verdicts_to_the_worst_images(
    tab: Page, complaints: list[str]
) -> None:
    tab.locator("#parity tbody a").first.click()
    assert tab.locator("#comparison-1 > summary").is_visible()
    assert are_pictures_there(tab, ".worst img")
    assert tab.locator(".worst img").count() == len(PORTRAITS)
    assert are_pictures_there(tab, "#parity .chart img")
    tab.get_by_text("Its labels").first.click()
    assert title(tab).startswith("Image ")
    assert complaints == []


def test_a_member_of_a_group_leads_to_its_image(tab: Page) -> None:
    tab.get_by_label("Split").select_option("test")
    tab.locator(".group a").first.click()
    assert title(tab).startswith("Image ")
    assert re.search("split=test.*image=", tab.url)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_serious_barrier_is_found(
    tab: Page, scheme: str, width: int, complaints: list[str]
) -> None:
    found = look(tab, scheme, width)
    tab.locator(".card .frame").first.click()
    assert [*found, *barriers(tab)] == []
    assert complaints == []


def test_on_a_phone_what_was_rejected_is_seen_whole(tab: Page) -> None:
    tab.set_viewport_size({"width": WIDTHS[0], "height": 844})
    assert are_pictures_there(tab, "#rejected .chart img")
    room, chart = (
        tab.locator(f"#rejected {it}").bounding_box() for it in (".scroll", ".chart img")
    )
    assert room
    assert chart
    assert chart["width"] <= room["width"]
    assert tab.locator("#rejected .scroll").evaluate("(it) => it.scrollWidth <= it.clientWidth")
    lines = tab.locator(".reason.head .number").evaluate(
        """(it) => { const range = document.createRange();
          range.selectNodeContents(it); return range.getClientRects().length }"""
    )
    assert lines == 1


def test_empty_cells_are_framed_as_those_with_too_few_are(tab: Page) -> None:
    address = str(tab.locator("#slices .chart img").get_attribute("src"))
    svg = base64.b64decode(address.partition(",")[2]).decode()
    words = re.findall(r">(0|&lt;10|withheld)</text>", svg)
    assert set(words) == {"0", "&lt;10"}
    frames = re.findall(r'<path [^>]*="rect mark"[^>]* stroke="#d9d8d2"', svg)
    assert len(frames) == len(words)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_charts_follow_the_screens_scheme(tab: Page, scheme: str) -> None:
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    current = "document.querySelector('#slices .chart img').currentSrc"
    light = tab.locator("#slices .chart img").get_attribute("src")
    assert (tab.evaluate(current) == light) == (scheme == "light")


def _many(page: Path, folder: Path, count: int) -> Path:
    """The page of a release of so many images: the portraits of `page`, each with other bytes."""
    blobs = BlobStore(str(folder / "blobs"))
    work = page.parent.parent / "work"
    items = list(read_records(work / "items/00000.jsonl", DatasetItem))
    attributions = list(read_records(work / "attributions/00000.jsonl", Attribution))
    originals = BlobStore(str(page.parent.parent / "blobs"))
    jpegs = [
        place for place, one in enumerate(attributions) if one.image.media_type == "image/jpeg"
    ]
    contents = [originals.get(items[place].annotation.image_id) for place in jpegs]
    rows = []
    for number in range(count):
        kind = number % len(jpegs)
        item, attribution = items[jpegs[kind]], attributions[jpegs[kind]]
        content = contents[kind]
        # A comment, behind the mark where the file begins.
        content = content[:2] + b"\xff\xfe\x00\x0a" + f"{number:08}".encode() + content[2:]
        image_id = blobs.put(content)
        renamed = {"image_id": image_id}
        rows.append(
            (
                item.model_copy(
                    update=renamed
                    | {
                        "annotation": item.annotation.model_copy(update=renamed),
                        "group_id": f"{number:016x}",
                    }
                ),
                Attribution(
                    image=attribution.image.model_copy(
                        update=renamed | {"size_bytes": len(content)}
                    ),
                    sighting=attribution.sighting.model_copy(update=renamed),
                ),
            )
        )
    rows.sort(key=lambda row: row[1].image.image_id)
    rows = [
        (item.model_copy(update={"image_shard": place // 1000}), attribution)
        for place, (item, attribution) in enumerate(rows)
    ]
    release = _built(folder, blobs, rows)
    return render(release, [], [], folder / "report" / "index.html", f"{count} portraits")


@pytest.mark.timeout(900)
@pytest.mark.thorough  # a release of 10,000 images takes a minute to make
def test_of_ten_thousand_images_the_first_is_seen_within_two_seconds(
    chromium: Browser, page: Path, tmp_path: Path
) -> None:
    many = _many(page, tmp_path, 10_000)
    opened = chromium.new_page(viewport={"width": 1280, "height": 1400})
    opened.add_init_script(
        """document.addEventListener("load", ({ target }) => {
          if (target.closest?.(".card")) window.firstSeen ??= performance.now();
        }, true)"""
    )
    opened.goto(many.as_uri())
    until(opened, "window.firstSeen")
    seen_ms = opened.evaluate("window.firstSeen")
    assert opened.locator(".controls output").inner_text() == "10000 shown"
    before = opened.evaluate("performance.now()")
    opened.get_by_label("Split").select_option("test")
    assert opened.locator(".card").count() == 96
    filtered_ms = opened.evaluate("performance.now()") - before
    opened.get_by_label("Split").select_option("")
    opened.locator(".pager button").last.click()
    opened.reload()
    assert opened.locator(".pager span").inner_text() == "97 to 192 of 10000"
    opened.close()
    print(f"first picture after {seen_ms:.0f} ms, filtered within {filtered_ms:.0f} ms")
    assert seen_ms < 2000
    assert filtered_ms < 1000
