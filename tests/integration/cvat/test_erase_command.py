"""`mirrorset erase` where the image is before annotators on a CVAT server, too."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cvat_annotator import Annotator
from cvat_room import Json, seen, without
from erasure_room import Ended, Traces, command, erased, found_in
from standin.faults import Kind
from standin.server import Cvat
from thorough import thorough

import flows.annotate as flow
from annotation.cvat import connection as connection_module
from annotation.cvat.connection import Connection, connect
from annotation.cvat.tasks import mark
from flows.asked import Asked
from flows.certificates import in_words
from mirrorset.erasure import Removed
from mirrorset.markup import escaped
from mirrorset.records import Annotation, Batch, Sighting
from mirrorset.workspace import Workspace, open_workspace

_CHANGES_SOMETHING = ("POST", "PUT", "PATCH", "DELETE")


class Office:
    """A workspace whose later pictures are on a server, and people at work on them there."""

    def __init__(self, home: Path, cvat: Cvat) -> None:
        self.home = home
        self.cvat = cvat
        self.connection = connect(cvat.url, cvat.token)
        params = yaml.safe_load((home / "params.yaml").read_text())
        params["annotate"] = {"segment_size": 3, "overlap": 1}
        (home / "params.yaml").write_text(yaml.safe_dump(params))
        flow.push.fn(home)
        annotator = Annotator(self.connection, int(self.batch.project))
        first, second = annotator.jobs(self.batch)[:2]
        annotator.tag(first, 0, "reviewed")
        (box, *_) = annotator.shapes(first, 1, "face")
        annotator.change(first, box, lambda shape: shape.update(points=[40.5, 40, 200, 200]))
        annotator.tag(second, 3, "reviewed")
        annotator.set(second, state="completed")
        issue = {"job": first["id"], "frame": 0, "position": [1, 1, 5, 5], "message": "off"}
        self.connection.call("POST", "/api/issues", body=issue, find=lambda: None)

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.home)

    @property
    def batch(self) -> Batch:
        """The batch on the server, as the catalogue knows it."""
        with self.workspace.catalogue() as catalogue:
            (batch,) = (one for one in catalogue.read(Batch) if one.server == self.cvat.url)
        return batch

    def seen(self) -> Json:
        return seen(self.connection, self.batch)

    def tasks(self) -> list[Json]:
        return list(self.connection.pages("/api/tasks"))

    def traces(self, image_id: str) -> Traces:
        with self.workspace.catalogue() as catalogue:
            (page,) = (x.page_url for x in catalogue.read(Sighting) if x.image_id == image_id)
        return Traces(image_id, self.workspace.blobs.get(image_id), page)

    def pictures(self) -> list[bytes]:
        """What the server shows, of every frame of every task."""
        return [
            self.connection.call(
                "GET",
                f"/api/tasks/{task['id']}/data",
                query={"type": "frame", "quality": "original", "number": number},
            )
            for task in self.tasks()
            for number in range(task["size"])
        ]


@pytest.fixture
def office(root: Path, cvat: Cvat, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", cvat.url)
    monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
    prepare(monkeypatch)
    return Office(root / "faces", cvat)


def prepare(patch: pytest.MonkeyPatch) -> None:
    """Steps without Prefect's engine, and little patience with a server that is down."""
    patch.setattr(connection_module, "PATIENCE_S", 0.5)
    for step in ("push_batch", "pull_batch", "hide"):
        patch.setattr(flow, step, getattr(flow, step).fn)


def ended(office: Office, gone: str, before: Callable[[], None] = lambda: None) -> Ended:
    """`mirrorset erase` of an image, in a process of its own; `before` is done in it first."""

    def prepared() -> None:
        prepare(pytest.MonkeyPatch())
        before()

    return command(office.home, "--image-id", gone, before=prepared)


def name_of(image_id: str) -> str:
    return f"{image_id[:16]}.jpg"


def test_the_task_is_made_anew_and_keeps_what_people_did(office: Office, root: Path) -> None:
    before, batch = office.seen(), office.batch
    gone = batch.image_ids[1]
    sought = office.traces(gone)
    assert sought.content in office.pictures()
    certificate = erased(office.workspace, Asked(images=(gone,)))
    assert certificate.is_complete
    assert Removed(place="CVAT", name=office.cvat.url, count=1) in certificate.removed
    assert f"| CVAT | {escaped(office.cvat.url)} | 1 |" in in_words(certificate)

    (task,) = office.tasks()
    assert str(task["id"]) == office.batch.task != batch.task
    assert office.batch.image_ids == tuple(one for one in batch.image_ids if one != gone)
    assert office.seen() == without(before, name_of(gone))
    assert sought.content not in office.pictures()
    assert list(found_in([root], sought)) == []
    # And what they did comes back.
    pulled = flow.pull.fn(office.home)
    assert (pulled.reviewed, pulled.rejected) == (1, 0)
    with office.workspace.catalogue() as catalogue:
        by_people = [one.image_id for one in catalogue.read(Annotation) if one.origin == "human"]
    assert by_people == [batch.image_ids[3]]


def test_a_server_that_is_down_is_named_and_reached_the_next_time(
    office: Office, root: Path
) -> None:
    before, batch = office.seen(), office.batch
    gone = batch.image_ids[1]
    sought = office.traces(gone)
    office.cvat.faults.at_random(1.0, seed=0, kinds=(Kind.RESET,))
    said = ended(office, gone)
    assert said.exit_code == 4, said
    *_, last = said.said.strip().splitlines()
    assert last.startswith("mirrorset: 1 places could not be reached, ")
    certificate = Path(last.partition("reached, ")[2].partition(" names")[0]).read_text()
    (unreached,) = [one for one in certificate.splitlines() if one.startswith("- CVAT ")]
    assert escaped(office.cvat.url) in unreached
    office.cvat.faults.clear()
    assert office.seen() == before
    # Nothing else was kept waiting: what names it is what still has to be done.
    left = {path.name for path in found_in([root], sought)}
    assert {name.split("-")[0] for name in left} <= {"catalogue.sqlite", "order"}, left

    said = ended(office, gone)
    assert said.exit_code == 0, said
    assert office.seen() == without(before, name_of(gone))
    assert list(found_in([root], sought)) == []
    assert sought.content not in office.pictures()


def dies_at(is_it: Callable[[str, str, int], bool]) -> Callable[[], None]:
    """What lets a process end itself once a request that changes something is answered.

    is_it: of its method, its path and how many such requests there were.
    """

    def prepare() -> None:
        plain, made = Connection._try, []

        def counting(self: Connection, method: str, path: str, *more: object) -> object:
            answer = plain(self, method, path, *more)
            if method in _CHANGES_SOMETHING:
                made.append(path)
                if is_it(method, path, len(made)):
                    os.kill(os.getpid(), signal.SIGKILL)
            return answer

        Connection._try = counting  # type: ignore[method-assign]

    return prepare


def at_number(number: int) -> Callable[[str, str, int], bool]:
    return lambda _method, _path, made: made == number


def at_the_end_of_the_task(method: str, path: str, _made: int) -> bool:
    return method == "DELETE" and path.startswith("/api/tasks/")


@pytest.mark.parametrize(
    "is_it",
    [
        at_the_end_of_the_task,
        at_number(8),
        *thorough(*(at_number(number) for number in range(1, 13) if number != 8)),
    ],
)
def test_killed_while_the_task_is_made_anew_there_is_one_in_the_end(
    office: Office, root: Path, is_it: Callable[[str, str, int], bool]
) -> None:
    """In the moment in which the first task is gone; and after any request."""
    before, batch = office.seen(), office.batch
    gone = batch.image_ids[2]
    sought = office.traces(gone)
    killed = ended(office, gone, dies_at(is_it))
    assert killed.is_killed, killed
    said = ended(office, gone)
    assert said.exit_code == 0, said
    (task,) = office.tasks()
    assert task["bug_tracker"] == mark(batch.batch_id)
    assert str(task["id"]) == office.batch.task
    assert office.seen() == without(before, name_of(gone))
    assert list(found_in([root], sought)) == []
    assert sought.content not in office.pictures()
