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


def test_annotations_come_back_through_an_export_as_from_a_file(
    client: Client, pictures: list[Path], tmp_path: Path
) -> None:
    """The SDK sends an Origin with a password only, and without one a file upload breaks."""
    client.api_client.set_default_header("Origin", client.api_map.host)
    project = client.projects.create({"name": "back and forth", "labels": [FACE]})
    try:
        task = client.tasks.create_from_data(
            spec={"name": "t", "project_id": project.id}, resources=pictures
        )
        (face,) = project.get_labels()
        score = face.attributes[0].id
        shape = models.LabeledShapeRequest(
            type="rectangle",
            frame=2,
            label_id=face.id,
            points=[1.25, 2.5, 30.0, 40.75],
            attributes=[models.AttributeValRequest(spec_id=score, value="0.91")],
        )
        task.set_annotations(models.LabeledDataRequest(shapes=[shape]))
        exported = tmp_path / "exported.zip"
        task.export_dataset("CVAT for images 1.1", exported, include_images=False)
        task.remove_annotations()
        assert task.get_annotations().shapes == []
        task.import_annotations("CVAT 1.1", exported)
        (kept,) = task.get_annotations().shapes
        assert (kept.frame, kept.points) == (2, [1.25, 2.5, 30.0, 40.75])
        assert kept.attributes[0].value == "0.91"
        assert kept.source == "file"
    finally:
        project.remove()
