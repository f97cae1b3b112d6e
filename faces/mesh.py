"""The face mesh: 478 landmarks, 52 blendshapes and a pose matrix, by MediaPipe's FaceLandmarker."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.crop import cut_square
from faces.detection import Image
from faces.lending import Lending
from faces.quiet import native_notes_withheld
from faces.schema import load_schema
from mirrorset.geometry import square_around
from mirrorset.records import Record

if TYPE_CHECKING:  # it takes a second to import, also where a command only names this module
    from mediapipe.tasks.python import vision

Floats = NDArray[np.float64]


class MeshParams(Record):
    """crop_factor: side of the square crop over the longer side of the face's box: the task finds
    nothing where a face is small in the frame. crop_side_px: the crop is scaled to it. min_score:
    for the task's own detection and presence scores. is_mirrored_too: look at the mirror image as
    well; without it the disagreement is unknown.
    """

    crop_factor: float = 1.8
    crop_side_px: int = 320
    min_score: float = 0.3
    is_mirrored_too: bool = True


@dataclass(frozen=True)
class Mesh:
    """points: (478, 2) float64 px of the image, the mean of those found on the crop and on its
    mirror image. depth_px: (478,) float64, away from the camera, on about the points' scale.
    apart_px: (478,) float64, the distance between the two; NaN where the mirror image showed no
    face. blendshapes: 52 scores 0 to 1 by name, "_neutral" and 51 of ARKit's.
    matrix: (4, 4) float64, canonical face (x right, y up, z to the viewer, cm) → camera space.
    """

    points: Floats
    depth_px: Floats
    apart_px: Floats
    blendshapes: dict[str, float]
    matrix: Floats


class FaceMesher:
    """Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs",
    2019; Grishchenko et al., "Blendshapes GHUM", 2023. One instance serves any number of threads.
    """

    def __init__(self, path: Path, params: MeshParams | None = None) -> None:
        self._params = params or MeshParams()
        self._tasks = Lending(lambda: self._task(path))
        self._mirror = list(load_schema("mesh478").mirror)

    def locate(self, faces: Sequence[tuple[Image, ArrayLike]]) -> list[Mesh | None]:
        """The mesh of each of `faces`, (H, W, 3) uint8 RGB and the face's box in it, xyxy px.

        None where none is found: a full profile has none, and a neighbour's face that the crop
        holds is not taken for it.
        """
        with self._tasks.borrowed() as task:
            return [self._locate(task, rgb, box) for rgb, box in faces]

    def _locate(self, task: "vision.FaceLandmarker", rgb: Image, box: ArrayLike) -> Mesh | None:
        square = square_around(box, self._params.crop_factor)
        scale = square[2] - square[0]
        crop = cut_square(rgb, square, self._params.crop_side_px)
        found = _look(task, crop)
        if not found.face_landmarks:
            return None
        straight = _points(found)
        if not _is_within(square[:2] + straight[:, :2].mean(axis=0) * scale, box):
            return None
        unit, apart = straight, np.full(len(straight), np.nan)
        if self._params.is_mirrored_too:
            again = _look(task, np.ascontiguousarray(crop[:, ::-1]))
            if again.face_landmarks:
                back = _points(again)[self._mirror] * (-1, 1, 1) + (1, 0, 0)
                unit = (straight + back) / 2
                apart = np.linalg.norm((straight - back)[:, :2], axis=1)
        return Mesh(
            points=square[:2] + unit[:, :2] * scale,
            depth_px=unit[:, 2] * scale,
            apart_px=apart * scale,
            blendshapes={shape.category_name: shape.score for shape in found.face_blendshapes[0]},
            matrix=np.asarray(found.facial_transformation_matrixes[0], dtype=np.float64),
        )

    def _task(self, path: Path) -> "vision.FaceLandmarker":
        from mediapipe.tasks.python import vision  # noqa: PLC0415
        from mediapipe.tasks.python.core.base_options import BaseOptions  # noqa: PLC0415

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            num_faces=1,
            min_face_detection_confidence=self._params.min_score,
            min_face_presence_confidence=self._params.min_score,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with native_notes_withheld():
            task = vision.FaceLandmarker.create_from_options(options)
        weakref.finalize(self, _close, task)
        return task


def _look(task: "vision.FaceLandmarker", crop: Image) -> "vision.FaceLandmarkerResult":
    import mediapipe  # noqa: PLC0415

    return task.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=crop))


def _points(found: "vision.FaceLandmarkerResult") -> Floats:
    """Points and their depth (478, 3), the crop's side being 1."""
    return np.array([(point.x, point.y, point.z) for point in found.face_landmarks[0]])


def _close(landmarker: "vision.FaceLandmarker") -> None:
    """Free the task; at the interpreter's end its threads are gone, and so is the need.

    MediaPipe's own `__del__` would print a traceback then.
    """
    try:
        landmarker.close()
    except RuntimeError:
        landmarker._handle = None


def _is_within(point: Floats, box: ArrayLike) -> bool:
    left, top, right, bottom = np.asarray(box, dtype=np.float64)
    return bool(left < point[0] < right and top < point[1] < bottom)
