"""Doctor asks real servers on loopback: such as answer, refuse, hang, or are gone."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from demo_run import MIRRORSET
from postgresql_server import fresh_database
from postgresql_server import serving as serving_postgresql
from s3_server import CREDENTIALS
from s3_server import serving as serving_s3
from scripted_server import Told, scripted
from standin.server import standing_in

from mirrorset.catalogue import Catalogue
from mirrorset.workspace import init

_SECRETS = {
    "MIRRORSET_CVAT_TOKEN": "planted-cvat-token-1",
    "MIRRORSET_CVAT_WEBHOOK_SECRET": "planted-webhook-2",
    "MIRRORSET_FLICKR_API_KEY": "planted-flickr-3",
    "AWS_SECRET_ACCESS_KEY": "planted-s3-key-4",
    "PREFECT_API_AUTH_STRING": "planted:prefect-5",
    "PGPASSWORD": "planted-database-6",
}
#: What doctor may take, whatever the servers do: 10 s, and its start where others are at work.
_LIMIT_S = 60

Findings = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init(tmp_path_factory.mktemp("doctor") / "faces", "s3://faces/releases").home


def examined(home: Path, env: Mapping[str, str]) -> tuple[int, Findings, float]:
    """The exit code, the findings by name, and the seconds that it took; no secret was written."""
    began = time.monotonic()
    done = subprocess.run(
        [MIRRORSET, "doctor", "--json", "--home", home],
        env=os.environ | CREDENTIALS | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    taken_s = time.monotonic() - began
    for secret in (*_SECRETS.values(), *(value for name, value in env.items() if "TOKEN" in name)):
        assert secret not in done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {one["name"]: one for one in findings}, taken_s


@contextmanager
def dask_cluster(scratch: Path) -> Iterator[str]:
    """The address of a scheduler with one worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    programs = (
        [
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            address.rpartition(":")[2],
            "--no-dashboard",
        ],
        ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"],
    )
    dask = Path(sys.executable).with_name("dask")
    with ExitStack() as stack:
        for program in programs:
            process = subprocess.Popen(
                [dask, *program],
                cwd=scratch,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        _await_worker(address)
        yield address


def _await_worker(address: str) -> None:
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.usefixtures("prefect")
def test_servers_that_answer_are_well(home: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving_postgresql())
        database = stack.enter_context(fresh_database(server))
        cvat = stack.enter_context(standing_in())
        s3 = stack.enter_context(serving_s3())
        collector = stack.enter_context(scripted([Told(b"")]))
        s3.client().create_bucket(Bucket="faces")
        env = {
            "MIRRORSET_CATALOGUE_URL": database,
            "MIRRORSET_BLOBS_URL": "s3://faces/originals",
            "MIRRORSET_CVAT_URL": cvat.url,
            "MIRRORSET_CVAT_TOKEN": cvat.token,
            "MIRRORSET_DASK_SCHEDULER": stack.enter_context(dask_cluster(tmp_path)),
            "AWS_ENDPOINT_URL": s3.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        with Catalogue(database):
            code, found, _ = examined(home, env)
        asked = ("catalogue", "originals", "remote", "CVAT", "Prefect", "Dask", "telemetry")
        clocks = [f"clock of {one}" for one in ("CVAT", "Prefect", "S3", "PostgreSQL")]
        assert {name for name in (*asked, *clocks) if found[name]["verdict"] != "ok"} == set()
        assert code == 0
        assert "takes the token; cvat-sdk is" in found["CVAT"]["found"]
        assert found["Dask"]["found"].startswith("1 workers")


def test_servers_that_refuse_us_or_are_gone_fail_and_say_what_to_do(home: Path) -> None:
    hour_later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with ExitStack() as stack:
        server = stack.enter_context(serving_postgresql())
        cvat = stack.enter_context(standing_in())
        s3 = stack.enter_context(serving_s3())
        refusing = Told({"detail": "no"}, 401, {"Date": hour_later})
        prefect = stack.enter_context(scripted([refusing]))
        s3.client().create_bucket(Bucket="faces")
        requests.post(f"{s3.url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
        code, found, _ = examined(
            home,
            _SECRETS
            | {
                "MIRRORSET_CATALOGUE_URL": server.replace("mirrorset@", "nobody:planted-7@"),
                "MIRRORSET_BLOBS_URL": "s3://faces/originals",
                "MIRRORSET_CVAT_URL": cvat.url,
                "PREFECT_API_URL": f"{prefect.url}/api",
                "MIRRORSET_DASK_SCHEDULER": "tcp://127.0.0.1:9",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
                "AWS_ENDPOINT_URL": s3.url,
            },
        )
    assert code == 4
    said = {
        "Dask": "dask scheduler",
        "catalogue": "takes this user",
        "originals": "AWS_SECRET_ACCESS_KEY",
        "remote": "AWS_SECRET_ACCESS_KEY",
        "CVAT": "MIRRORSET_CVAT_TOKEN",
        "Prefect": "PREFECT_API_AUTH_STRING",
    }
    for name, words in said.items():
        assert (found[name]["verdict"], words in found[name]["remedy"]) == ("fails", True), name
    assert "planted-7" not in json.dumps(found)
    # Runs go on without it.
    assert found["telemetry"]["verdict"] == "warning"
    assert found["clock of Prefect"]["verdict"] == "warning"


def test_servers_that_say_nothing_keep_nobody_waiting(home: Path) -> None:
    with silent() as port:
        url = f"http://127.0.0.1:{port}"
        code, found, taken_s = examined(
            home,
            _SECRETS
            | {
                "MIRRORSET_CATALOGUE_URL": f"postgresql+psycopg://me@127.0.0.1:{port}/faces",
                "MIRRORSET_BLOBS_URL": "s3://faces/originals",
                "MIRRORSET_CVAT_URL": url,
                "MIRRORSET_DASK_SCHEDULER": f"tcp://127.0.0.1:{port}",
                "PREFECT_API_URL": f"{url}/api",
                "AWS_ENDPOINT_URL": url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            },
        )
    assert code == 4
    for name in ("catalogue", "originals", "remote", "CVAT", "Prefect", "Dask"):
        assert found[name]["verdict"] == "fails", name
    assert found["telemetry"]["verdict"] == "warning"
    assert found["Python"]["verdict"] == "ok"
    # Each was given up by itself.
    assert "no answer within" not in json.dumps(found)
    assert taken_s < _LIMIT_S
