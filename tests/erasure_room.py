"""A small real workspace: a gallery crawled, labelled, before annotators, and released twice."""

import errno
import fcntl
import html
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from forked import forked_clean
from loopback import Answer, Site, page, serving, sitemap
from PIL import Image

import flows.cli
import flows.erase
from curation.convert import convert
from flows.annotate import push
from flows.asked import Asked
from flows.crawl import crawl
from flows.release import release
from flows.report import report
from mirrorset.commands import git
from mirrorset.elsewhere import note
from mirrorset.erasure import Certificate
from mirrorset.load import open_release
from mirrorset.pixels import decode
from mirrorset.records import (
    Annotation,
    Face,
    ImageRecord,
    Landmarks,
    Lighting,
    ModelRef,
    Pose,
    Quality,
    Sighting,
    Verdict,
)
from mirrorset.workspace import Workspace, init, open_workspace

COUNT, LATER = 6, 12
#: Runs as a formula, in HTML and in Markdown wherever it is not escaped.
AUTHOR = (
    "=cmd|'/C calc'!A1</script><!--<script>alert(1)</script><img src=x onerror=alert(2)>"
    "[Ann](javascript:alert(3)) | **Bo** {{ 7*7 }} 'C' \"D\" &lt;e&gt;"
)
#: Changes to files that a whole erasure makes, at the least: kills are drawn from all of them.
CHANGES = 1800
VERSIONS = ("0.1.0", "0.2.0")
SUCCESSORS = ("0.1.1", "0.2.1")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIDE_PX = 256
MESH = ModelRef(name="mesh", sha256="a" * 64, licence="Apache-2.0", is_commercial_use_allowed=True)
QUALITY = Quality(
    inter_eye_distance_px=80.0,
    head_size=0.5,
    sharpness=300.0,
    luminance_mean=0.5,
    luminance_variance=0.04,
    under_exposure=0.01,
    over_exposure=0.01,
    dynamic_range=6.5,
    illumination_uniformity=0.7,
    eyes_open=0.07,
    mouth_closed=0.01,
    margin_left=2.0,
    margin_right=2.0,
    margin_above=1.5,
    margin_below=2.5,
)


def release_twice(root: Path) -> None:
    """Make a workspace, root/faces, with two pushed releases, an archive, a report, a conversion.

    The first release has the pictures that were before annotators, the second those that came
    later besides. root/port: of the site, which may come back at the same address.
    """
    with serving() as site:
        (root / "port").write_text(str(urlsplit(site.url).port))
        fill(site, COUNT)
        workspace = made(root / "faces", site, str(root / "remote"))
        assert next(iter(crawl(workspace.home).values())).stored == COUNT
        label_all(workspace)
        push(workspace.home)
        assert release(workspace.home).version == VERSIONS[0]
        fill(site, LATER)
        crawl(workspace.home)
        label_all(workspace)
        assert release(workspace.home).version == VERSIONS[1]
    report(workspace.home)
    convert_somewhere(workspace, VERSIONS[1], root / "coco", "coco")


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by the first of the processes that ask for it; the others wait."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def copied(released: Path, copy: Path) -> Path:
    """A copy of what `release_twice` made, all of whose addresses are its own."""
    shutil.copytree(released, copy, symlinks=True)
    home = copy / "faces"
    for file in (home / ".dvc/config", home / ".mirrorset/made-elsewhere.txt"):
        file.write_text(file.read_text().replace(str(released), str(copy)))
    git(home, "commit", "--quiet", "--all", "--message", "The remote has moved")
    return copy


def places(workspace: Workspace, version: str) -> dict[str, tuple[str, str, int]]:
    """Group, split and image shard of each image of a version, by its id."""
    return {
        item.image_id: (item.group_id, item.split, item.image_shard)
        for item in open_release(workspace.release("faces", version))
    }


def erased(workspace: Workspace, asked: Asked) -> Certificate:
    """As `mirrorset erase` does it, without Prefect's engine, which takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        without_engine(patch)
        erasure_id = flows.erase.order(workspace.home, asked)
        assert erasure_id is not None
        return flows.erase.erase(workspace.home, erasure_id)


def without_engine(patch: pytest.MonkeyPatch) -> None:
    """Let flows and tasks of an erasure run as the functions that they are."""
    patch.setattr(flows.erase, "carry_out", flows.erase.carry_out.fn)
    patch.setattr(flows.erase, "erase", flows.erase.erase.fn)


@dataclass(frozen=True)
class Ended:
    """How a process of its own came to its end. changes: that it made to files, as far as asked."""

    exit_code: int
    said: str
    changes: int

    @property
    def is_killed(self) -> bool:
        return self.exit_code == -signal.SIGKILL


def command(
    home: Path,
    *options: str,
    before: Callable[[], None] = lambda: None,
    kill_at: int = 0,
    full_at: int = 0,
) -> Ended:
    """`mirrorset erase` in a process of its own, forked, so that nothing is imported anew.

    before: is done in it first. kill_at: it SIGKILLs itself before its change to files of this
    number: a file opened to be written, renamed or removed, or a program started. full_at: from
    that change on there is no room for the files that it opens to write.
    """

    def child(said: Path, counted: Path) -> None:
        out = os.open(said, os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        count, changes = os.open(counted, os.O_WRONLY | os.O_CREAT), 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal changes
            is_written = event == "open" and _is_to_write(*arguments)
            if is_written or event in _CHANGES:
                changes += 1
                os.pwrite(count, str(changes).encode(), 0)
                if changes == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                if is_written and 0 < full_at <= changes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch = pytest.MonkeyPatch()
        without_engine(patch)
        patch.setattr("flows.guard.start", lambda: None)
        patch.setattr(sys, "argv", ["mirrorset", "erase", *options, "--home", str(home)])
        before()
        sys.addaudithook(watch)
        flows.cli.main()

    with tempfile.TemporaryDirectory() as scratch:
        said, counted = Path(scratch) / "said", Path(scratch) / "counted"
        process = forked_clean(partial(child, said, counted))
        process.join(300)
        assert process.exitcode is not None
        return Ended(process.exitcode, said.read_text(), int(counted.read_text() or 0))


_CHANGES = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"),
    *("shutil.copyfile", "subprocess.Popen", "sqlite3.connect"),
}


def _is_to_write(path: object, _mode: object, flags: object) -> bool:
    is_device = isinstance(path, str) and path.startswith("/dev/")
    is_to_write = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return bool(is_to_write) and not is_device


def picture(number: int) -> bytes:
    """Clouds, another for each number: no two are near-duplicates."""
    coarse = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    out = io.BytesIO()
    clouds = Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    clouds.save(out, "JPEG", quality=90)
    return out.getvalue()


def fill(site: Site, count: int) -> None:
    """Pages /p/N.html, each with one picture, whose author calls himself AUTHOR."""
    said = f'<meta name="author" content="{html.escape(AUTHOR)}">'
    for n in range(count):
        site.answers[f"/p/{n}.html"] = page(f"/i/{n}.jpg", extra=said)
        site.answers[f"/i/{n}.jpg"] = Answer(picture(n))
    site.answers["/sitemap.xml"] = sitemap(site, [f"/p/{n}.html" for n in range(count)])


def made(home: Path, site: Site, remote: str) -> Workspace:
    """A workspace that crawls `site` and takes labels as they come."""
    workspace = init(home, remote)
    params = yaml.safe_load(workspace.params_file.read_text())
    params["dataset"]["is_unreviewed"] = True
    params["crawl"] = {
        "sources": [{"source": "gallery", "url": f"{site.url}/sitemap.xml"}],
        "allow_addresses": ["127.0.0.0/8"],
        "politeness": {"start_delay_s": 0, "max_delay_s": 0.02, "retries": 1},
    }
    params["ledger"] |= {"images_per_shard": 3, "train": 0.5, "val": 0.2, "test": 0.3}
    workspace.params_file.write_text(yaml.safe_dump(params))
    return open_workspace(home)


def label_all(workspace: Workspace) -> None:
    """A face on every picture that has none, its points all over the middle."""
    with workspace.catalogue() as catalogue:
        known = {one.image_id for one in catalogue.read(Annotation)}
        for image in list(catalogue.read(ImageRecord)):
            if image.image_id not in known:
                catalogue.upsert(
                    [
                        _label(image.image_id),
                        Verdict(image_id=image.image_id, check="adult", passed=True),
                    ]
                )


def _label(image_id: str) -> Annotation:
    turns = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = 128 + 60 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    points[36:42], points[42:48] = (88, 110), (168, 110)
    points[48], points[54] = (100, 170), (156, 170)
    # Its own figures, by which it is found again wherever labels are kept.
    points[0] = own_point(image_id)
    return Annotation(
        image_id=image_id,
        faces=(
            Face(
                face_id="0",
                box=(50.0, 50.0, 206.0, 206.0),
                score=0.9,
                landmarks={
                    "ibug68": Landmarks(
                        points=tuple(map(tuple, points.round(4).tolist())),
                        visibility=(2,) * 68,
                        confidence=(0.75,) * 68,
                    )
                },
                uncertainty=0.02,
                pose=Pose(yaw_deg=2.0, pitch_deg=-3.5, roll_deg=0.25),
                lighting=Lighting(side="left", level=0.5, evenness=0.8, colour_cast=0.0),
                quality=QUALITY,
                attributes={"occlusion": "none"},
            ),
        ),
        tags={"lighting": "left"},
        origin="model",
        by="research",
        models=(MESH,),
        schema_version="selfie-3",
        made_at=AT,
    )


def own_point(image_id: str) -> tuple[float, float]:
    """A landmark that no other image's face has, in px to 2 decimals."""
    return 60 + int(image_id[:4], 16) % 6000 / 100, 60 + int(image_id[4:8], 16) % 6000 / 100


@dataclass(frozen=True)
class Traces:
    """What there is to be found of an image."""

    image_id: str
    content: bytes
    page_url: str

    @property
    def words(self) -> list[bytes]:
        x, y = own_point(self.image_id)
        return [
            self.image_id.encode(),
            self.image_id[:16].encode(),
            self.page_url.encode(),
            f"[{x},{y}]".encode(),
            f"{x:.2f},{y:.2f}".encode(),
            # Any stretch of the compressed picture.
            self.content[len(self.content) // 2 :][:64],
        ]

    def is_in(self, path: Path) -> bool:
        """Whether a file holds any of it: plain, in Parquet, in a zip, as an array of pixels."""
        content = path.read_bytes()
        if any(word in content for word in self.words):
            return True
        if content[:4] == b"PAR1":
            return any(
                self.image_id in str(row.get("image_id")) or row.get("bytes") == self.content
                for row in pq.read_table(path).to_pylist()
            )
        if content[:2] == b"PK":
            shutil.unpack_archive(path, path.parent / f"{path.name}.unpacked", "zip")
            unpacked = path.parent / f"{path.name}.unpacked"
            found = any(self.is_in(one) for one in unpacked.rglob("*") if one.is_file())
            shutil.rmtree(unpacked)
            return found
        if content[:3] == b"\xff\xd8\xff":
            own = decode(self.content)
            other = decode(content)
            return own.shape == other.shape and bool(np.array_equal(own, other))
        return False


def traces(workspace: Workspace, number: int) -> Traces:
    """Those of the picture of page `number`."""
    with workspace.catalogue() as catalogue:
        seen = next(
            one for one in catalogue.read(Sighting) if one.image_url.endswith(f"/i/{number}.jpg")
        )
    return Traces(seen.image_id, workspace.blobs.get(seen.image_id), seen.page_url)


def found_in(folders: list[Path], sought: Traces) -> Iterator[Path]:
    """The files below the folders that hold any trace."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and sought.is_in(path):
                yield path


def convert_somewhere(workspace: Workspace, version: str, out: Path, form: str) -> None:
    """As `mirrorset release convert` does."""
    note(workspace.home, out)
    convert(open_release(workspace.release(workspace.dataset.name, version)), out, form)
