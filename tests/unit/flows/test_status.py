"""The status while its server goes away and comes back."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from scripted_server import Told, scripted
from typer.testing import CliRunner

from annotation.status import Status
from flows import status as flow
from flows.cli import app
from mirrorset.errors import UnavailableError
from mirrorset.records import AnnotationJob, Batch, utc_now
from mirrorset.workspace import init, open_workspace

IMAGE = "a" * 64
BATCH = Batch(
    batch_id="b1",
    image_ids=(IMAGE,),
    schema_version="selfie-3",
    server="https://cvat.example.org",
    project="1",
    task="7",
    state="pushed",
)


def job(state: str) -> AnnotationJob:
    return AnnotationJob(
        batch_id="b1",
        job_id="11",
        kind="annotation",
        image_ids=(IMAGE,),
        stage="annotation",
        state=state,
        annotator="annotator-1",
        updated_at=utc_now(),
    )


class Server:
    """Says of its only job, asked again and again, these states; None while it is away."""

    def __init__(self, *states: str | None) -> None:
        self._states = iter(states)

    def jobs(self, _batch: Batch, _known: Sequence[AnnotationJob]) -> tuple[AnnotationJob, ...]:
        state = next(self._states)
        if state is None:
            raise UnavailableError("It cannot be reached.")
        return (job(state),)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init(tmp_path)
    with open_workspace(tmp_path).catalogue() as catalogue:
        catalogue.upsert([BATCH])
    return tmp_path


def answers(monkeypatch: pytest.MonkeyPatch, *states: str | None) -> None:
    server = Server(*states)
    monkeypatch.setattr(flow, "exchange_with", lambda *_: server)


def states(status: Status) -> list[str]:
    return [one.state for batch in status.batches for one in batch.jobs]


def test_jobs_stay_as_last_seen_while_the_server_is_away(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "new", "in progress", None, None, "completed")
    shown = flow.watch(home, 0)
    seen = [next(shown) for _ in range(5)]
    assert [states(one) for one in seen] == [
        *(["new"], ["in progress"], ["in progress"], ["in progress"], ["completed"])
    ]
    assert [bool(one.note) for one in seen] == [False, False, True, True, False]
    assert seen[2].note.startswith("Jobs are as they were at ")
    assert seen[2].note.endswith(" UTC: It cannot be reached.")
    assert seen[2].note == seen[3].note


def test_before_anything_was_seen_jobs_are_those_of_the_last_pull(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, None, None)
    unknown = flow.status(home)
    assert (states(unknown), unknown.note) == (
        [],
        "Jobs are not known before the first pull: It cannot be reached.",
    )
    with open_workspace(home).catalogue() as catalogue:
        catalogue.upsert([job("rejected")])
    pulled = next(flow.watch(home, 0))
    assert states(pulled) == ["rejected"]
    assert pulled.note == "Jobs are as the last pull found them: It cannot be reached."


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"results": [{"id": "x"}], "next": None}, "answered GET /api/jobs with a `results[0].id`"),
        ([float("nan")], "answered GET /api/jobs with no JSON object"),
        (b"<html>", "answered GET /api/jobs with no JSON object"),
    ],
)
def test_an_answer_that_cannot_be_read_is_as_one_that_never_came(
    home: Path, monkeypatch: pytest.MonkeyPatch, answer: object, told: str
) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_TOKEN", "t")
    with scripted([Told({"version": "2.54.1"}), Told(answer)]) as server:
        monkeypatch.setenv("MIRRORSET_CVAT_URL", server.url)
        with open_workspace(home).catalogue() as catalogue:
            catalogue.upsert([BATCH.model_copy(update={"server": server.url}), job("rejected")])
        shown = flow.status(home)
    assert states(shown) == ["rejected"]
    assert shown.note.startswith("Jobs are as the last pull found them: ")
    assert f"{server.url} (CVAT 2.54.1) {told}" in shown.note


def test_what_is_known_is_shown_without_waiting_for_the_server(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch)
    status = flow.status(home, is_asking=False)
    assert [batch.batch_id for batch in status.batches] == ["b1"]
    assert status.note.endswith("; the server has not answered yet.")


@pytest.mark.parametrize("options", [[], ["--watch", "--every", "1"]])
def test_into_a_pipe_go_plain_tables(
    home: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    answers(monkeypatch, "in progress", None)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flow.time, "sleep", interrupted)
    result = CliRunner().invoke(app, ["annotate", "status", "--home", str(home), *options])
    # Ctrl-C is what ends a watch.
    assert result.exit_code == (130 if options else 0), result.output
    assert "annotator-1" in result.stdout
    assert "0 of 1 images reviewed by people" in result.stdout
    assert "\x1b" not in result.output


def test_what_only_looks_does_not_wait_for_prefect() -> None:
    program = "import sys, flows.status, flows.schema; sys.exit('prefect' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
