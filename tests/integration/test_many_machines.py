"""On many machines' services, by schedules, the pipeline makes the release that one machine makes.

One side: commands, SQLite, a folder, this machine's processes. The other: `mirrorset serve`,
PostgreSQL, S3, Prefect's server on PostgreSQL, and a Dask cluster of two workers, reached by their
addresses. Both crawl the demo's gallery, and the same person reviews the same pictures on a CVAT
server of each side's own.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
import requests
import yaml
from cvat_annotator import Annotator
from demo_run import MIRRORSET
from postgresql_server import fresh_database
from postgresql_server import serving as serving_postgresql
from s3_server import CREDENTIALS, S3Server
from s3_server import serving as serving_s3
from sqlalchemy import NullPool, create_engine, text
from standin.server import Cvat, standing_in

from annotation.cvat.connection import connect
from flows.demo.commons import CATEGORY
from flows.demo.gallery import assemble
from flows.demo.server import serve
from mirrorset.catalogue import Catalogue
from mirrorset.records import Annotation, Batch, ImageRecord
from mirrorset.settings import Settings
from mirrorset.workspace import init

_PORTRAITS = 4
_BUCKET = "faces"
_PROGRAMS = MIRRORSET.parent
_BY_CLOCK = """
    SELECT flow.name FROM flow JOIN flow_run ON flow_run.flow_id = flow.id
    WHERE flow_run.auto_scheduled AND flow_run.state_type = 'COMPLETED'
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server in a process group of its own, all of which is gone at the end."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def prefect_server(database: str, folder: Path) -> Iterator[str]:
    """The address of a Prefect server whose state is in the PostgreSQL database."""
    port = free_port()
    env = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.replace("+psycopg", "+asyncpg"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [_PROGRAMS / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, folder / "prefect.log", env) as process:
        url = f"http://127.0.0.1:{port}/api"
        until = time.monotonic() + 180
        while True:
            try:
                requests.get(f"{url}/health", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                assert process.poll() is None, (folder / "prefect.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.3)
        yield url


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler, with as many workers, each a process of one thread."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = _PROGRAMS / "dask"
    with ExitStack() as stack:
        command = [dask, "scheduler", "--host", address, "--no-dashboard"]
        stack.enter_context(running(command, folder / "scheduler.log"))
        for number in range(workers):
            command = [
                *(dask, "worker", address, "--nthreads", "1", "--no-dashboard"),
                *("--local-directory", folder / f"worker-{number}"),
            ]
            stack.enter_context(running(command, folder / f"worker-{number}.log"))
        yield address


def command(home: Path, *arguments: str) -> dict[str, object]:
    """What a command of mirrorset says, as JSON."""
    finished = subprocess.run(
        [MIRRORSET, *arguments, "--home", home, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert finished.returncode == 0, (arguments, finished.stderr)
    return json.loads(finished.stdout)


def review(cvat: Cvat, catalogue_url: str) -> int:
    """Do what a person does: mark every picture as reviewed, and finish every job."""
    with Catalogue(catalogue_url) as catalogue:
        batches = list(catalogue.read(Batch))
    connection = connect(cvat.url, cvat.token)
    looked_at = 0
    for batch in batches:
        annotator = Annotator(connection, int(batch.project))
        for job in annotator.jobs(batch):
            for frame in range(job["start_frame"], job["stop_frame"] + 1):
                annotator.tag(job, frame, "reviewed")
                looked_at += 1
            annotator.finish(job)
    return looked_at


def done_by_clock(orchestrator: str) -> set[str]:
    """The flows of which a run that a schedule made has been completed."""
    # No connection is kept: the server has a hundred for all.
    with create_engine(orchestrator, poolclass=NullPool).connect() as connection:
        return set(connection.execute(text(_BY_CLOCK)).scalars())


def reviewed(catalogue: Catalogue) -> int:
    """How many pictures a person's labels have come back of."""
    return sum(one.origin == "human" for one in catalogue.read(Annotation))


def make_workspace(home: Path, gallery_url: str, remote: str, endpoint: str | None) -> Path:
    params = yaml.safe_load(files("flows.demo").joinpath("params.yaml").read_text())
    params["crawl"]["sources"] = [
        {
            "source": "commons",
            "api_url": f"{gallery_url}/w/api.php",
            "category": CATEGORY.removeprefix("Category:"),
        },
        {"source": "gallery", "url": f"{gallery_url}/gallery/sitemap.xml"},
    ]
    home.mkdir()
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    return init(home, remote, endpoint).home


def released(home: Path, cvat: Cvat) -> dict[str, object]:
    """Run every step by its command; the release's card."""
    command(home, "crawl")
    command(home, "prelabel")
    command(home, "annotate", "push")
    assert review(cvat, f"sqlite:///{home}/.mirrorset/catalogue.sqlite") > _PORTRAITS
    assert command(home, "annotate", "pull")["reviewed"]
    command(home, "release")
    return card(home)


def card(home: Path) -> dict[str, object]:
    (folder,) = (home / "data/releases/demo").iterdir()
    return json.loads((folder / "release.json").read_text())


@contextmanager
def served(home: Path, log: Path, **schedules: object) -> Iterator["subprocess.Popen[bytes]"]:
    """`mirrorset serve` with these schedules; every other step on demand alone."""
    steps = dict.fromkeys(("crawl", "pull", "release", "verify"))
    wanted = {"is_approval_needed": False, "parity_after_release": False, **steps, **schedules}
    params = yaml.safe_load((home / "params.yaml").read_text())
    (home / "params.yaml").write_text(yaml.safe_dump({**params, "serve": wanted}))
    with running([MIRRORSET, "serve", "--home", home], log) as process:
        yield process


def until(is_so: Callable[[], object], process: "subprocess.Popen[bytes]", log: Path) -> None:
    end_at = time.monotonic() + 240
    while not is_so():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end_at, log.read_text()
        time.sleep(0.5)


@pytest.fixture(scope="module")
def gallery_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gallery")
    with serve(assemble(folder, Settings().cache / "packages", _PORTRAITS)) as url:
        yield url


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with serving_postgresql() as url:
        yield url


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with serving_s3() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        server.client().create_bucket(Bucket=_BUCKET)
        yield server


@pytest.fixture
def one_machine(
    gallery_url: str, prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """The card of the release that this machine makes by itself."""
    with monkeypatch.context() as patch, standing_in() as cvat:
        patch.setenv("MIRRORSET_CVAT_URL", cvat.url)
        patch.setenv("MIRRORSET_CVAT_TOKEN", cvat.token)
        home = make_workspace(tmp_path / "one", gallery_url, str(tmp_path / "remote"), None)
        return released(home, cvat)


@pytest.mark.thorough  # four minutes
def test_many_machines_make_the_release_that_one_machine_makes(
    one_machine: dict[str, object],
    gallery_url: str,
    postgresql: str,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        catalogue_url = stack.enter_context(fresh_database(postgresql))
        orchestrator = stack.enter_context(fresh_database(postgresql))
        api_url = stack.enter_context(prefect_server(orchestrator, tmp_path))
        cvat = stack.enter_context(standing_in())
        for name, value in {
            "PREFECT_API_URL": api_url,
            "MIRRORSET_CATALOGUE_URL": catalogue_url,
            "MIRRORSET_BLOBS_URL": f"s3://{_BUCKET}/originals",
            "MIRRORSET_CVAT_URL": cvat.url,
            "MIRRORSET_CVAT_TOKEN": cvat.token,
        }.items():
            monkeypatch.setenv(name, value)
        scheduler = stack.enter_context(dask_cluster(tmp_path, 2))
        monkeypatch.setenv("MIRRORSET_DASK_SCHEDULER", scheduler)
        home = make_workspace(tmp_path / "many", gallery_url, f"s3://{_BUCKET}/releases", s3.url)
        catalogue = stack.enter_context(Catalogue(catalogue_url))
        log = tmp_path / "serve.log"
        soon = datetime.now(UTC) + timedelta(minutes=1, seconds=20)
        # The crawl begins once, by the clock; labelling and the push follow it.
        crawl_once = {"cron": f"{soon.minute} * * * *"}
        with served(home, log, crawl=crawl_once, pull={"every_s": 30}) as process:
            until(lambda: list(catalogue.read(Batch, state="pushed")), process, log)
            looked_at = review(cvat, catalogue_url)
            until(lambda: reviewed(catalogue) == looked_at, process, log)
        with served(home, log, release={"cron": "* * * * *"}) as process:
            until(lambda: "scheduled-release" in done_by_clock(orchestrator), process, log)
        assert card(home)["digest"] == one_machine["digest"]
        assert card(home)["images"] == one_machine["images"] > _PORTRAITS

        # Nothing of it lies on this machine alone.
        assert not (home / ".mirrorset/catalogue.sqlite").exists()
        assert not (home / ".mirrorset/blobs").exists()
        kept = {one.image_id for one in catalogue.read(ImageRecord)}
        objects = s3.objects(_BUCKET)
        originals = {key.rpartition("/")[2] for key in objects if key.startswith("originals/")}
        assert originals == kept
        assert any(key.startswith("releases/files/md5/") for key in objects)
        by_clock = {"scheduled-crawl", "scheduled-pull", "scheduled-release"}
        assert done_by_clock(orchestrator) == by_clock
        shutil.rmtree(home / ".dvc/cache")
        subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet"], cwd=home, check=True)
