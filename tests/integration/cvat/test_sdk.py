"""The SDK's own client drives the server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_sdk import models
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from PIL import Image
from standin.server import Cvat

FACE = {
    "name": "face",
    "type": "rectangle",
    "attributes": [
        {
            "name": "score",
            "mutable": False,
            "input_type": "text",
            "default_value": "",
            "values": [""],
        }
    ],
}


@pytest.fixture
def client(cvat: Cvat) -> Iterator[Client]:
    config = Config(status_check_period=0.05, allow_unsupported_server=True)
    with Client(cvat.url, config=config) as client:
        client.login(AccessTokenCredentials(cvat.token))
        yield client


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Six small pictures, each of its own colour."""
    paths = [tmp_path / f"frame_{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        Image.new("RGB", (64, 48), (40 * number, 0, 0)).save(path)
    return paths


def test_task_with_overlapping_jobs_shows_one_copy_of_each_shape(
    client: Client, pictures: list[Path]
) -> None:
    project = client.projects.create({"name": "one copy", "labels": [FACE]})
    try:
        task = client.tasks.create_from_data(
            spec={"name": "t", "project_id": project.id, "segment_size": 4, "overlap": 1},
            resources=pictures,
            data_params={"image_quality": 90, "sorting_method": "predefined"},
        )
        jobs = sorted((job.start_frame, job.stop_frame) for job in task.get_jobs())
        assert jobs == [(0, 3), (3, 5)]
        assert [frame.name for frame in task.get_frames_info()] == [one.name for one in pictures]
        assert task.get_frame(4, quality="original").read() == pictures[4].read_bytes()

        (face,) = project.get_labels()
        shapes = [
            models.LabeledShapeRequest(
                type="rectangle", frame=number, label_id=face.id, points=[1.0, 2.0, 30.0, 40.0]
            )
            for number in range(6)
        ]
        task.set_annotations(models.LabeledDataRequest(shapes=shapes))
        kept = task.get_annotations().shapes
        assert sorted(shape.frame for shape in kept) == list(range(6))
        assert {shape.attributes[0].value for shape in kept} == {""}
        of_jobs = [job.get_annotations().shapes for job in task.get_jobs()]
        assert sum(map(len, of_jobs)) == 7
    finally:
        project.remove()
