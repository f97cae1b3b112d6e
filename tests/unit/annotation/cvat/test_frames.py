"""Which frames a job has."""

from collections.abc import Sequence

import pytest
from scripted_server import Told, scripted

from annotation.cvat.connection import connect
from annotation.cvat.frames import frames_of

ABOUT = Told({"name": "Computer Vision Annotation Tool", "version": "2.54.1"})


@pytest.mark.parametrize(
    ("kind", "included", "frames"),
    [
        ("annotation", [3], [2, 3, 4]),
        ("ground_truth", [3, 9], [3, 9]),
        ("ground_truth", [], []),
        ("ground_truth", None, [2, 3, 4]),
    ],
)
def test_only_ground_truth_is_picked(
    kind: str, included: list[int] | None, frames: Sequence[int]
) -> None:
    meta = {"frames": [], "included_frames": included}
    listed = {"id": 7, "type": kind, "start_frame": 2, "stop_frame": 4}
    with scripted([ABOUT, Told(meta)]) as server:
        assert list(frames_of(connect(server.url, "secret"), listed)) == frames
