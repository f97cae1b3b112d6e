"""Makes the pictures of this documentation: reports on public-domain portraits, in Chromium.

    python docs/pictures.py FOLDER    # with congress_pd_gray/ and pd_portraits/

FOLDER holds portraits by the United States Government, which are in the public domain. They are
labelled by the profile `commercial`; one is moved as a person might, so that an edit is seen.
"""

import io
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from PIL import Image
from playwright.sync_api import sync_playwright

from curation.build import build
from curation.records import Attribution
from faces.profiles import load_profile
from mirrorset.blobs import BlobStore
from mirrorset.files import write_bytes, write_parts, write_records
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, decode, inspect
from mirrorset.records import Annotation, DatasetItem, Evidence, Licence, Sighting, Split
from reports.page import Private, render

_AT = datetime(2026, 1, 2, tzinfo=UTC)
_PICTURES = Path(__file__).with_name("pictures")
_SPLITS: tuple[Split, ...] = ("train", "train", "train", "test", "val")
#: Name, width and height in px, scheme, address behind "#", and what to do first.
_SHOTS = (
    ("report", 1280, 820, "light", "draw=landmarks+box+pose", "#images"),
    ("report-dark", 1280, 820, "dark", "sort=-moved&draw=landmarks+before", ".card .frame"),
    ("report-phone", 390, 780, "light", "draw=landmarks", "#images"),
    ("report-coverage", 1280, 640, "light", "", "#slices"),
)


def make(folder: Path) -> None:
    """Label, build, render and photograph."""
    files = [
        *sorted((folder / "pd_portraits").glob("*.*g")),
        *sorted((folder / "congress_pd_gray").rglob("*.jpg"))[:90],
    ]
    with tempfile.TemporaryDirectory() as scratch:
        page = _page(files, Path(scratch))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, width, height, scheme, state, place in _SHOTS:
                tab = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,  # type: ignore[arg-type]
                )
                tab.goto(f"{page.as_uri()}#{state}")
                if place.startswith("."):
                    tab.locator(place).first.click()
                else:
                    tab.locator(place).scroll_into_view_if_needed()
                    tab.evaluate(f"document.querySelector('{place}').scrollIntoView()")
                tab.wait_for_timeout(1500)
                with Image.open(io.BytesIO(tab.screenshot())) as shot:
                    out = io.BytesIO()
                    shot.convert("RGB").save(out, "WEBP", quality=80)
                write_bytes(_PICTURES / f"{name}.webp", out.getvalue())


def _page(files: list[Path], scratch: Path) -> Path:
    blobs = BlobStore(str(scratch / "blobs"))
    models = Path(platformdirs.user_cache_dir("mirrorset")) / "models"
    profile = load_profile("commercial", models)
    rows, before = [], []
    for number, file in enumerate(files):
        content = file.read_bytes()
        measures = profile.measure(decode(content))
        if not measures.faces:
            continue
        annotation = Annotation(
            image_id=blobs.put(content),
            faces=measures.faces,
            masks=measures.masks,
            origin="model",
            by=profile.name,
            models=profile.models,
            schema_version="selfie-3",
            made_at=_AT,
        )
        if number == 0:
            before.append(annotation)
            annotation = _moved(annotation)
            before.append(annotation)
        item = DatasetItem(
            image_id=annotation.image_id,
            group_id=f"{number:016x}",
            split=_SPLITS[number % len(_SPLITS)],
            image_shard=0,
            annotation=annotation,
        )
        rows.append((item, _attribution(content, file)))
    rows.sort(key=lambda row: row[0].image_id)
    work = scratch / "work"
    write_parts(work / "items", ((0, item) for item, _ in rows))
    write_parts(work / "attributions", ((0, attribution) for _, attribution in rows))
    write_records(scratch / "snapshot" / "annotations" / "00000.jsonl", before)
    release = scratch / "release"
    build(
        work,
        blobs,
        release,
        dataset=DatasetParams(name="portraits"),
        version="1.0.0",
        responsible=Responsible(),
    )
    out = scratch / "report" / "index.html"
    private = Private(scratch / "snapshot", blobs)
    return render(release, [], [], out, "portraits 1.0.0", private=private)


def _moved(annotation: Annotation) -> Annotation:
    face = annotation.faces[0]
    landmarks = face.landmarks["ibug68"]
    # The jaw, as far as the chin.
    points = tuple(
        (x + 10, y + 4) if place < 9 else (x, y) for place, (x, y) in enumerate(landmarks.points)
    )
    moved = landmarks.model_copy(update={"points": points})
    faces = (face.model_copy(update={"landmarks": {"ibug68": moved}}), *annotation.faces[1:])
    told = {"faces": faces, "origin": "human", "by": "annotator-1"}
    return annotation.model_copy(update=told)


def _attribution(content: bytes, file: Path) -> Attribution:
    image = inspect(content, PixelParams(min_side_px=100))
    sighting = Sighting(
        image_id=image.image_id,
        source="folder",
        source_item_id=file.name,
        page_url="https://www.usa.gov/government-works",
        image_url="",
        licence=Licence(code="PD"),
        author="United States Government",
        evidence=Evidence(licence_read_from="folder", licence_text="public domain", crawler="docs"),
        seen_at=_AT,
    )
    return Attribution(image=image, sighting=sighting)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(Path(sys.argv[1]))
