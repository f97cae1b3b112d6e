"""Makes the pictures of this documentation: pages on public-domain portraits, in Chromium.

    python docs/pictures.py FOLDER    # with congress_pd_gray/ and pd_portraits/

FOLDER holds portraits by the United States Government, which are in the public domain. They are
labelled by the profile `commercial`; one is moved as a person might, so that an edit is seen. Those
of the test split are a parity pack, on which variants of the models run. What annotators make of
the portraits is planted, by seed.
"""

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from annotation.checks import CheckParams
from annotation.qa import QaParams, assess
from annotation.schema import load_label_schema
from curation.build import build
from curation.records import Attribution
from faces.profiles import load_profile
from faces.schema import load_schema
from flows.judging import show_one
from mirrorset.blobs import BlobStore
from mirrorset.files import write_bytes, write_parts, write_records, write_text
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, decode, inspect
from mirrorset.records import Annotation, DatasetItem, Evidence, Licence, Sighting, Split
from parity.both import Both
from parity.compare import compare, write_comparison
from parity.forensics.explain import explain, keep, open_models
from parity.gates import gates_file, load_gates
from parity.kernels import Kernel
from parity.models import model_files
from parity.pack import PackParams, open_pack, seal
from parity.run import reference_of, run
from parity.variants import variant_files
from reports.page import Private, render
from reports.qa_page import render_qa
from reports.shown import credit

_AT = datetime(2026, 1, 2, tzinfo=UTC)
_PICTURES = Path(__file__).with_name("pictures")
_CACHE = Path(platformdirs.user_cache_dir("mirrorset")) / "models"
_PUBLIC = Licence(code="PD")
_AUTHOR = "United States Government"
_SPLITS: tuple[Split, ...] = ("train", "test", "train", "test", "val")
#: What runs on the pack: kernel and recipe, "" for the models as they are.
_RUNS: tuple[tuple[Kernel, str], ...] = (
    ("optimised", ""),
    ("xnnpack", ""),
    ("xnnpack_fp16", ""),
    ("xnnpack", "weight_only_int8"),
    ("xnnpack", "dynamic_int8"),
)
#: Standard deviation of a coordinate and how far the jaw is set outwards, by annotator, over the
#: eye corners' distance.
_ERRORS = {"annotator-1": (0.008, 0.0), "annotator-2": (0.018, 0.02), "annotator-3": (0.03, 0.08)}
_WEEKS, _ASSESSED = 4, 60
_DESKTOP, _PHONE = (1280, 820), (390, 780)


class _Shot(NamedTuple):
    """A picture. state: behind "#" in the address. place: what is opened, or scrolled to."""

    name: str
    page: str
    size: tuple[int, int]
    scheme: str
    state: str
    place: str


_SHOTS = (
    _Shot("report", "report", _DESKTOP, "light", "draw=landmarks+box+pose", "#images"),
    _Shot("report-dark", "report", _DESKTOP, "dark", "sort=-moved&draw=landmarks+before", ".frame"),
    _Shot("report-phone", "report", _PHONE, "light", "draw=landmarks", "#images"),
    _Shot("report-coverage", "report", (1280, 640), "light", "", "#slices"),
    _Shot("report-parity", "report", _DESKTOP, "light", "", "#parity"),
    _Shot("parity", "comparison", (1280, 1590), "light", "", "body"),
    _Shot("parity-worst", "comparison", _DESKTOP, "dark", "", ".worst"),
    _Shot("parity-phone", "comparison", _PHONE, "light", "", ".worst"),
    _Shot("quality", "quality", _DESKTOP, "light", "", "#annotators"),
    _Shot("quality-dark", "quality", _DESKTOP, "dark", "", "#disagreements"),
    _Shot("quality-phone", "quality", _PHONE, "light", "", "#disagreements"),
)


def make(folder: Path) -> None:
    """Label, build, run, render and photograph."""
    files = [
        *sorted((folder / "pd_portraits").glob("*.*g")),
        *sorted((folder / "congress_pd_gray").rglob("*.jpg"))[:90],
    ]
    with tempfile.TemporaryDirectory() as scratch:
        pages = pages_of(files, Path(scratch))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for shot in _SHOTS:
                width, height = shot.size
                tab = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=shot.scheme,  # type: ignore[arg-type]
                )
                tab.goto(f"{pages[shot.page].as_uri()}#{shot.state}")
                _photograph(tab, shot)


def _photograph(tab: Page, shot: _Shot) -> None:
    if shot.place == ".frame":
        tab.locator(shot.place).first.click()
    else:
        tab.locator(shot.place).first.evaluate("(it) => it.scrollIntoView()")
    tab.wait_for_timeout(1500)
    with Image.open(io.BytesIO(tab.screenshot())) as picture:
        out = io.BytesIO()
        picture.convert("RGB").save(out, "WEBP", quality=72)
    write_bytes(_PICTURES / f"{shot.name}.webp", out.getvalue())


def pages_of(files: list[Path], scratch: Path) -> dict[str, Path]:
    """The pages by name, made of these portraits."""
    blobs = BlobStore(str(scratch / "blobs"))
    rows, before = _labelled(files, blobs)
    release = _released(rows, before, blobs, scratch)
    parity = scratch / "parity"
    comparisons = list(_compared(release, parity))
    page = render(
        release,
        [],
        comparisons,
        scratch / "report" / "index.html",
        "portraits 1.0.0",
        private=Private(scratch / "snapshot", blobs),
    )
    told = scratch / "qa.json"
    write_text(told, _assessed(rows))
    quality = render_qa(
        told,
        scratch / "report" / "quality.html",
        "portraits: labels by people",
        lambda image_id: (decode(blobs.get(image_id)), credit(_AUTHOR, _PUBLIC)),
    )
    return {"report": page, "comparison": parity / "comparison.html", "quality": quality}


Rows = list[tuple[DatasetItem, Attribution]]


def _labelled(files: list[Path], blobs: BlobStore) -> tuple[Rows, list[Annotation]]:
    """Images with their labels, and the labels of the one that is moved as they were and are."""
    profile = load_profile("commercial", _CACHE)
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
    return rows, before


def _released(rows: Rows, before: list[Annotation], blobs: BlobStore, scratch: Path) -> Path:
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
    return release


def _compared(release: Path, folder: Path) -> Iterator[Path]:
    """The comparisons of all runs with what is sealed; and the page of the last alone."""
    params = PackParams(is_unreviewed=True, chain="smart_mirror")
    pack = open_pack(seal(release, folder / "pack", params, _CACHE))
    files = model_files(pack.chain, _CACHE)
    gates = load_gates(gates_file(pack.chain))
    for kernel, recipe in _RUNS:
        name = f"{recipe} {kernel}".strip().replace(" ", "-")
        own = files | _landmarks_by(recipe, files, folder)
        ran = run(pack, own, kernel, 1, folder / name, fed="images")
        comparison = compare(pack, reference_of(pack), ran, gates)
        out = folder / f"comparison-{name}.json"
        write_comparison(out, comparison)
        if comparison.has_failed:
            models = open_models(pack, ran, files, own)
            keep(pack, ran, explain(pack, ran, models), folder / f"why-{name}")
        yield out
    show_one(Both(pack, reference_of(pack), ran, pack), out, folder / "comparison.html")


def _landmarks_by(recipe: str, files: dict[str, Path], folder: Path) -> dict[str, Path]:
    if not recipe:
        return {}
    only = {"landmarks": files["landmarks"]}
    return variant_files(only, recipe, folder / "variants", None)  # type: ignore[arg-type]


def _assessed(rows: Rows) -> str:
    """qa.json: half of the images are gold for all, of the others two annotators each saw one."""
    random = np.random.default_rng(7)
    labels = []
    for number, (item, _) in enumerate(rows[:_ASSESSED]):
        sent = item.annotation.model_copy(update={"origin": "model", "by": "commercial"})
        at = _AT + timedelta(weeks=number * _WEEKS // _ASSESSED)
        names = list(_ERRORS)
        if number % 2:
            gold = sent.model_copy(update={"origin": "gold", "by": "expert", "made_at": at})
            people = [_by(name, sent, at, "replica", random) for name in names]
            labels.append([sent, gold, *people])
        else:
            first, second = names[number // 2 % 3], names[(number // 2 + 1) % 3]
            human = _by(first, sent, at, "human", random)
            labels.append([sent, human, _by(second, sent, at, "replica", random)])
    images = {one.image.image_id: one.image for _, one in rows}
    assessed = assess(labels, images, load_label_schema(), QaParams(), CheckParams())
    return assessed.report.model_dump_json()


def _by(
    name: str, sent: Annotation, at: datetime, origin: str, random: np.random.Generator
) -> Annotation:
    """The labels with the points that an annotator might set."""
    spread, jaw = _ERRORS[name]
    face, *others = sent.faces
    landmarks = face.landmarks["ibug68"]
    points = np.array(landmarks.points)
    unit_px = load_schema("ibug68").interocular_px(points)
    outwards = points[:17] - points.mean(axis=0)
    points = points + random.normal(0, spread * unit_px, points.shape)
    points[:17] += jaw * unit_px * outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    moved = landmarks.model_copy(update={"points": tuple(map(tuple, points.round(2).tolist()))})
    faces = (face.model_copy(update={"landmarks": {"ibug68": moved}}), *others)
    told = {"faces": faces, "origin": origin, "by": name, "batch_id": "b", "made_at": at}
    return sent.model_copy(update=told)


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
        licence=_PUBLIC,
        author=_AUTHOR,
        evidence=Evidence(licence_read_from="folder", licence_text="public domain", crawler="docs"),
        seen_at=_AT,
    )
    return Attribution(image=image, sighting=sighting)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(Path(sys.argv[1]))
