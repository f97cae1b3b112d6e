"""A workspace, its server and its annotators: stops, pseudonyms, erasure, news."""

import hashlib
import hmac
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
from cvat_annotator import Annotator, Pictures
from cvat_labels import label_of
from forked import forked_clean
from standin.faults import Kind
from standin.server import Cvat
from thorough import thorough
from typer.testing import CliRunner

import annotation.cvat.exchange
import flows.annotate as flow
import flows.qa
from annotation.cvat.connection import connect
from annotation.cvat.webhook import SIGNATURE
from annotation.pseudonyms import ANNOTATORS
from curation.gates import SelectParams
from curation.select import select
from flows.annotate import PullSummary
from flows.cli import app
from flows.exchanges import exchange_with
from flows.listen import listen
from flows.prelabel import doubted
from flows.qa import of_images
from flows.quarantine import listed
from flows.snapshot import write_snapshot
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.files import read_records
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Evidence,
    Honeypot,
    Licence,
    ModelRef,
    Record,
    Rejected,
    Sent,
    Sighting,
    Verdict,
    utc_now,
)
from mirrorset.workspace import Workspace, open_workspace

MODEL = ModelRef(name="zealous", sha256="ab" * 32, licence="X", is_commercial_use_allowed=False)


class House:
    """A workspace with four labelled images that may be shown, and one that may not."""

    def __init__(self, home: Path, cvat: Cvat) -> None:
        self.home = home
        self.connection = connect(cvat.url, cvat.token)
        (home / ".dvc").mkdir()
        (home / "params.yaml").write_text("dataset: {name: faces}\nannotate: {segment_size: 2}\n")
        self.pictures = Pictures.plain(5)
        *self.shown, self.doubtful = self.pictures
        with self.catalogue() as catalogue:
            catalogue.upsert([record for one in self.pictures for record in self._records(one)])
            for content in self.pictures.values():
                self.workspace.blobs.put(content)

    def _records(self, image_id: str) -> list[Record]:
        (image,) = (one for one in self.pictures.records() if one.image_id == image_id)
        sighting = Sighting(
            image_id=image_id,
            source="gallery",
            source_item_id=image_id[:4],
            page_url="https://example.org/page",
            image_url="https://example.org/image.png",
            licence=Licence(code="CC-BY", version="4.0"),
            evidence=Evidence(licence_read_from="x", licence_text="CC BY", crawler="mirrorset/0"),
            seen_at=utc_now(),
        )
        is_adult = image_id != self.doubtful
        return [
            image.model_copy(update={"size_bytes": len(self.pictures[image_id])}),
            sighting,
            label_of(image_id),
            Verdict(image_id=image_id, check="adult", passed=is_adult),
        ]

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.home)

    def catalogue(self):
        return self.workspace.catalogue()

    def read(self, kind: type[Record]) -> list:
        with self.catalogue() as catalogue:
            return list(catalogue.read(kind))

    def batch(self) -> Batch:
        (batch,) = self.read(Batch)
        return batch

    def verdicts(self, check: str) -> dict[str, bool]:
        """By image."""
        return {one.image_id: one.passed for one in self.read(Verdict) if one.check == check}

    def users(self) -> dict[str, int]:
        return {one["username"]: one["id"] for one in self.connection.pages("/api/users")}

    def annotator(self) -> Annotator:
        return Annotator(self.connection, int(self.batch().project))

    def frame(self, image_id: str) -> tuple[dict, int]:
        """The job and the frame number of an image."""
        frame = self.batch().image_ids.index(image_id)
        jobs = self.annotator().jobs(self.batch())
        return next(job for job in jobs if job["start_frame"] <= frame <= job["stop_frame"]), frame


def without_engine(patch: pytest.MonkeyPatch) -> None:
    """The steps without Prefect's server, which takes its time to start."""
    patch.setattr(flow, "push_batch", flow.push_batch.fn)
    patch.setattr(flow, "pull_batch", flow.pull_batch.fn)
    patch.setattr(flow, "hide", flow.hide.fn)
    patch.setattr(flows.qa, "judge", flows.qa.judge.fn)


@pytest.fixture
def house(cvat: Cvat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", cvat.url)
    monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
    without_engine(monkeypatch)
    made = House(tmp_path, cvat)
    yield made
    for batch in made.read(Batch):
        if batch.task:
            made.connection.call("DELETE", f"/api/tasks/{batch.task}", also=(404,))


def names_shown(house: House) -> set[str]:
    """Names of all pictures in all tasks of the server."""
    return {
        frame["name"]
        for task in house.connection.pages("/api/tasks")
        for frame in house.connection.call("GET", f"/api/tasks/{task['id']}/data/meta")["frames"]
    }


def test_what_a_gate_has_not_passed_is_not_shown(house: House) -> None:
    flow.push.fn(house.home)
    assert set(house.batch().image_ids) == set(house.shown)
    assert f"{house.doubtful[:16]}.png" not in names_shown(house)


@pytest.mark.parametrize("reason", ["minor", "intimate", "distress", "not_consented"])
def test_a_stop_is_quarantine_everywhere_at_the_next_pull(house: House, reason: str) -> None:
    """Set in a job that nobody has finished."""
    (house.home / "params.yaml").write_text(
        "annotate: {replicas: 1, segment_size: 3, overlap: 1}\n"
    )
    flow.push.fn(house.home)
    stopped, reviewed, *_ = house.batch().image_ids
    for image_id, tag, value in (
        (stopped, "do_not_use", reason),
        (reviewed, "reviewed", None),
    ):
        job, frame = house.frame(image_id)
        house.annotator().tag(job, frame, tag, value)
    assert flow.pull.fn(house.home).hidden == 1

    # Nobody else is shown it either, in whichever job they have it.
    place = f"/api/tasks/{house.batch().task}/data/meta"
    _, frame = house.frame(stopped)
    assert house.connection.call("GET", place)["deleted_frames"] == [frame]
    for job in house.connection.pages("/api/jobs", {"task_id": house.batch().task}):
        meta = house.connection.call("GET", f"/api/jobs/{job['id']}/data/meta")
        has_it = job["start_frame"] <= frame <= job["stop_frame"]
        assert (frame in meta["deleted_frames"]) == has_it
    # That is nobody's mistake, and it is hidden once more where somebody restores it.
    house.annotator().tag(*house.frame(reviewed), "blurred")
    assert (again := flow.pull.fn(house.home)).hidden == 0
    assert again.rejected == 0
    house.connection.call("PATCH", place, body={"deleted_frames": []})
    flow.pull.fn(house.home)
    assert house.connection.call("GET", place)["deleted_frames"] == [frame]

    with house.catalogue() as catalogue:
        assert stopped in doubted(catalogue)
        write_snapshot(house.workspace, catalogue)
    held = {one.image_id: one for one in listed(house.home).held}
    assert held[stopped].is_by_person
    # Releases, and with them test sets, packs and reports, are made of what is selected.
    work = house.workspace.work
    select(house.workspace.snapshot, work, "research", SelectParams())
    refused = {
        one.item_id: one
        for path in work.rglob("*rejected*")
        for one in read_records(path, Rejected)
    }
    assert stopped in refused
    kept = "".join(path.read_text() for path in (work / "selected").iterdir())
    assert stopped not in kept
    # Nor does it go out again, to a server or in an archive, though its batch were lost.
    with house.catalogue() as catalogue:
        catalogue.upsert([house.batch().model_copy(update={"image_ids": (), "state": "returned"})])
    assert flow.push.fn(house.home).new_batches == 1
    out = {one for batch in house.read(Batch) for one in batch.image_ids}
    assert stopped not in out
    assert reviewed in out


def test_a_stop_is_lifted_where_it_was_set_and_the_picture_is_shown_again(house: House) -> None:
    """Nobody has to restore what nobody deleted, and the batch waits for nobody else."""
    (house.home / "params.yaml").write_text("annotate: {size: 4}\n")
    flow.push.fn(house.home)
    annotator, (job,) = house.annotator(), house.annotator().jobs(house.batch())
    annotator.tag(job, 1, "do_not_use", "distress")
    flow.pull.fn(house.home)
    place = f"/api/tasks/{house.batch().task}/data/meta"
    assert house.connection.call("GET", place)["deleted_frames"] == [1]
    for frame in (0, 2, 3):
        annotator.tag(job, frame, "reviewed")
    annotator.finish(job)
    flow.pull.fn(house.home)
    assert house.batch().state == "returned"
    stopped = house.batch().image_ids[1]
    assert house.verdicts("not_stopped") == {stopped: False} | dict.fromkeys(
        {*house.batch().image_ids} - {stopped}, True
    )

    annotator.untag(job, 1, "do_not_use")
    annotator.tag(job, 1, "reviewed")
    pulled = flow.pull.fn(house.home)
    assert (pulled.reviewed, pulled.rejected) == (4, 0)
    assert all(house.verdicts("not_stopped").values())
    assert house.connection.call("GET", place)["deleted_frames"] == []
    # What somebody deletes themselves is their own affair, whatever comes and goes besides.
    house.connection.call("PATCH", place, body={"deleted_frames": [2]})
    annotator.tag(job, 3, "blurred")
    assert flow.pull.fn(house.home).rejected == 1
    doubt = Verdict(image_id=house.batch().image_ids[2], check="intimate", passed=False)
    for passed in (False, True):
        with house.catalogue() as catalogue:
            catalogue.upsert([doubt.model_copy(update={"passed": passed})])
        flow.pull.fn(house.home)
        assert house.connection.call("GET", place)["deleted_frames"] == [2]


def test_a_batch_waits_for_nothing_that_may_not_be_shown(house: House) -> None:
    """Though no job changes at that time."""
    (house.home / "params.yaml").write_text("annotate: {size: 4}\n")
    flow.push.fn(house.home)
    annotator, (job,) = house.annotator(), house.annotator().jobs(house.batch())
    for frame in (0, 1, 2):
        annotator.tag(job, frame, "reviewed")
    annotator.finish(job)
    flow.pull.fn(house.home)
    assert house.batch().state == "pushed"
    doubt = Verdict(image_id=house.batch().image_ids[3], check="intimate", passed=False)
    for passed, state, deleted in ((False, "returned", [3]), (True, "pushed", [])):
        with house.catalogue() as catalogue:
            catalogue.upsert([doubt.model_copy(update={"passed": passed})])
        flow.pull.fn(house.home)
        assert house.batch().state == state
        place = f"/api/tasks/{house.batch().task}/data/meta"
        assert house.connection.call("GET", place)["deleted_frames"] == deleted


def test_a_pull_that_is_killed_while_it_hides_knows_later_what_it_hid(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.push.fn(house.home)
    stopped = house.batch().image_ids[0]
    job, frame = house.frame(stopped)
    house.annotator().tag(job, frame, "do_not_use", "distress")
    place = f"/api/tasks/{house.batch().task}/data/meta"
    with monkeypatch.context() as patch:

        def killed(*given: object) -> set[str]:
            hide(*given)
            raise KeyboardInterrupt

        hide = annotation.cvat.exchange.hide
        patch.setattr(annotation.cvat.exchange, "hide", killed)
        with pytest.raises(KeyboardInterrupt):
            flow.pull.fn(house.home)
    assert house.connection.call("GET", place)["deleted_frames"] == [frame]
    annotator = house.annotator()
    annotator.untag(job, frame, "do_not_use")
    annotator.tag(job, frame, "reviewed")
    annotator.finish(job)
    assert flow.pull.fn(house.home).rejected == 0
    assert house.connection.call("GET", place)["deleted_frames"] == []
    assert house.verdicts("not_stopped") == {stopped: True}


def test_people_correct_what_they_were_sent_whatever_models_say_since(house: House) -> None:
    flow.push.fn(house.home)
    reviewed = house.batch().image_ids[0]
    sent = label_of(reviewed)
    anew = sent.model_copy(
        update={
            "faces": tuple(face.model_copy(update={"score": 0.5}) for face in sent.faces),
            "made_at": utc_now(),
        }
    )
    with house.catalogue() as catalogue:
        # The same profile once more, and another beside it.
        catalogue.upsert([anew, anew.model_copy(update={"by": "zealous", "models": (MODEL,)})])
    job, frame = house.frame(reviewed)
    house.annotator().tag(job, frame, "reviewed", None)
    house.annotator().finish(job)
    flow.pull.fn(house.home)
    (human,) = (one for one in house.read(Annotation) if one.origin == "human")
    assert (human.faces, human.masks, human.models) == (sent.faces, sent.masks, sent.models)
    with house.catalogue() as catalogue:
        (labels,) = (one for one in of_images(catalogue) if one[0].image_id == reviewed)
    assert [one for one in labels if one.origin == "model"] == [sent]


def test_known_truth_is_drawn_into_ordinary_jobs_and_measured(house: House) -> None:
    params = house.home / "params.yaml"
    params.write_text("dataset: {name: faces}\nannotate: {size: 6, honeypots: 2}\n")
    *known, fresh = house.shown
    with house.catalogue() as catalogue:
        catalogue.upsert(
            [label_of(one).model_copy(update={"origin": "gold", "by": "expert"}) for one in known]
        )
    flow.push.fn(house.home)
    batch = house.batch()
    drawn = {one.image_id for one in house.read(Honeypot)}
    assert len(drawn & set(known)) == len(drawn) == 2
    assert set(batch.image_ids) == drawn | {fresh}
    (job,) = house.annotator().jobs(batch)
    for frame in range(len(batch.image_ids)):
        house.annotator().tag(job, frame, "reviewed")
        (face,) = house.annotator().shapes(job, frame, "face")
        house.annotator().change(job, face, lambda shape: shape["points"].__setitem__(0, 3.0))
    house.annotator().finish(job)
    flow.pull.fn(house.home)
    flow.push.fn(house.home)
    assert house.batch() == batch.model_copy(update={"state": "returned"})

    by_image = {one: [] for one in batch.image_ids}
    for label in house.read(Annotation):
        if label.image_id in by_image and label.origin != "model":
            by_image[label.image_id].append((label.origin, label.by))
    assert by_image.pop(fresh) == [("human", "annotator")]
    for made in by_image.values():
        assert sorted(made) == [("gold", "expert"), ("replica", "annotator")]
    report = flows.qa.qa.fn(house.home, is_reopening=False).report
    (row,) = (
        row
        for row in report.agreement
        if (row.against, row.axis, row.label, row.measure) == ("honeypot", "all", "face", "box_iou")
    )
    assert row.images == 2
    assert 0 < row.value < 1


def test_labels_of_the_profile_that_is_named_go_out(house: House) -> None:
    """Another profile's may be ones that the dataset's intended use forbids."""
    (house.home / "params.yaml").write_text("prelabel: {profile: commercial}\n")
    first, *others = house.shown
    commercial = label_of(first).model_copy(update={"by": "commercial", "models": (MODEL,)})
    with house.catalogue() as catalogue:
        catalogue.upsert([commercial])
    flow.push.fn(house.home)
    assert house.batch().image_ids == (first,)
    assert [one.annotation for one in house.read(Sent)] == [commercial]
    assert len(others) == 3


def test_a_replica_that_somebody_else_takes_over_is_theirs_alone(house: House) -> None:
    (house.home / "params.yaml").write_text("annotate: {replicas: 1}\n")
    flow.push.fn(house.home)
    annotator = house.annotator()
    (replica,) = annotator.jobs(house.batch(), "consensus_replica")
    annotator.tag(replica, 0, "reviewed", None)
    annotator.finish(replica)
    flow.pull.fn(house.home)

    def replicas() -> list[str]:
        return [one.by for one in house.read(Annotation) if one.origin == "replica"]

    assert replicas() == ["annotator of replica 1"]
    users = {one["username"]: one["id"] for one in house.connection.pages("/api/users")}
    annotator.set(replica, assignee=next(users[one] for one in users if "annotator" in one))
    annotator.tag(replica, 0, "blurred", None)
    flow.pull.fn(house.home)
    assert replicas() == ["annotator-1"]


def looked(house: House) -> dict[tuple[str, str], set[str]]:
    """Whose looks there are, by origin and person, at which images."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in house.read(Annotation):
        if one.origin != "model":
            found.setdefault((one.origin, one.by), set()).add(one.image_id)
    return found


def test_whoever_has_a_job_now_did_not_draw_what_nobody_has_touched_since(house: House) -> None:
    (house.home / "params.yaml").write_text("annotate: {replicas: 1}\n")
    flow.push.fn(house.home)
    annotator, users = house.annotator(), house.users()
    (job,) = annotator.jobs(house.batch())
    (replica,) = annotator.jobs(house.batch(), "consensus_replica")
    first, second, third = (users[name] for name in ("annotator1", "annotator2", "admin"))
    for one, user in ((job, first), (replica, second)):
        annotator.set(one, assignee=user)
        for frame in range(4):
            annotator.tag(one, frame, "reviewed")
        annotator.finish(one)
    flow.pull.fn(house.home)
    every = set(house.batch().image_ids)
    # Names as they first appear, the newest job first.
    before = {("human", "annotator-2"): every, ("replica", "annotator-1"): every}
    assert looked(house) == before

    # A third person goes on with the replica, and changes one image of four.
    annotator.set(replica, assignee=third, state="in progress")
    annotator.tag(replica, 2, "blurred")
    annotator.finish(replica)
    flow.pull.fn(house.home)
    changed = {house.batch().image_ids[2]}
    before |= {
        ("replica", "annotator-1"): every - changed,
        ("replica", "annotator-3"): changed,
    }
    assert looked(house) == before

    # Reviewers get both jobs, and an image is erased: the task is another, the looks are the same.
    for one, reviewer in ((job, third), (replica, first)):
        annotator.set(one, stage="validation", assignee=reviewer)
    flow.pull.fn(house.home)
    gone = house.batch().image_ids[0]
    flow.erase.fn(house.home, [gone])
    task = house.batch().task
    of_task = [one for one in house.read(Annotation) if one.image_id != gone and one.provenance]
    assert {one.provenance.task for one in of_task} == {task}
    jobs = {str(one["id"]) for one in house.connection.pages("/api/jobs", {"task_id": task})}
    assert {one.provenance.job for one in of_task} == jobs
    for _ in range(2):
        flow.pull.fn(house.home)
        left = {key: images - {gone} for key, images in looked(house).items()}
        assert left == {key: images - {gone} for key, images in before.items()}
    assert {one.annotator for one in house.read(AnnotationJob)} == {"annotator-2", "annotator-3"}


def test_only_pseudonyms_leave(house: House) -> None:
    flow.push.fn(house.home)
    users = {one["username"]: one["id"] for one in house.connection.pages("/api/users")}
    name = next(one for one in users if one.startswith("annotator"))
    annotator = house.annotator()
    for job in annotator.jobs(house.batch()):
        annotator.set(job, assignee=users[name])
        annotator.tag(job, job["start_frame"], "reviewed")
        annotator.finish(job)
    flow.pull.fn(house.home)
    by_people = [one for one in house.read(Annotation) if one.origin == "human"]
    assert {one.by for one in by_people} == {"annotator-1"}
    assert {one.annotator for one in house.read(AnnotationJob)} == {"annotator-1"}
    assert all(one.provenance is not None for one in by_people)
    # What the catalogue keeps of the jobs is enough to know that nothing has changed since.
    exchange = exchange_with(house.workspace, house.connection.url)
    assert exchange.pull(house.batch(), house.read(AnnotationJob)) is None
    with house.catalogue() as catalogue:
        write_snapshot(house.workspace, catalogue)
    shared = "".join(path.read_text() for path in house.workspace.snapshot.rglob("*.jsonl"))
    assert "annotator-1" in shared
    for secret in (f'"{name}"', house.connection.url):
        assert secret not in shared


def test_an_image_is_erased_and_stays_away(house: House) -> None:
    flow.push.fn(house.home)
    before = house.batch()
    gone, reviewed = before.image_ids[0], before.image_ids[1]
    job, frame = house.frame(reviewed)
    house.annotator().tag(job, frame, "reviewed")
    house.annotator().finish(job)
    flow.pull.fn(house.home)
    summary = flow.erase.fn(house.home, [gone[:12]])
    assert (summary.images, summary.batches, summary.ended) == (1, 1, 0)
    assert house.batch().task != before.task
    # Of the two jobs one is without an image now, and is read anew.
    assert sorted(bool(one.content_sha256) for one in house.read(AnnotationJob)) == [False, True]
    assert f"{gone[:16]}.png" not in names_shown(house)
    flow.pull.fn(house.home)
    (label,) = (one for one in house.read(Annotation) if one.origin == "human")
    assert label.image_id == reviewed
    assert label.provenance is not None
    assert label.provenance.task == house.batch().task
    assert {one.state for one in house.read(AnnotationJob)} == {"completed", "new"}
    assert flow.push.fn(house.home).new_batches == 0
    # The rest goes, too; then there is no task.
    summary = flow.erase.fn(house.home, list(house.batch().image_ids))
    assert summary.ended == 1
    assert (house.batch().task, house.batch().state) == ("", "returned")
    assert names_shown(house) == set()


def test_an_image_is_erased_from_archives(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", "")
    flow.push.fn(house.home)
    gone = house.batch().image_ids[0]
    outbox = house.workspace.exchange / "outbox" / house.batch().batch_id
    assert gone[:16].encode() in (outbox / "task.zip").read_bytes()
    assert flow.erase.fn(house.home, [gone]).in_no_batch == 0
    assert gone[:16].encode() not in (outbox / "task.zip").read_bytes()
    assert gone not in (outbox / "batch.json").read_text()
    assert gone not in house.batch().image_ids
    assert flow.push.fn(house.home).new_batches == 0


def test_an_erasure_says_what_no_batch_holds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", "")
    flow.push.fn(house.home)
    held = house.batch().image_ids[0]
    summary = flow.erase.fn(house.home, [held, house.doubtful])
    assert (summary.images, summary.batches, summary.in_no_batch) == (2, 1, 1)
    monkeypatch.setattr(flow, "erase", flow.erase.fn)
    again = CliRunner().invoke(app, ["annotate", "erase", held, "--home", str(house.home)])
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[-1] == (
        "No batch holds 1 of 1 images: there was nothing to take away, and they will not be pushed."
    )


# --- killed -----------------------------------------------------------------------------------


def push(home: Path) -> None:
    without_engine(pytest.MonkeyPatch())
    flow.push.fn(home)


def pull(home: Path) -> None:
    without_engine(pytest.MonkeyPatch())
    flow.pull.fn(home)


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Whether the work, in a process of its own, was still under way when SIGKILL ended it."""
    child = forked_clean(work)
    child.join(seconds)
    child.kill()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def assert_no_half_file(house: House) -> None:
    """What lies under a name that anybody reads is whole."""
    for shard in house.workspace.spool.glob("*.jsonl"):
        assert [json.loads(line) for line in shard.read_text().splitlines()]
    names = house.workspace.exchange / ANNOTATORS
    assert not names.exists() or json.loads(names.read_text())


@pytest.mark.parametrize("seed", [0, *thorough(*range(1, 8))])
def test_push_and_pull_are_killed_at_moments_that_nobody_chose(
    house: House, cvat: Cvat, seed: int
) -> None:
    """Processes, ended by SIGKILL: one task, and every label once and whole."""
    draw = random.Random(seed)
    # So that there is something to be killed, however fast the machine is.
    cvat.faults.at_random(1, seed, (Kind.SLOW,), seconds=0.1)
    kills = sum(killed_after(draw.uniform(0.05, 1.5), partial(push, house.home)) for _ in range(4))
    assert_no_half_file(house)
    flow.push.fn(house.home)
    (task,) = house.connection.pages("/api/tasks")
    batch = house.batch()
    assert (str(task["id"]), batch.state) == (batch.task, "pushed")
    assert task["bug_tracker"] == f"mirrorset:{batch.batch_id}"
    assert set(batch.image_ids) == set(house.shown)

    for image_id in batch.image_ids:
        job, frame = house.frame(image_id)
        house.annotator().tag(job, frame, "reviewed")
        house.annotator().finish(job)
    for _ in range(4):
        kills += killed_after(draw.uniform(0.05, 0.5), partial(pull, house.home))
        assert_no_half_file(house)
    assert kills > 2
    assert flow.pull.fn(house.home).reviewed == 4
    people = [one for one in house.read(Annotation) if one.origin != "model"]
    assert sorted(one.image_id for one in people) == sorted(house.shown)
    sent = {one.image_id: one for one in house.read(Annotation) if one.origin == "model"}
    assert all(one.faces == sent[one.image_id].faces for one in people)
    assert house.batch().state == "returned"
    assert list(house.workspace.spool.glob("*.jsonl")) == []


# --- listening --------------------------------------------------------------------------------

SECRET = "of this test"  # noqa: S105


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_news_hastens_the_poll_and_nothing_else_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.push.fn(house.home)
    monkeypatch.setenv("MIRRORSET_CVAT_WEBHOOK_SECRET", SECRET)
    pulled: list[float] = []
    asked = threading.Event()

    def pull(home: Path) -> PullSummary:
        pulled.append(time.monotonic())
        asked.set()
        if len(pulled) == 2:
            raise UnavailableError("The server is down for a moment.")
        return PullSummary(batches=1, returned=0, reviewed=0, unreviewed=0, rejected=0)

    port = free_port()
    polls = listen(house.home, "127.0.0.1", port, 3600, pull=pull)
    next(polls)
    listener = threading.Thread(target=lambda: next(polls), daemon=True)
    listener.start()

    def deliver(project: int, secret: str) -> int:
        job = {"id": 1, "project_id": project, "updated_date": utc_now().isoformat()}
        body = json.dumps({"event": "update:job", "job": job}).encode()
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {SIGNATURE: f"sha256={signed}"}
        return requests.post(f"http://127.0.0.1:{port}/", body, headers=headers).status_code  # noqa: S113

    ours = int(house.batch().project)
    asked.clear()
    assert deliver(ours, "another secret") == 401
    assert deliver(ours + 1, SECRET) == 200
    assert not asked.wait(0.5)
    # Several are one piece of news; the pull that fails is followed by the next.
    assert {deliver(ours, SECRET) for _ in range(5)} == {202}
    assert asked.wait(20)
    time.sleep(2)
    assert len(pulled) == 2
    assert deliver(ours, SECRET) == 202
    listener.join(20)
    assert len(pulled) == 3
    polls.close()
    with pytest.raises(requests.ConnectionError):
        deliver(ours, SECRET)


def test_the_servers_own_deliveries_are_heard(
    house: House, cvat: Cvat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: nothing else than the signature says that it was the server."""
    # A real server may not reach a port of this machine.
    assert cvat.stand_in.is_stand_in
    flow.push.fn(house.home)
    monkeypatch.setenv("MIRRORSET_CVAT_WEBHOOK_SECRET", SECRET)
    port = free_port()
    hook = {
        "target_url": f"http://127.0.0.1:{port}/",
        "type": "project",
        "project_id": int(house.batch().project),
        "content_type": "application/json",
        "secret": SECRET,
        "is_active": True,
        "enable_ssl": False,
        "events": ["update:job", "update:task", "update:project"],
    }
    house.connection.call("POST", "/api/webhooks", body=hook, find=lambda: None)
    polls = listen(house.home, "127.0.0.1", port, 3600, pull=flow.pull.fn)
    assert next(polls).reviewed == 0
    job, frame = house.frame(house.batch().image_ids[0])
    house.annotator().tag(job, frame, "reviewed")
    house.annotator().finish(job)
    assert next(polls).reviewed == 1
    polls.close()


def test_without_a_secret_nobody_listens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRRORSET_CVAT_WEBHOOK_SECRET", raising=False)
    with pytest.raises(SettingsError, match="MIRRORSET_CVAT_WEBHOOK_SECRET"):
        next(listen(house.home, "127.0.0.1", free_port(), 3600))


def test_a_port_that_is_taken_is_one_sentence(
    house: House, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_WEBHOOK_SECRET", SECRET)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(
            UnavailableError, match=r"cannot be listened on .*: choose another --port"
        ):
            next(listen(house.home, "127.0.0.1", taken.getsockname()[1], 3600))
    assert capfd.readouterr().err == ""
