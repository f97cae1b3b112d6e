"""The page of real portraits in a real browser: it draws, filters, enlarges, asks no network."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from curation.build import build
from curation.records import Attribution
from faces.profiles import load_profile
from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
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
)
from reports.page import render

PORTRAITS = (
    "frl_london/neutral_front/005_03.jpg",
    "frl_london/neutral_front/006_03.jpg",
    "frl_london/smiling_front/005_08.jpg",
    "pd_portraits/astronaut.png",
    "pd_portraits/grace_hopper.jpg",
    "frl_lisa_cc0/lisa1.jpg",
    "frl_lisa_cc0/lisa2.jpg",
)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "<script>document.title = 'broken'</script><img src=https://example.org/x.png>"

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab of a headless Chromium, spoken to over its debugging pipe."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._to, self._from = to_browser, from_browser
        self._count = 0
        self._session = ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Send one command and return its answer; what the page says meanwhile is kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._receive()).get("id") != self._count:
            self._hear(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, address: str, width_px: int, height_px: int = 900) -> None:
        """Load the page in a window of that size and wait for its load event."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=height_px,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=address)
        while (event := self._receive()).get("method") != "Page.loadEventFired":
            self._hear(event)

    def value(self, expression: str) -> Any:
        """What the expression gives in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(text if kind == "keyDown" else {}),
            )

    def _receive(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser ended"
            message += byte
        received: dict[str, Any] = json.loads(message)
        return received

    def _hear(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(json.dumps(event["params"]))


@contextmanager
def browser_in(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile, ended with the block."""
    assert CHROMIUM
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    # The browser reads commands from file descriptor 3 and answers on 4.
    redirected = f'exec "$@" 3</proc/self/fd/{commands_out} 4>/proc/self/fd/{answers_in}'
    process = subprocess.Popen(
        ["sh", "-c", redirected, "sh", CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(commands_out, answers_in),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands_out)
    os.close(answers_in)
    with os.fdopen(commands_in, "wb") as to_browser, os.fdopen(answers_out, "rb") as from_browser:
        try:
            yield Browser(to_browser, from_browser)
        finally:
            process.terminate()
            process.wait(timeout=30)


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
    folder = tmp_path_factory.mktemp("report")
    blobs = BlobStore(str(folder / "blobs"))
    profile = load_profile("research", model_cache)
    rows = []
    for place, name in enumerate(PORTRAITS):
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
        item = DatasetItem(
            image_id=annotation.image_id,
            group_id="lisa" if "lisa" in name else name,
            split="test" if "frl" in name else "train",
            image_shard=place // 4,
            annotation=annotation,
        )
        rows.append((item, _attribution(content, name)))
    write_records(folder / "work" / "items/00000.jsonl", [item for item, _ in rows])
    write_records(
        folder / "work" / "attributions/00000.jsonl", [attribution for _, attribution in rows]
    )
    release = folder / "release"
    build(
        folder / "work",
        blobs,
        release,
        dataset=DatasetParams(name="faces"),
        version="0.1.0",
        responsible=Responsible(),
    )
    rejected = folder / "rejected.jsonl"
    write_records(
        rejected,
        [Rejected(item_id="gallery:1", step="crawl", reason=Reason.ROBOTS, detail=HOSTILE)],
    )
    return render(release, rejected, [], folder / "page.html", "Real portraits")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for the module's tests; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package `chromium` to look at pages")
    with browser_in(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The browser with the page freshly loaded at desktop width."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page.as_uri(), width_px=1280)
    return browser


def test_it_draws_all_without_complaint_or_request(opened: Browser, page: Path) -> None:
    drawn = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    assert opened.value(drawn)
    assert opened.value("document.querySelectorAll('.card').length") == len(PORTRAITS)
    assert opened.value("document.querySelectorAll('.card path.skeleton').length") >= len(PORTRAITS)
    assert opened.value("getComputedStyle(document.querySelector('.skeleton')).stroke") != "none"
    assert opened.value("document.querySelectorAll('.group img').length") == 2
    assert opened.complaints == []
    outside = [url for url in opened.requests if not url.startswith("data:")]
    assert outside == [page.as_uri()]


def test_hostile_text_stays_text(opened: Browser) -> None:
    assert opened.value("document.title") == "Real portraits"
    assert opened.value("document.scripts.length") == 1
    assert "<script>" in opened.value("document.querySelector('.facts').textContent")


def test_a_box_lies_on_its_picture(opened: Browser) -> None:
    """Where a box is drawn, as shares of the shown picture, is where its label puts it."""
    differences = opened.value(
        """[...document.querySelectorAll(".card")].flatMap((card) => {
          const [image, svg] = card.querySelector(".frame").children;
          const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
          const box = svg.querySelector(".box");
          const { x, y } = box.getBBox();
          const drawn = box.getBoundingClientRect();
          const frame = image.getBoundingClientRect();
          // object-fit: contain leaves equal margins on both sides.
          const [wide, high] = [image.naturalWidth, image.naturalHeight];
          const scale = Math.min(frame.width / wide, frame.height / high);
          const shown = { width: wide * scale, height: high * scale };
          return [
            (drawn.x - frame.x - (frame.width - shown.width) / 2) / shown.width - x / width,
            (drawn.y - frame.y - (frame.height - shown.height) / 2) / shown.height - y / height,
          ];
        })"""
    )
    assert len(differences) == 2 * len(PORTRAITS)
    assert all(abs(difference) < 0.02 for difference in differences)


def _choose(opened: Browser, name: str, value: str) -> None:
    opened.value(
        f"""{{
          const select = document.forms[0].elements[{json.dumps(name)}];
          select.value = {json.dumps(value)};
          select.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }}"""
    )


def _shown(opened: Browser) -> list[tuple[str, float]]:
    cards = opened.value(
        """[...document.querySelectorAll(".card:not([hidden])")].map(
          (card) => [card.dataset.split, Number(card.dataset.confidence)])"""
    )
    return [(split, confidence) for split, confidence in cards]


def test_images_are_filtered_and_ordered(opened: Browser) -> None:
    before = _shown(opened)
    assert [certain for _, certain in before] == sorted(certain for _, certain in before)

    _choose(opened, "split", "train")
    assert {split for split, _ in _shown(opened)} == {"train"}
    assert opened.value("document.querySelector('output').textContent") == "2 of 7 shown"

    _choose(opened, "split", "")
    _choose(opened, "order", "-1")
    assert _shown(opened) == before[::-1]


def test_overlays_can_be_switched(opened: Browser) -> None:
    display = "getComputedStyle(document.querySelector('.card {}')).display"
    for name, selector in (
        ("landmarks", ".skeleton"),
        ("boxes", ".box"),
        ("axes", "g.axes"),
        ("masks", "path.mask"),
    ):
        before = opened.value(display.format(selector)) == "none"
        opened.value(f"document.querySelector('[name={name}]').click()")
        assert (opened.value(display.format(selector)) == "none") != before


def test_an_image_is_enlarged_and_left_by_keyboard_alone(opened: Browser) -> None:
    opened.value("document.querySelector('.frame').focus()")
    opened.press("Enter")
    title = "document.querySelector('#viewer h2').textContent"
    assert opened.value("document.querySelector('#viewer').open")
    assert opened.value(title) == f"Image 1 of {len(PORTRAITS)}"
    assert opened.value("document.querySelector('#viewer .frame').clientWidth") > 400
    opened.press("ArrowRight")
    assert opened.value(title) == f"Image 2 of {len(PORTRAITS)}"
    opened.press("Escape")
    assert not opened.value("document.querySelector('#viewer').open")
    assert opened.value("document.activeElement.className") == "frame"


def test_a_link_to_an_image_opens_it(opened: Browser, page: Path) -> None:
    third = opened.value("document.querySelectorAll('.card')[2].id")
    opened.open("about:blank", width_px=1280)
    opened.open(f"{page.as_uri()}#{third}", width_px=1280)
    title = "document.querySelector('#viewer h2').textContent"
    assert opened.value(title) == "Image 3 of 7"
    opened.press("ArrowLeft")
    assert opened.value(title) == "Image 2 of 7"


def test_it_fits_a_phone(opened: Browser, page: Path) -> None:
    opened.open(page.as_uri(), width_px=390)
    opened.value("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    assert opened.value("document.documentElement.scrollWidth") == 390


def test_every_picture_and_control_has_a_name(opened: Browser) -> None:
    nameless = opened.value(
        """[...document.querySelectorAll("img, button, select, input")]
          .filter((it) => it.localName === "button" && it.className === "frame"
            ? !it.querySelector("img").alt
            : !(it.alt || it.ariaLabel || it.labels?.length || it.textContent.trim()))
          .map((it) => it.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
