"""TFRecord: SPLIT-NNNNN.tfrecord with a tf.train.Example of every image; needs no TensorFlow."""

import struct
from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from curation.formats.picture import Picture, Splits
from curation.formats.relative import RelativeFace, relative
from faces.schema import LandmarkSchema
from mirrorset.errors import SettingsError

_CLASS = 1
_FORMATS = {"jpg": "jpeg"}

# tensorflow/core/example/{example,feature}.proto. A map is written as what it is on the wire,
# entries in turn: their order, and so the bytes, is ours.
_PROTO = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature"
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: "BytesList" }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: "FloatList" }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: "Int64List" } }
message_type { name: "Entry"
  field { name: "key" number: 1 type: TYPE_STRING }
  field { name: "value" number: 2 type: TYPE_MESSAGE type_name: "Feature" } }
message_type { name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "Entry" } }
message_type { name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE type_name: "Features" } }
"""


def write(folder: Path, splits: Splits, schema: LandmarkSchema) -> int:
    """Records as tensorflow.org/tutorials/load_data/tfrecord frames them, uncompressed.

    Features are called as in TensorFlow's Object Detection API: `image/encoded`, `image/format`,
    `image/height`, `image/width`, `image/filename`, `image/source_id` (the image_id), then a value
    a face of `image/object/bbox/{xmin,ymin,xmax,ymax}`, `image/object/class/{label,text}` (1,
    "face") and `image/object/keypoint/num` (of those with v > 0), and one after the other the
    points of all faces in `image/object/keypoint/{x,y,visibility,text}`. Coordinates are those of
    `RelativeFace` in float32; a face whose box lies outside the image is left out of them.
    `image/labels` is the JSON of `Picture.labels`, with all faces and schemas in px. NNNNN is the
    number of the image shard, as in the WebDataset form.

    Raises SettingsError where google-crc32c is not installed.
    """
    checksum = _checksum()
    written = 0
    for split, pictures in splits.items():
        for shard, ours in groupby(pictures, key=lambda picture: picture.item.image_shard):
            with (folder / f"{split}-{shard:05d}.tfrecord").open("wb") as records:
                for picture in ours:
                    found = (relative(face, picture.item, schema) for face in picture.item.faces)
                    faces = [face for face in found if face]
                    records.write(_framed(_example(picture, faces, schema), checksum))
                    written += len(faces)
    return written


def _framed(record: bytes, checksum: Callable[[bytes], int]) -> bytes:
    """Length, its checksum, the record, its checksum; checksums are rotated and shifted."""

    def masked(content: bytes) -> bytes:
        crc = checksum(content)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


def _example(picture: Picture, faces: list[RelativeFace], schema: LandmarkSchema) -> bytes:
    item = picture.item
    boxes = np.reshape([face.box for face in faces], (-1, 4))
    points = np.reshape([face.points for face in faces], (-1, 2))
    visibility = np.reshape([face.visibility for face in faces], (-1, len(schema.names)))
    features = {
        "image/encoded": _texts([picture.content]),
        "image/filename": _texts([picture.file_name]),
        "image/format": _texts([_FORMATS.get(picture.suffix, picture.suffix)]),
        "image/height": _integers([item.height_px]),
        "image/labels": _texts([picture.labels()]),
        "image/object/bbox/xmax": _floats(boxes[:, 2]),
        "image/object/bbox/xmin": _floats(boxes[:, 0]),
        "image/object/bbox/ymax": _floats(boxes[:, 3]),
        "image/object/bbox/ymin": _floats(boxes[:, 1]),
        "image/object/class/label": _integers([_CLASS] * len(faces)),
        "image/object/class/text": _texts(["face"] * len(faces)),
        "image/object/keypoint/num": _integers((visibility > 0).sum(axis=1)),
        "image/object/keypoint/text": _texts(schema.names * len(faces)),
        "image/object/keypoint/visibility": _integers(visibility.ravel()),
        "image/object/keypoint/x": _floats(points[:, 0]),
        "image/object/keypoint/y": _floats(points[:, 1]),
        "image/source_id": _texts([item.image_id]),
        "image/width": _integers([item.width_px]),
    }
    entries = [{"key": key, "value": value} for key, value in features.items()]
    example: bytes = _message()(features={"feature": entries}).SerializeToString()
    return example


def _texts(values: Iterable[str | bytes]) -> dict[str, Any]:
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return {"bytes_list": {"value": encoded}}


def _floats(values: Iterable[float]) -> dict[str, Any]:
    return {"float_list": {"value": values}}


def _integers(values: Iterable[int]) -> dict[str, Any]:
    return {"int64_list": {"value": values}}


@cache
def _message() -> Any:
    """The class tf.train.Example, in a pool of its own: TensorFlow's may be loaded as well."""
    from google.protobuf import (  # noqa: PLC0415  (an extra)
        descriptor_pb2,
        descriptor_pool,
        message_factory,
        text_format,
    )

    pool = descriptor_pool.DescriptorPool()
    file = text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto())
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _checksum() -> Callable[[bytes], int]:
    """CRC-32C of bytes."""
    try:
        from google_crc32c import value  # noqa: PLC0415  (an extra)
    except ImportError:
        raise SettingsError(
            "TFRecord needs google-crc32c, which is not installed: install "
            "requirements-tfrecord.lock, or convert to webdataset."
        ) from None
    checksum: Callable[[bytes], int] = value
    return checksum
