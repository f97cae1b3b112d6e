"""From a server's jobs to verdicts, issues and the status, by the commands that people run."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cvat_annotator import Annotator
from cvat_labels import SCHEMA, label_of
from cvat_pusher import Pusher
from demo_run import MIRRORSET
from standin.server import Cvat

import flows.qa as flow
from annotation.review import ReviewParams, accept
from flows.status import status
from mirrorset.records import Annotation, AnnotationJob, Batch, Landmarks
from mirrorset.workspace import Workspace, init


def bent(image_id: str, uncertainty: float) -> Annotation:
    """A label whose skeleton is not the template."""
    label = label_of(image_id, uncertainty)
    (face,) = label.faces
    points = np.asarray(face.landmarks["ibug68"].points)
    points = (points + np.sin(points[:, ::-1] / 6)).round(2)
    landmarks = Landmarks(
        points=tuple((float(x), float(y)) for x, y in points),
        visibility=(2,) * 68,
        confidence=(0.9,) * 68,
    )
    face = face.model_copy(update={"landmarks": {"ibug68": landmarks}})
    return label.model_copy(update={"faces": (face,)})


class House:
    """A workspace, its batch on the server, and an annotator there."""

    def __init__(self, cvat: Cvat, folder: Path) -> None:
        self.cvat = cvat
        self.workspace: Workspace = init(folder / "house")
        self.pusher = Pusher(cvat, folder, images=6, segment_size=3)
        self.pusher.labels = [
            bent(image_id, number / 100) for number, image_id in enumerate(self.pusher.pictures)
        ]
        self.batch: Batch = self.pusher.push()
        self.annotator = Annotator(self.pusher.connection, int(self.batch.project))
        self.jobs = self.annotator.jobs(self.batch)
        with self.workspace.catalogue() as catalogue:
            catalogue.upsert([*self.pusher.pictures.records(), *self.pusher.labels, self.batch])

    def pull(self) -> None:
        with self.workspace.catalogue() as catalogue:
            known = list(catalogue.read(AnnotationJob))
            returned = self.pusher.exchange().pull(self.batch, known)
            if returned is None:
                return
            images, labels = self.pusher.pictures.records(), self.pusher.labels
            records = accept(self.batch, returned, images, labels, SCHEMA, params=ReviewParams())
            catalogue.upsert([*records, *returned.jobs])

    def run(self, *words: str) -> dict:
        """What the command says. A process takes seconds to start: `qa` and `status` take none."""
        said = subprocess.run(
            [MIRRORSET, "annotate", *words, "--home", str(self.workspace.home), "--json"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)

    def qa(self) -> dict:
        return json.loads(flow.qa.fn(self.workspace.home).model_dump_json())

    def status(self) -> dict:
        return json.loads(status(self.workspace.home).model_dump_json())

    def issues(self) -> list[dict]:
        listed = self.pusher.connection.pages("/api/issues", {"task_id": self.batch.task})
        return sorted(listed, key=lambda issue: issue["id"])

    def move(self, frame: int, name: str, to: list[float]) -> None:
        """Move one point of a frame's skeleton."""
        job = self.jobs[frame // 3]
        sublabels = self.annotator.label("ibug68")["sublabels"]
        wanted = next(one["id"] for one in sublabels if one["name"] == name)
        (skeleton,) = self.annotator.shapes(job, frame, "ibug68")

        def edit(shape: dict) -> None:
            for element in shape["elements"]:
                if element["label_id"] == wanted:
                    element["points"] = to

        self.annotator.change(job, skeleton, edit)


@pytest.fixture
def house(cvat: Cvat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", cvat.url)
    monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
    # The steps without Prefect, which the commands have.
    monkeypatch.setattr(flow, "judge", flow.judge.fn)
    monkeypatch.setattr(flow, "reopen", flow.reopen.fn)
    return House(cvat, tmp_path)


@pytest.mark.usefixtures("prefect")
def test_from_edits_to_issues_verdicts_and_status(house: House) -> None:
    first, _ = house.jobs
    before = house.run("status")
    assert [job["state"] for job in before["batches"][0]["jobs"]] == ["new", "new"]
    assert (before["reviewed"], before["images"], before["note"]) == (0, 6, "")

    nose = SCHEMA.point_names[30]
    house.move(1, nose, [62.0, 46.0])
    for frame in (0, 1, 2):
        house.annotator.tag(first, frame, "reviewed")
    house.annotator.finish(first)
    house.pull()
    with house.workspace.catalogue() as catalogue:
        standard = house.pusher.labels[-1].image_id
        (label,) = [
            one
            for one in catalogue.read(Annotation)
            if one.origin == "human" and one.image_id == house.batch.image_ids[0]
        ]
        assert label.image_id == standard  # worst first: the last label is the most uncertain
        catalogue.upsert([label.model_copy(update={"origin": "gold", "by": "expert"})])

    judged = house.run("qa")
    assert judged["report"]["suspicious"] == {"points_near_box": 1}
    assert judged["report"]["failed"] == {"points_near_box": 1}
    assert judged["issues"]["opened"] == 1
    (issue,) = house.issues()
    left, top, right, bottom = issue["position"]
    assert ((left + right) / 2, (top + bottom) / 2) == (62.0, 46.0)
    assert (issue["frame"], issue["job"]) == (1, first["id"])
    with house.workspace.catalogue() as catalogue:
        assert catalogue.failed("points_near_box") == {house.batch.image_ids[1]}
    touched = {row["label"]: row for row in judged["report"]["edits"]}
    assert touched["face"]["untouched"]["value"] == 1
    assert touched["ibug68.nose"]["untouched"]["value"] == pytest.approx(2 / 3)

    again = house.qa()
    assert sum(again["issues"].values()) == 0
    assert house.issues() == [issue]

    now = house.status()
    done, waiting = now["batches"][0]["jobs"]
    assert (done["state"], done["done"], done["images"]) == ("completed", 3, 3)
    assert (waiting["state"], waiting["done"]) == ("new", 0)
    assert (now["reviewed"], now["batches"][0]["reviewed"]) == (3, 3)
    assert done["agreement"]["nme"] == 0
    assert {one["annotator"] for one in now["annotators"]} == {"annotator", "expert"}

    house.move(1, nose, [28.0, 24.0])
    house.annotator.set(first, state="in progress")
    house.annotator.finish(first)
    house.pull()
    assert house.qa()["issues"]["resolved"] == 1
    assert house.issues()[0]["resolved"]
    assert house.run("qa", "--no-issues")["issues"] == {}


def test_a_server_that_is_away_leaves_what_the_last_pull_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.pull()
    away = "http://127.0.0.1:9"
    monkeypatch.setenv("MIRRORSET_CVAT_URL", away)
    with house.workspace.catalogue() as catalogue:
        catalogue.upsert([house.batch.model_copy(update={"server": away})])
    now = house.status()
    assert [job["state"] for job in now["batches"][0]["jobs"]] == ["new", "new"]
    assert now["note"].startswith(f"Jobs are as the last pull found them: {away}")
