"""A pack that needs no model: a chain whose two networks are played by a few lines of numpy."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from drawn_face import SIDE, drawn_points
from numpy.typing import NDArray
from PIL import Image

from faces.lending import Lending
from mirrorset.files import write_records, write_text
from mirrorset.geometry import transform
from mirrorset.records import ModelRef, ParityKey, Pose, Reason, Rejected
from parity.arrays import RowWriter, array_file
from parity.chain import Chain
from parity.engine import Engine, Given, Picture, look_at_all
from parity.pack import Pack, open_pack, sealed, write_slices
from parity.preprocess import place, value_table
from parity.recording import pack_rows
from parity.records import PackItem, PackNet, PackRecord, PackRule
from parity.rules.rule import answer_of, value_of
from parity.runtimes.tensors import TensorSpec
from parity.seals import checksums

CHAIN_TEXT = """
name: small
stages:
  finder:
    net: finder.tflite
    input: {region: whole, fit: stretch, width_px: 24, height_px: 24, scale: 0.00392156862745098}
    outputs: [regressors, scores]
    tolerances: {regressors: 0.01}
  face: {rule: ssd_face, of: [finder], side_px: 24, strides: [24], anchors_per_cell: [1]}
  marker:
    net: marker.tflite
    input: {region: face, align: eyes, factor: 1.5, width_px: 32, height_px: 32}
    outputs: [points, presence]
  points: {rule: image_points, of: [marker], count: 68, values: 2}
  presence: {rule: presence, of: [marker]}
  same: {rule: ibug68, of: [points], source: ibug68}
  pose: {rule: head_pose, of: [same]}
  expression: {rule: expression, of: [same]}
  lighting: {rule: lighting, of: [image, same]}
  from_best: {rule: from_best, of: [pose, expression, lighting]}
  hint: {rule: hint, of: [from_best]}
truth:
  label_schema: ibug68
  eye_corners: [36, 45]
  points: points
  label_points: {36: 36, 45: 45}
  presence: presence
  pose: pose
  lighting: lighting
"""
CHAIN = Chain.model_validate(yaml.safe_load(CHAIN_TEXT))
# The face that the finder finds, px of the picture: box, then eyes, nose, mouth, ears.
POINTS = drawn_points()
BOX = np.array([*POINTS.min(axis=0), *POINTS.max(axis=0)])
KEYPOINTS = np.array([POINTS[each] for each in (36, 45, 30, 51, 0, 16)])
FACE = np.array([*BOX, 1.0, *KEYPOINTS.ravel()])
# Pictures darker than this show no face.
DARKEST = 20


@dataclass
class PlayedSession:
    """A model that is a function; a `parity.runtimes.session.Session`. seen: what it was given."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    answer: Callable[[NDArray[Any]], list[NDArray[np.float32]]]
    delegated_share: float | None = None
    seen: list[NDArray[Any]] = field(default_factory=list)

    def infer(self, values: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """What the function gives for the one input."""
        (one,) = values
        self.seen.append(one)
        return self.answer(one)


def specs(*shapes: tuple[int, ...]) -> tuple[TensorSpec, ...]:
    """float32 tensors of these shapes."""
    return tuple(TensorSpec(name="", shape=shape, dtype="float32") for shape in shapes)


def sessions(shift_px: float = 0.0) -> dict[str, PlayedSession]:
    """The two networks; `shift_px` of the picture is how far right the marker puts its points."""
    return {
        "finder": PlayedSession(specs((1, 24, 24, 3)), specs((1, 1, 16), (1, 1, 1)), _find),
        "marker": PlayedSession(
            specs((1, 32, 32, 3)), specs((1, 136), (1, 1)), lambda values: _mark(values, shift_px)
        ),
    }


def _find(values: NDArray[Any]) -> list[NDArray[np.float32]]:
    """One anchor, in the middle of 24 px; what it says does not depend on light, whether does."""
    scale = 24 / SIDE
    centre, size = (BOX[:2] + BOX[2:]) / 2 * scale - 12, (BOX[2:] - BOX[:2]) * scale
    offsets = np.concatenate([centre, size, (KEYPOINTS * scale - 12).ravel()])
    logit = 5.0 if values.mean() * 255 > DARKEST else -5.0
    return [np.float32(offsets).reshape(1, 1, 16), np.full((1, 1, 1), logit, np.float32)]


def _mark(values: NDArray[Any], shift_px: float) -> list[NDArray[np.float32]]:
    """The drawn points in px of the input; the mouth opens with the light."""
    net = CHAIN.nets["marker"]
    into = place(net.input, SIDE, SIDE, FACE)
    points = POINTS + np.array([shift_px, 0.0])
    points[55:60, 1] += values.mean() / 16
    presence = np.float32([[values.mean() / 255]])
    return [np.float32(transform(points, into)).reshape(1, 136), presence]


def engine(shift_px: float = 0.0) -> Engine:
    """The chain with its played networks."""
    return Engine(CHAIN, sessions(shift_px))


def picture_bytes(light: int) -> bytes:
    """A PNG of 240×240 px, grey `light` on its left, half as light on its right."""
    pixels = np.full((SIDE, SIDE, 3), light, np.uint8)
    pixels[:, SIDE // 2 :] //= 2
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def key(kernel: str = "reference") -> ParityKey:
    """A key that tells nothing but its kernel."""
    return ParityKey(
        model_sha256="a" * 64, runtime="played", runtime_version="1", kernel=kernel,
        delegate="none", device="test", threads=1,
    )  # fmt: skip


def item(index: int, image_id: str, slices: dict[str, str] | None = None) -> PackItem:
    """An item whose labels are the drawn face's."""
    left, right = (tuple(map(float, POINTS[corner])) for corner in (36, 45))
    return PackItem.model_validate(
        {
            "index": index,
            "image_id": image_id,
            "face_id": "0",
            "file": f"images/{image_id}",
            "width_px": SIDE,
            "height_px": SIDE,
            "box": tuple(map(float, BOX)),
            "eye_corners": (left, right),
            "interocular_px": float(np.linalg.norm(POINTS[45] - POINTS[36])),
            "label_points": (left, right),
            "pose": Pose(yaw_deg=0.0, pitch_deg=float(index), roll_deg=0.0),
            "lighting": "front",
            "origin": "human",
            "slices": slices or {},
        }
    )


def make_pack(
    folder: Path,
    lights: Sequence[int],
    shards: Sequence[int] | None = None,
    slices: Sequence[dict[str, str]] | None = None,
    author: str = "A",
) -> Pack:
    """A sealed pack in `folder`: a picture for each of `lights`, the first of them the best photo.

    shards: of each picture, not falling; by itself all are of one. slices: of each picture.
    author: of all pictures, as CSV has it.
    """
    shards = shards or [0] * len(lights)
    items = [
        item(index, f"{index + 1:02x}" * 32, slices[index] if slices else None)
        for index in range(len(lights))
    ]
    (folder / "images").mkdir(parents=True)
    for one, light in zip(items, lights, strict=True):
        (folder / one.file).write_bytes(picture_bytes(light))
    pictures = [Picture(one, (folder / one.file).read_bytes) for one in items]
    looks = list(look_at_all(Lending(engine), map(Given, pictures), best=Given(pictures[0])))
    for shard in sorted(set(shards)):
        own = [row for row, each in enumerate(shards) if each == shard]
        with RowWriter(
            lambda array, own=shard: array_file(folder / array, own), len(own)
        ) as writer:
            for index in own:
                for array, value in pack_rows(looks[index]):
                    writer.put(array, value)
    for name, net in CHAIN.nets.items():
        np.save(folder / "nets" / name / "values.npy", value_table(net.input))
    write_records(folder / "items.jsonl", items)
    write_slices(folder / "slices.csv", items)
    left_out = Rejected(item_id="dd" * 32, step="parity", reason=Reason.NO_FACE)
    write_records(folder / "left_out.jsonl", [left_out])
    write_text(
        folder / "ATTRIBUTION.csv",
        "image_id,author,licence,licence_url\n"
        + "".join(f"{one.image_id},{author},CC-BY 4.0,\n" for one in items),
    )
    nothing = engine().nothing()
    record = PackRecord(
        release="faces",
        version="1.0.0",
        release_digest="f" * 64,
        split="test",
        purpose="test",
        review_state="reviewed",
        item_count=len(items),
        left_out_count=1,
        best_image_id=items[0].image_id,
        chain=CHAIN,
        nets={
            name: PackNet(
                model=ModelRef(
                    name=name, sha256="a" * 64, licence="x", is_commercial_use_allowed=True
                ),
                key=key(),
                input_shape=net.input.shape,
                input_dtype=net.input.dtype,
                outputs={
                    output: value.shape
                    for output, value in answer_of(nothing, name).outputs.items()
                },
            )
            for name, net in CHAIN.nets.items()
        },
        rules={
            name: PackRule.model_validate(
                {
                    "shape": value_of(nothing, name).shape,
                    "dtype": value_of(nothing, name).dtype.name,
                    "labels": rule.labels,
                }
            )
            for name, rule in CHAIN.rules.items()
        },
        files=checksums(folder, besides="pack.json"),
        digest="",
    )
    write_text(folder / "pack.json", sealed(record).model_dump_json(indent=2) + "\n")
    return open_pack(folder)
