"""Real photographs labelled by processes and by a Dask cluster, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from demo_run import MIRRORSET, started, with_group
from distributed import Client, LocalCluster
from typer.testing import CliRunner

from annotation.cluster import Cluster
from annotation.labelling import Labelled, Team, labelled
from annotation.prelabel import PrelabelParams
from annotation.processes import Processes
from annotation.worker import LabelOrder, label
from flows.cli import app
from flows.prelabel import label_shards
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import Annotation, ImageRecord
from mirrorset.workspace import init, open_workspace

_SHARD = 3


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> list[bytes]:
    """Twelve small photographs of adults, and one without a face."""
    photos = shared_data / "photos"
    paths = [
        *sorted((photos / "congress_pd_gray" / "img" / "200x250").glob("*.jpg"))[:6],
        *sorted((photos / "frl_zoom_cc0").glob("*.jpg")),
        *sorted((photos / "pd_portraits").glob("[ag]*")),
        photos / "negatives_skimage" / "coffee.png",
    ]
    return [path.read_bytes() for path in paths]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, pictures: list[bytes]) -> Path:
    """A workspace whose catalogue has the pictures, none of them labelled."""
    workspace = init(tmp_path_factory.mktemp("faces") / "faces")
    for content in pictures:
        workspace.blobs.put(content)
    with workspace.catalogue() as catalogue:
        catalogue.upsert([inspect(content, PixelParams()) for content in pictures])
    return workspace.home


@pytest.fixture(scope="module")
def order(home: Path, model_cache: Path) -> LabelOrder:
    blobs_url = open_workspace(home).settings.blobs_url
    return LabelOrder(blobs_url=blobs_url, models=model_cache, params=PrelabelParams())


@pytest.fixture(scope="module")
def shards(pictures: list[bytes]) -> list[tuple[str, ...]]:
    image_ids = sorted(inspect(content, PixelParams()).image_id for content in pictures)
    return [tuple(image_ids[at : at + _SHARD]) for at in range(0, len(image_ids), _SHARD)]


@pytest.fixture(scope="module")
def alone(order: LabelOrder, shards: list[tuple[str, ...]]) -> list[str]:
    """What one process makes of the pictures."""
    return lines([label(order, shard) for shard in shards])


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as started_cluster:
        yield started_cluster


def lines(contents: list[bytes]) -> list[str]:
    """All records to the last bit, but for the time at which they were made."""
    records = [json.loads(line) for content in contents for line in content.splitlines()]
    for record in records:
        for fields in record.values():
            fields.pop("made_at", None)
    return sorted(json.dumps(record) for record in records)


def labelled_despite(
    murder: Callable[[], None], team: Team, order: LabelOrder, shards: list[tuple[str, ...]]
) -> list[str]:
    """Label the shards, and do `murder` when the first is done and others are under way."""
    ended: list[Labelled] = []
    for one in labelled(team, order, iter(shards)):
        if not ended:
            murder()
        ended.append(one)
    assert sum(one.images for one in ended) == sum(len(shard) for shard in shards)
    return lines([one.content for one in ended])


def workers_of(process_id: int) -> list[psutil.Process]:
    """The labelling processes of a process."""
    workers = []
    for child in psutil.Process(process_id).children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


def until(is_so: Callable[[], Any], patience_s: float = 300) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_processes_label_as_one_does_though_one_is_killed(
    order: LabelOrder,
    shards: list[tuple[str, ...]],
    alone: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def murder() -> None:
        at_work[:] = workers_of(os.getpid())
        at_work[0].kill()

    at_work: list[psutil.Process] = []
    with Processes(2) as team:
        assert labelled_despite(murder, team, order, shards) == alone
    assert len(at_work) == 2
    # What else is logged, other tests may have switched on.
    (said,) = [one.message for one in caplog.records if one.name == "annotation.labelling"]
    assert said.startswith("A labelling worker died over ")
    assert workers_of(os.getpid()) == []


def test_two_dask_workers_label_as_one_process_does_though_one_is_killed(
    order: LabelOrder, shards: list[tuple[str, ...]], alone: list[str], cluster: LocalCluster
) -> None:
    suspicious: list[str] = []

    def murder() -> None:
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            pids = client.run(os.getpid)
            (victim, at) = next((who, keys) for who, keys in client.processing().items() if keys)
            suspicious.extend(at)
            psutil.Process(pids[victim]).kill()

    with Cluster(cluster.scheduler_address) as team:
        assert labelled_despite(murder, team, order, shards) == alone
    assert suspicious


def test_faults_of_a_worker_are_faults_of_the_run(
    order: LabelOrder, cluster: LocalCluster, tmp_path: Path
) -> None:
    astray = order.model_copy(update={"blobs_url": str(tmp_path / "unmounted")})
    with Processes(1) as team, pytest.raises(UnavailableError, match="unmounted is not there"):
        list(labelled(team, astray, iter([("ab" * 32,)])))
    with (
        Cluster(cluster.scheduler_address) as team,
        pytest.raises(UnavailableError, match="unmounted is not there"),
    ):
        list(labelled(team, astray, iter([("ab" * 32,)])))


_RUN = """
import sys
from pathlib import Path
from annotation.prelabel import PrelabelParams
from flows.prelabel import label_shards
from mirrorset.workspace import open_workspace

if __name__ == "__main__":
    label_shards.fn(open_workspace(Path(sys.argv[1])), PrelabelParams(), 2, "", 3)
"""


def kept(home: Path) -> dict[str, str]:
    """The annotations of the catalogue by image, but for the time at which they were made."""
    with open_workspace(home).catalogue() as catalogue:
        return {
            note.image_id: note.model_dump_json(exclude={"made_at"})
            for note in catalogue.read(Annotation)
        }


def annotated(records: list[str]) -> dict[str, str]:
    notes = [one["Annotation"] for one in map(json.loads, records) if "Annotation" in one]
    return {
        note["image_id"]: Annotation.model_validate(
            note | {"made_at": "2026-11-23T12:00:00Z"}
        ).model_dump_json(exclude={"made_at"})
        for note in notes
    }


def test_a_run_that_is_killed_leaves_nothing_running_and_the_next_does_the_rest(
    home: Path, alone: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    with started([sys.executable, str(script), str(home)]) as process:
        until(lambda: kept(home))
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(workers) == 2
        until(lambda: not any(one.is_running() for one in workers), patience_s=60)
    before = kept(home)
    assert 0 < len(before) < len(annotated(alone))
    label_shards.fn(open_workspace(home), PrelabelParams(), 1, "", _SHARD)
    after = kept(home)
    assert after == annotated(alone)
    with open_workspace(home).catalogue() as catalogue:
        assert dict(catalogue.rejected_by_reason("prelabel")) == {"no_face": 1}
    assert not list(open_workspace(home).spool.glob("*"))


@pytest.fixture
def unlabelled_home(home: Path, tmp_path: Path) -> Path:
    """A workspace with the same pictures, none of them labelled."""
    workspace = init(tmp_path / "again")
    with open_workspace(home).catalogue() as done, workspace.catalogue() as catalogue:
        catalogue.upsert(list(done.read(ImageRecord)))
    (workspace.home / "mirrorset.toml").write_text(
        f'blobs_url = "{open_workspace(home).settings.blobs_url}"\n'
    )
    return workspace.home


def test_ctrl_c_leaves_nothing_running_and_a_cluster_does_the_rest(
    unlabelled_home: Path,
    alone: list[str],
    cluster: LocalCluster,
    request: pytest.FixtureRequest,
) -> None:
    command = [str(MIRRORSET), "prelabel", "--home", str(unlabelled_home), "--json"]
    with started(command) as process:
        until(lambda: workers_of(process.pid))
        family = psutil.Process(process.pid).children(recursive=True)
        with_group(process, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        until(lambda: not any(one.is_running() for one in family), patience_s=60)
    assert stderr.strip() == "mirrorset: Stopped; run it again to go on where it was."
    assert kept(unlabelled_home) == {}
    # Only the command that is stopped needs a server of its own, which must be gone by now.
    request.getfixturevalue("prefect")
    finished = subprocess.run(
        [*command, "--cluster", cluster.scheduler_address],
        capture_output=True,
        text=True,
        check=True,
    )
    assert kept(unlabelled_home) == annotated(alone)
    summary = json.loads(finished.stdout)
    assert (summary["looked_at"], summary["labelled"]) == (13, 12)
    assert summary["rejected"] == {"no_face": 1}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--workers", "2", "--cluster", "tcp://127.0.0.1:9"], "not both"),
        (["--workers", "2", "--images", "a", "--out", "b"], "label the catalogue, not a folder"),
    ],
)
def test_options_that_contradict_each_other(options: list[str], says: str) -> None:
    outcome = CliRunner().invoke(app, ["prelabel", *options])
    assert isinstance(outcome.exception, SettingsError)
    assert says in str(outcome.exception)
