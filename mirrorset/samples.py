"""A release as numpy arrays, for training: map-style, picklable, split among workers and ranks.

It is what a PyTorch `DataLoader` takes as its dataset, without PyTorch being needed here:

    samples = mirrorset.load("selfie", "v1.2.0", split="train").samples("ibug68")
    loader = DataLoader(samples, batch_size=32, num_workers=4, collate_fn=mirrorset.batch,
                        sampler=samples.order(seed=epoch))
"""

import json
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError, IntegrityError, SettingsError
from mirrorset.shards import read_columns, read_content

if TYPE_CHECKING:
    from mirrorset.load import Release

S = TypeVar("S")
# Neighbours that are shuffled among each other: some row groups of one file.
_SHUFFLED_AT_ONCE = 48


class Arrays(TypedDict):
    """One image; F faces, K points of the landmark schema.

    image: (H, W, 3) uint8, RGB, upright. boxes: (F, 4) float32, xyxy px. landmarks: (F, K, 2)
    float32, xy px; NaN for a face without this schema. visibility: (F, K) int8, COCO's 2 visible,
    1 occluded, 0 outside the image or without this schema. Coordinates count from the corner of the
    top-left pixel.
    """

    image_id: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visibility: NDArray[np.int8]


class Batch(TypedDict):
    """B images with N faces in all.

    images: B arrays (H, W, 3) uint8, each of its own size. face_image: (N,) int64, to which of them
    a face belongs. boxes: (N, 4) float32. landmarks: (N, K, 2) float32. visibility: (N, K) int8.
    """

    image_ids: list[str]
    images: list[NDArray[np.uint8]]
    face_image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visibility: NDArray[np.int8]


def batch(samples: Sequence[Arrays]) -> Batch:
    """Samples as one: pictures side by side, faces one after the other. A loader's `collate_fn`."""
    faces = [len(sample["boxes"]) for sample in samples]
    return Batch(
        image_ids=[sample["image_id"] for sample in samples],
        images=[sample["image"] for sample in samples],
        face_image=np.repeat(np.arange(len(samples), dtype=np.int64), faces),
        boxes=np.concatenate([sample["boxes"] for sample in samples]),
        landmarks=np.concatenate([sample["landmarks"] for sample in samples]),
        visibility=np.concatenate([sample["visibility"] for sample in samples]),
    )


@dataclass(frozen=True)
class Samples(Generic[S]):
    """The images of a release as `Arrays`, or what `transform` makes of them, by index.

    Labels are read once, when the first is asked for or the length, and then held as arrays: about
    1 kB a face. A picture is read and decoded when its index is asked for.
    landmarks: the landmark schema whose points are given.
    """

    release: "Release"
    landmarks: str
    transform: Callable[[Arrays], S] | None = None

    def __len__(self) -> int:
        return len(self._labels.image_ids)

    def __getitem__(self, index: int) -> S:
        try:
            index = range(len(self))[operator.index(index)]
        except IndexError:
            raise IndexError(f"There are {len(self)} samples, and none at {index}.") from None
        # As in mirrorset.load: decoding brings SciPy.
        from mirrorset.pixels import decode  # noqa: PLC0415

        labels = self._labels
        image_id = labels.image_ids[index].decode()
        faces = slice(labels.starts[index], labels.starts[index + 1])
        sample = Arrays(
            image_id=image_id,
            image=decode(read_content(self.release.files, int(labels.shards[index]), image_id)),
            boxes=labels.boxes[faces].copy(),
            landmarks=labels.landmarks[faces].copy(),
            visibility=labels.visibility[faces].copy(),
        )
        return self.transform(sample) if self.transform else cast(S, sample)

    def order(self, *, seed: int | None = 0, part: int = 0, parts: int = 1) -> list[int]:
        """Indices in an order that reads each file once: a sampler for a loader.

        seed: another one, as the number of the epoch, gives another order; None leaves them
        unshuffled. Files are shuffled, then runs of neighbours within a file, then each run. part,
        parts: the share of one of several readers (a worker's id and their number, a rank and the
        world's size); the shares differ in length by 1 at most, and together are everything.
        """
        if not 0 <= part < parts:
            raise SettingsError(f"There is no part {part} of {parts}: count them from 0.")
        every = np.arange(len(self))
        if seed is not None:
            random = np.random.default_rng(seed)
            every = np.concatenate([every[:0], *_shuffled(self._labels.shards, random)])
        begin, end = (len(every) * edge // parts for edge in (part, part + 1))
        return cast(list[int], every[begin:end].tolist())

    def stream(self, *, seed: int | None = 0, part: int = 0, parts: int = 1) -> Iterator[S]:
        """The samples in the order of `order`: an iterable dataset's `__iter__`."""
        return (self[index] for index in self.order(seed=seed, part=part, parts=parts))

    @cached_property
    def _labels(self) -> "_Labels":
        return _read_labels(self.release, self.landmarks)


def _shuffled(
    shards: NDArray[np.int32], random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    for shard in random.permutation(np.unique(shards)):
        rows = np.flatnonzero(shards == shard)
        runs = np.split(rows, range(_SHUFFLED_AT_ONCE, len(rows), _SHUFFLED_AT_ONCE))
        for run in random.permutation(len(runs)):
            yield random.permutation(runs[run])


@dataclass(frozen=True)
class _Labels:
    """Of N images with M faces: ids (N,) S64, shards (N,), starts (N + 1,) of each one's faces."""

    image_ids: NDArray[np.bytes_]
    shards: NDArray[np.int32]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visibility: NDArray[np.int8]


def _read_labels(release: "Release", schema: str) -> _Labels:
    points = _points_of(release, schema)
    packed = [_packed(path, schema, points) for path in release.label_files()]
    columns = [np.concatenate(column) for column in zip(*packed, strict=True)]
    image_ids, shards, faces, boxes, landmarks, visibility = columns
    starts = np.concatenate([[0], np.cumsum(faces)])
    return _Labels(image_ids, shards, starts, boxes, landmarks, visibility)


def _points_of(release: "Release", schema: str) -> int:
    """K of a landmark schema."""
    path = release.files.path("labels.json")
    try:
        schemas = json.loads(path.read_text(encoding="utf-8"))["landmarks"]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `dvc pull` for the whole release.") from None
    if schema not in schemas:
        raise SettingsError(
            f"{release.card.name} {release.card.version} has no landmarks {schema!r}: name one of "
            f"{', '.join(schemas) or 'none'}."
        )
    return len(schemas[schema]["names"])


def _packed(path: Path, schema: str, points: int) -> tuple[NDArray[Any], ...]:
    """Of one file: image ids, shards, faces of each image; boxes, landmarks, visibility of all."""
    import pyarrow.compute as pc  # noqa: PLC0415  (as in mirrorset.load)

    table = read_columns(path, ["image_id", "image_shard", "faces"])
    faces = table["faces"].combine_chunks()
    face = faces.flatten()
    boxes = _floats(face.field("box")).reshape(-1, 4)
    landmarks = np.full((len(face), points, 2), np.nan, np.float32)
    visibility = np.zeros((len(face), points), np.int8)
    of_face = pc.list_parent_indices(face.field("landmarks"))
    marked = face.field("landmarks").flatten()
    is_wanted = pc.equal(marked.field("schema"), schema)
    rows = of_face.filter(is_wanted).to_numpy()
    wanted = marked.filter(is_wanted)
    try:
        landmarks[rows] = _floats(wanted.field("points").flatten()).reshape(-1, points, 2)
        visibility[rows] = _flat(wanted.field("visibility")).reshape(-1, points)
    except ValueError:
        raise IntegrityError(
            f"{path} holds landmarks {schema} of other lengths than the {points} points that "
            "labels.json names: run `dvc checkout` to restore it."
        ) from None
    return (
        np.array(table["image_id"].to_pylist(), "S64"),
        table["image_shard"].to_numpy().astype(np.int32),
        pc.list_value_length(faces).to_numpy(),
        boxes,
        landmarks,
        visibility,
    )


def _flat(lists: Any) -> NDArray[Any]:
    return cast(NDArray[Any], lists.flatten().to_numpy(zero_copy_only=False))


def _floats(lists: Any) -> NDArray[np.float32]:
    return _flat(lists).astype(np.float32)
