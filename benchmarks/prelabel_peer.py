"""insightface's own loop, and its two networks alone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from insightface.app import FaceAnalysis
from prelabel_passes import POINTS, SCRFD, SIDE_PX, Faces, Given, serve


class Peer:
    """`FaceAnalysis.get` in a loop, with its default threads."""

    def __init__(self, given: Given) -> None:
        pack = given.scratch / "pack"
        pack.mkdir()
        for name in (SCRFD, POINTS):
            shutil.copy(given.weights(name), pack)
        self._analysis = FaceAnalysis(str(pack))
        self._analysis.prepare(ctx_id=-1, det_size=(SIDE_PX, SIDE_PX))
        self._paths = given.paths

    def __call__(self) -> list[Faces]:
        return [self._faces(path) for path in self._paths]

    def _faces(self, path: Path) -> Faces:
        return [
            (face.bbox.tolist(), face.landmark_2d_106.tolist())
            for face in self._analysis.get(cv2.imread(str(path)))
        ]


class Bare:
    """Nothing but the two networks: one detection a photograph, one landmark run a face."""

    def __init__(self, given: Given) -> None:
        onnxruntime.set_default_logger_severity(3)
        self._detect = _bare_run(given.weights(SCRFD), SIDE_PX)
        self._locate = _bare_run(given.weights(POINTS), 192)
        self._counts = given.counts

    def __call__(self) -> None:
        for faces in self._counts:
            self._detect()
            for _ in range(faces):
                self._locate()


def _bare_run(path: Path, side_px: int) -> Callable[[], Any]:
    session = onnxruntime.InferenceSession(path)
    noise = np.random.default_rng(0).standard_normal((1, 3, side_px, side_px), dtype=np.float32)
    inputs = {session.get_inputs()[0].name: noise}
    return lambda: session.run(None, inputs)


if __name__ == "__main__":
    serve({"peer": Peer, "bare": Bare})
