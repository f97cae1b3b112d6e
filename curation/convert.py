"""A release in the forms that other tools read, such as COCO Keypoints."""

import csv
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Literal

from curation.formats import coco, pts, tfrecord, webdataset, yolo
from curation.formats.picture import Picture, picture_of
from faces.schema import load_schema
from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.files import folder_written_aside, write_text
from mirrorset.load import Item, Release
from mirrorset.records import Record, Sha256, Split
from mirrorset.spreadsheets import write_rows

Form = Literal["coco", "pts", "yolo", "webdataset", "tfrecord"]
_FORMS: dict[Form, ModuleType] = {
    "coco": coco,
    "pts": pts,
    "yolo": yolo,
    "webdataset": webdataset,
    "tfrecord": tfrecord,
}
_NAMED = 5


class Conversion(Record):
    """conversion.json: which release this is, and what of it.

    landmarks: the schema whose points were written; WebDataset's JSON, and that in TFRecords, has
    all. faces_left_out: those that the form cannot hold. unreviewed, is_unreviewed: as in the
    release's own card.
    """

    name: str
    version: str
    digest: Sha256
    form: Form
    landmarks: str
    splits: dict[Split, int]
    faces: int
    faces_left_out: int
    unreviewed: int
    is_unreviewed: bool


def convert(
    release: Release,
    folder: Path,
    form: Form,
    landmarks: str = "ibug68",
    on_image: Callable[[], None] = lambda: None,
) -> Conversion:
    """Write `release`, or the split of it that was opened, into `folder` in another form.

    Beside what the form asks for lie conversion.json and ATTRIBUTION.csv of these images. The same
    release gives the same bytes. Where it fails or is killed, there is no `folder`.

    Raises SettingsError where there is no such form or landmark schema, `folder` is not new, or
    what the form needs is not installed; IntegrityError naming the images that do not load.
    """
    if form not in _FORMS:
        raise SettingsError(f"There is no form {form!r}: use one of {', '.join(_FORMS)}.")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SettingsError(f"{folder} exists already: name a new folder, or remove this one.")
    schema = load_schema(landmarks)
    source = _Source(release, on_image)
    splits: list[Split] = [release.split] if release.split else list(release.card.splits)
    with folder_written_aside(folder) as aside:
        written = _FORMS[form].write(
            aside, {split: source.pictures(split) for split in splits}, schema
        )
        source.refuse_unreadable()
        _write_attribution(release.files.path("ATTRIBUTION.csv"), aside, source.image_ids)
        card = release.card
        conversion = Conversion(
            name=card.name,
            version=card.version,
            digest=card.digest,
            form=form,
            landmarks=landmarks,
            splits={split: card.splits[split] for split in splits},
            faces=written,
            faces_left_out=source.faces - written,
            unreviewed=card.unreviewed,
            is_unreviewed=card.is_unreviewed,
        )
        write_text(aside / "conversion.json", conversion.model_dump_json(indent=1) + "\n")
    return conversion


class _Source:
    """The pictures of a release, and what was found of them while they were read."""

    def __init__(self, release: Release, on_image: Callable[[], None]) -> None:
        self._release = release
        self._on_image = on_image
        self._unreadable: list[str] = []
        self.image_ids: set[str] = set()
        self.faces = 0

    def pictures(self, split: Split) -> Iterator[Picture]:
        """Those of one split that load, shard by shard."""
        for item in replace(self._release, split=split):
            self._on_image()
            if picture := self._loaded(item):
                self.image_ids.add(item.image_id)
                self.faces += len(item.faces)
                yield picture

    def refuse_unreadable(self) -> None:
        """Raise IntegrityError naming the images that did not load, if any."""
        if not self._unreadable:
            return
        named = ", ".join(self._unreadable[:_NAMED])
        more = len(self._unreadable) - _NAMED
        raise IntegrityError(
            f"{len(self._unreadable)} images of {self._release.folder} no longer load "
            f"({named}{f' and {more} more' if more > 0 else ''}): run `dvc pull`, or `dvc "
            "checkout` where they are damaged, and convert again; nothing was written."
        )

    def _loaded(self, item: Item) -> Picture | None:
        try:
            return picture_of(item)
        except (InputError, IntegrityError):
            self._unreadable.append(item.image_id)
            return None


def _write_attribution(source: Path, folder: Path, image_ids: Set[str]) -> None:
    """The rows of these images: whoever passes the pictures on owes them."""
    with (
        source.open(encoding="utf-8", newline="") as lines,
        (folder / "ATTRIBUTION.csv").open("w", encoding="utf-8", newline="") as out,
    ):
        rows = csv.reader(lines)
        head = [next(rows)]
        write_rows(out, chain(head, (row for row in rows if row[0] in image_ids)))
