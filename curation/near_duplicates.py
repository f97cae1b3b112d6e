"""Images whose hashes are so close that one may be a copy of the other."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curation.close_pairs import IsWanted, Rows, Words, close_pairs
from curation.hashes import face_hash, words
from faces.align import squared_face
from mirrorset.pixels import phash

#: What two images were found close by: a face or its mirror image, the frame or its mirror image,
#: or the frame turned by 90, 180 or 270°.
By = Literal["face", "frame", "turned"]


class Close(NamedTuple):
    """Two images, `first` < `second`, with close hashes."""

    first: int
    second: int
    by: By


class Hashed(NamedTuple):
    """The hashes of one image.

    faces: (8,) words of each comparable face and of its mirror image. frame, mirrored_frame: (1,)
    word of the whole frame and of its mirror image. turned_frames: of the frame turned by 90, 180
    and 270°.
    """

    faces: list[tuple[Words, Words]]
    frame: Words
    mirrored_frame: Words
    turned_frames: tuple[Words, ...]


def hash_image(
    rgb: NDArray[np.uint8], frame_phash: str, faces: Iterable[NDArray[np.float64]]
) -> Hashed:
    """The hashes of an upright picture (H, W, 3) and of its faces, each as `face5` (5, 2) px."""
    squared = [face for five in faces if (face := squared_face(rgb, five)) is not None]
    turned = (np.ascontiguousarray(np.rot90(rgb, quarters)) for quarters in (1, 2, 3))
    return Hashed(
        faces=[(face_hash(face), face_hash(_mirrored(face))) for face in squared],
        frame=words(frame_phash),
        mirrored_frame=words(phash(_mirrored(rgb))),
        turned_frames=tuple(words(phash(frame)) for frame in turned),
    )


class HashColumns:
    """The hashes of many images, packed: 40 bytes of each, and 136 of each face."""

    def __init__(self, hashed: Iterable[Hashed] = ()) -> None:
        self._images = 0
        self._owners = array("q")
        self._faces, self._mirrored_faces = bytearray(), bytearray()
        self._frames, self._mirrored_frames, self._turned = bytearray(), bytearray(), bytearray()
        for one in hashed:
            self.append(one)

    def append(self, image: Hashed) -> None:
        """Add the hashes of the next image."""
        for direct, mirrored in image.faces:
            self._owners.append(self._images)
            self._faces += direct.tobytes()
            self._mirrored_faces += mirrored.tobytes()
        self._frames += image.frame.tobytes()
        self._mirrored_frames += image.mirrored_frame.tobytes()
        for turned in image.turned_frames:
            self._turned += turned.tobytes()
        self._images += 1

    @property
    def faces(self) -> "_Hashes":
        """Of faces (N, 8), and of their mirror images."""
        owners = np.array(self._owners, dtype=np.int64)
        return _Hashes.of(_words(self._faces, 8), owners, _words(self._mirrored_faces, 8), owners)

    @property
    def frames(self) -> "_Hashes":
        """Of frames (N, 1), and of their mirror images."""
        owners = np.arange(self._images)
        return _Hashes.of(_words(self._frames, 1), owners, _words(self._mirrored_frames, 1), owners)

    @property
    def turned_frames(self) -> "_Hashes":
        """Of frames (N, 1), and of each turned by 90, 180 and 270°."""
        owners = np.arange(self._images)
        return _Hashes.of(
            _words(self._frames, 1), owners, _words(self._turned, 1), np.repeat(owners, 3)
        )


def _words(packed: bytearray, width: int) -> Words:
    return np.frombuffer(packed, dtype=np.uint64).reshape(-1, width)


def near_duplicates(
    hashed: HashColumns, face_radius_bits: int, frame_radius_bits: int
) -> Iterator[Close]:
    """Pairs of images, by their indices in `hashed`, with close hashes; some come more than once.

    A face, aligned, looks the same after a crop, and a frame under a watermark or another light.
    """
    faces = hashed.faces
    yield from faces.close("face", face_radius_bits, faces.is_one_upright)
    del faces
    frames = hashed.frames
    yield from frames.close("frame", frame_radius_bits, frames.is_one_upright)
    del frames
    turned = hashed.turned_frames
    yield from turned.close(
        "turned", frame_radius_bits, lambda i, j: turned.is_variant[i] ^ turned.is_variant[j]
    )


class _Hashes(NamedTuple):
    """Hashes (N, W) of images as they are, then of what they may look like; and whose they are."""

    words: Words
    owners: Rows
    is_variant: NDArray[np.bool_]

    @staticmethod
    def of(upright: Words, owners: Rows, variants: Words, of_variants: Rows) -> "_Hashes":
        count = len(upright) + len(variants)
        return _Hashes(
            np.concatenate([upright, variants]),
            np.concatenate([owners, of_variants]),
            np.arange(count) >= len(upright),
        )

    def is_one_upright(self, i: Rows, j: Rows) -> NDArray[np.bool_]:
        """Where not both are variants: two mirror images are as close as what they mirror."""
        return ~(self.is_variant[i] & self.is_variant[j])

    def close(self, by: By, radius: int, is_wanted: IsWanted) -> Iterator[Close]:
        """The pairs of different images that `is_wanted` and the radius let through."""

        def of_two(i: Rows, j: Rows) -> NDArray[np.bool_]:
            are_two: NDArray[np.bool_] = self.owners[i] != self.owners[j]
            return are_two & is_wanted(i, j)

        pairs = close_pairs(self.words, radius, of_two)
        owners = np.sort(self.owners[pairs], axis=1)
        for first, second in np.unique(owners, axis=0).tolist():
            yield Close(first, second, by)


def _mirrored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rgb[:, ::-1])
