"""The engine with insightface's outputs alone, its networks alone, and the full profile."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from prelabel_passes import POINTS, SCRFD, SIDE_PX, Faces, Given, serve

from annotation.prelabel import PrelabelParams, label_folder
from faces.age import AgeEstimator
from faces.engine import EngineParams, in_batches
from faces.landmarks106 import Landmarks106, Landmarks106Params
from faces.mesh import FaceMesher
from faces.onnx import Network
from faces.person_mask import PersonSegmenter
from faces.profiles import load_profile
from faces.schema import load_schema
from faces.scrfd import Scrfd, ScrfdParams
from mirrorset.pixels import decode


class Ours:
    """Detection at the same size and the same 106 points, once, through the engine."""

    def __init__(self, given: Given) -> None:
        self._detector = Scrfd(given.weights(SCRFD), ScrfdParams(input_sides_px=(SIDE_PX,)))
        once = Landmarks106Params(is_mirrored_too=False)
        self._landmarker = Landmarks106(given.weights(POINTS), once)
        self._paths = given.paths
        self._engine = EngineParams(workers=given.workers)

    def __call__(self) -> list[Faces]:
        return list(in_batches(self._batch, self._paths, self._engine))

    def _batch(self, paths: Sequence[Path]) -> list[Faces]:
        images = [decode(path.read_bytes()) for path in paths]
        detected = self._detector.detect(images)
        boxes = [
            (rgb, detection.box)
            for rgb, found in zip(images, detected, strict=True)
            for detection in found
        ]
        located = iter(self._landmarker.locate(boxes))
        return [
            [(detection.box.tolist(), next(located)[0].tolist()) for detection in found]
            for found in detected
        ]


class BareRewritten:
    """The same with the networks as the engine runs them, and as many threads."""

    def __init__(self, given: Given) -> None:
        self._detector = Network(given.weights(SCRFD), most_on_cpu=1)
        self._points = Network(given.weights(POINTS), most_on_cpu=4)
        noise = np.random.default_rng(0).standard_normal((6, 3, SIDE_PX, SIDE_PX))
        self._image = noise[:1].astype(np.float32)
        self._crops = noise[:, :, :192, :192].astype(np.float32)
        self._counts = given.counts
        self._engine = EngineParams(workers=given.workers, batch=1)

    def __call__(self) -> None:
        for _ in in_batches(self._batch, self._counts, self._engine):
            pass

    def _batch(self, counts: Sequence[int]) -> Sequence[int]:
        for faces in counts:
            self._detector(self._image)
            self._points(self._crops[:faces])
        return counts


class Full:
    """All that the profile `research` labels, from files to written records."""

    def __init__(self, given: Given) -> None:
        self._profile = load_profile("research", given.cache)
        self._photos = given.photos
        self._out = given.scratch / "labels.jsonl"
        self._engine = EngineParams(workers=given.workers)

    def __call__(self) -> None:
        label_folder(
            self._photos,
            self._out,
            self._profile,
            PrelabelParams(),
            lambda _: None,
            at=datetime.now(UTC),
            engine=self._engine,
        )


class Costs:
    """What each part of the full profile takes, in one thread."""

    def __init__(self, given: Given) -> None:
        cv2.setNumThreads(1)
        scrfd, points = given.weights(SCRFD), given.weights(POINTS)
        self._at_640, self._at_128 = (
            Scrfd(scrfd, ScrfdParams(input_sides_px=(side,))) for side in (SIDE_PX, 128)
        )
        self._once, self._twice = (
            Landmarks106(points, Landmarks106Params(is_mirrored_too=too)) for too in (False, True)
        )
        self._mesher = FaceMesher(given.weights("face_landmarker"))
        self._segmenter = PersonSegmenter(given.weights("selfie_segmentation"))
        self._age = AgeEstimator(given.weights("age-v1"))
        self._profile = load_profile("research", given.cache)
        self._ibug68 = load_schema("ibug68")
        self._paths = given.paths

    def __call__(self) -> dict[str, float]:
        seconds: dict[str, float] = {}

        def timed(name: str, work: Callable[[], Any]) -> Any:
            began = time.process_time()
            result = work()
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - began
            return result

        for path in self._paths:
            rgb = timed("read and decode", lambda path=path: decode(path.read_bytes()))
            found = timed("detection at 640", lambda rgb=rgb: self._at_640.detect([rgb]))[0]
            timed("detection at 128 too", lambda rgb=rgb: self._at_128.detect([rgb]))
            boxes = [(rgb, detection.box) for detection in found]
            points = timed("106 points", lambda boxes=boxes: self._once.locate(boxes))
            timed("106 points, both looks", lambda boxes=boxes: self._twice.locate(boxes))
            timed("mesh, expression, pose", lambda boxes=boxes: self._mesher.locate(boxes))
            of68 = [(rgb, self._ibug68.derive(of106, "face106")) for of106, _ in points]
            timed("age, for the gate", lambda of68=of68: self._age.minor_probability(of68))
            timed("person mask", lambda rgb=rgb: self._segmenter.segment([rgb]))
            timed("whole", lambda rgb=rgb: self._profile.measure(rgb))
        whole, both = seconds.pop("whole"), seconds.pop("106 points, both looks")
        seconds["106 points, mirrored too"] = both - seconds["106 points"]
        measured = sum(seconds.values()) - seconds["read and decode"]
        seconds["joining, light, quality, records"] = whole - measured
        return {name: 1000 * spent / len(self._paths) for name, spent in seconds.items()}


if __name__ == "__main__":
    serve({"ours": Ours, "bare-rewritten": BareRewritten, "full": Full, "costs": Costs})
