"""A pack: a sealed test set that a laptop, a phone or a C++ program can run.

pack.json           PackRecord: where it comes from, the model's spec, every file's sha256
items.jsonl         PackItem: one face a line; its index is the row in the arrays
left_out.jsonl      Rejected: images of the split without a usable face, and why
ATTRIBUTION.csv     author, licence and page of every original
images/             the released originals, by image_id
crops/              (N, S, S, 3) uint8 RGB: what the model sees, before input_range
transforms/         (N, 2, 3) float64: xy px of the original → xy px of the crop
reference/NAME/     (N, …) float32: each output on the reference kernels

The last three are arrays in files of their own for each image shard (`parity.arrays`).
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from os import cpu_count
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from mirrorset.errors import InputError, IntegrityError
from mirrorset.files import (
    folder_written_aside,
    read_records,
    write_bytes,
    write_records,
    write_text,
)
from mirrorset.load import open_release
from mirrorset.pixels import decode
from mirrorset.records import ModelRef, Record, Split
from mirrorset.spreadsheets import disarmed
from parity.arrays import array_file, array_files, read_array, write_array
from parity.litert import infer
from parity.models import DEFAULT_SPEC, default_model, default_model_ref, load_spec
from parity.preprocess import crop_transform, cut
from parity.records import ModelSpec, PackItem, PackRecord, ReviewState
from parity.slices import SliceParams
from parity.subjects import Subject, subjects_of


class PackParams(Record):
    """What to seal.

    split: of the release. min_interocular_px: faces whose labelled outer eye corners lie closer
    are left out, since errors are shares of that distance. spec, model: YAML and .tflite of a
    model of your own; without them the landmark model of face_landmarker.task.
    """

    split: Split = "test"
    min_interocular_px: Annotated[float, Field(gt=0)] = 10.0
    slices: SliceParams = SliceParams()
    spec: Path | None = None
    model: Path | None = None


@dataclass(frozen=True)
class Pack:
    """An opened pack, whose files have the sealed checksums."""

    path: Path
    record: PackRecord
    items: tuple[PackItem, ...]

    @cached_property
    def crops(self) -> list[NDArray[np.uint8]]:
        """By image shard (n, S, S, 3) uint8 RGB, read from disk as needed."""
        return open_crops(self.path / "crops")

    @cached_property
    def transforms(self) -> NDArray[np.float64]:
        """(N, 2, 3) float64: xy px of the original → xy px of the crop."""
        return read_array(self.path / "transforms")

    @cached_property
    def reference_outputs(self) -> dict[str, NDArray[np.float32]]:
        """(N, …) float32 by output name, as the reference kernels gave them when sealed."""
        return {
            name: read_array(self.path / "reference" / name) for name in self.record.spec.outputs
        }

    def require_faces(self) -> None:
        """Raise InputError where there is nothing to run on: the split had no usable face."""
        if not self.items:
            raise InputError(
                f"The pack {self.path} holds no face: label more images of the split "
                f"{self.record.split} (left_out.jsonl says what each lacks), or pack another split."
            )


def seal(
    release: Path,
    out: Path,
    params: PackParams,
    cache: Path,
    on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Seal a split of the release folder `release` as the pack folder `out`; returns `out`.

    The largest face of each image is the one tested. `cache` holds the model weights; `on_item` is
    called once per face when its reference outputs are there. The same release, params and machine
    give the same bytes. A split without a usable face gives a pack that holds none. Raises
    InputError where `out` is a folder that is no pack, SettingsError and UnavailableError where
    spec or model cannot be had.
    """
    if out.exists() and not (out / "pack.json").is_file():
        raise InputError(f"{out} exists and is no pack: choose another folder for the pack.")
    spec = load_spec(params.spec or DEFAULT_SPEC)
    model = params.model or default_model(cache)
    source = open_release(release, split=params.split)
    source.verify()
    subjects, left_out = subjects_of(source, spec, params.slices, params.min_interocular_px)
    with folder_written_aside(out) as aside:
        _write_images(subjects, aside, spec)
        _write_attribution(subjects, aside / "ATTRIBUTION.csv")
        write_records(aside / "items.jsonl", (subject.item for subject in subjects))
        write_records(aside / "left_out.jsonl", left_out)
        crops = open_crops(aside / "crops")
        result = infer(
            model, crops, spec, "reference", threads=1, at_once=cpu_count() or 1, on_item=on_item
        )
        shards = [subject.source.image_shard for subject in subjects]
        for name, values in result.outputs.items():
            write_array(aside / "reference" / name, values, shards)
        record = PackRecord(
            release=source.card.name,
            version=source.card.version,
            release_digest=source.card.digest,
            split=params.split,
            review_state=_review_state(subjects),
            item_count=len(subjects),
            left_out_count=len(left_out),
            spec=spec,
            model=_model_ref(params.model, result.key.model_sha256),
            reference_key=result.key,
            files=dict(sorted(_checksums(aside))),
            digest="",
        )
        write_text(aside / "pack.json", sealed(record).model_dump_json(indent=2) + "\n")
    return out


def sealed(record: PackRecord) -> PackRecord:
    """The record with the digest of all else that it says."""
    return record.model_copy(update={"digest": _digest(record)})


def open_pack(path: Path) -> Pack:
    """The pack at `path`, every byte of it verified.

    Raises InputError where it is no pack, IntegrityError naming the file that has changed.
    """
    try:
        text = (path / "pack.json").read_text(encoding="utf-8")
        record = PackRecord.model_validate_json(text)
    except (OSError, ValidationError):
        raise InputError(
            f"{path} is no pack of this version: make one with `mirrorset parity pack`."
        ) from None
    if record.digest != _digest(record):
        raise IntegrityError(
            f"{path / 'pack.json'} was changed after sealing: seal the pack again."
        )
    for name, sha256 in record.files.items():
        file = path / name
        if not file.is_file() or file_sha256(file) != sha256:
            raise IntegrityError(
                f"{file} is missing or was changed after sealing: copy or seal the pack again."
            )
    return Pack(path, record, tuple(read_records(path / "items.jsonl", PackItem)))


def open_crops(folder: Path) -> list[NDArray[np.uint8]]:
    """The crops of each image shard (n, S, S, 3), read from disk as needed."""
    return [np.asarray(np.load(file, mmap_mode="r")) for file in array_files(folder)]


def _write_images(subjects: list[Subject], folder: Path, spec: ModelSpec) -> None:
    """Write originals, crops and transforms, one image in memory at a time."""
    side_px = spec.input_px
    transforms = np.empty((len(subjects), 2, 3))
    by_shard = [list(own) for _, own in groupby(subjects, lambda one: one.source.image_shard)]
    (folder / "crops").mkdir()
    for own in by_shard or [[]]:
        shard = own[0].source.image_shard if own else 0
        crops = open_memmap(
            array_file(folder / "crops", shard),
            mode="w+",
            dtype=np.uint8,
            shape=(len(own), side_px, side_px, 3),
        )
        for row, subject in enumerate(own):
            content = subject.source.content()
            write_bytes(folder / subject.item.file, content)
            points = subject.face.landmarks[spec.label_schema].points
            corners = [points[corner] for corner in spec.eye_corners]
            transform = crop_transform(subject.face.box, corners, spec.crop_factor, side_px)
            transforms[subject.item.index] = transform
            crops[row] = cut(decode(content), transform, side_px)
        crops.flush()
    shards = [subject.source.image_shard for subject in subjects]
    write_array(folder / "transforms", transforms, shards)


def _write_attribution(subjects: list[Subject], path: Path) -> None:
    """The receipt that every licence asks to travel with the picture."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image_id", "author", "licence", "licence_url", "source", "page_url"])
    for subject in subjects:
        image = subject.source
        licence = f"{image.licence.code} {image.licence.version}".rstrip()
        fields = [image.image_id, image.author, licence, image.licence.url]
        fields += [image.source, image.page_url]
        rows.writerow(map(disarmed, fields))
    write_text(path, text.getvalue())


def _review_state(subjects: list[Subject]) -> ReviewState:
    reviewed = sum(subject.item.origin != "model" for subject in subjects)
    if reviewed == 0:
        return "unreviewed"
    return "reviewed" if reviewed == len(subjects) else "partly_reviewed"


def _model_ref(own_model: Path | None, sha256: str) -> ModelRef:
    if own_model is None:
        return default_model_ref(sha256)
    return ModelRef(
        name=own_model.stem, sha256=sha256, licence="not stated", is_commercial_use_allowed=False
    )


def _checksums(folder: Path) -> Iterator[tuple[str, str]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file_sha256(file)


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(record: PackRecord) -> str:
    return hashlib.sha256(record.model_dump_json(exclude={"digest"}).encode()).hexdigest()
