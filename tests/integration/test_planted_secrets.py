"""Secrets are planted wherever they come from: none is found in anything that is written.

The whole pipeline runs once as it should, on PostgreSQL, S3, Dask, CVAT and Prefect; then each
server refuses its credential or is gone. Where a credential may lie is `_THEIR_PLACES`.
"""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml
from chaos.services import until
from chaos.world import World, command, made
from planted import Planted, command_lines, git_objects
from psycopg import sql
from s3_server import CREDENTIALS

from mirrorset.dvc import dvc
from mirrorset.records import ImageRecord
from mirrorset.workspace import open_workspace

# With characters that addresses write in another way.
_SECRETS = {
    "s3 key": "AKIAPLANTED7S3KEY01",
    "s3 secret": "planted-s3/secret+02",
    "s3 session": "planted-s3/session+03",
    "s3 wrong": "planted-s3/wrong+04",
    "remote key": "AKIAPLANTED7REMOTE05",
    "remote secret": "planted-remote/secret+06",
    "database password": "planted-db/word+07",
    "database wrong": "planted-db/wrong+08",
    "proxy password": "planted-proxy/word+09",
    "prefect password": "planted-prefect/word+10",
    "prefect wrong": "planted-prefect/wrong+11",
    "prefect address": "planted-prefect/url+12",
    "webhook": "planted-webhook/secret+13",
    "flickr key": "planted-flickr/key+14",
    "openverse id": "planted-openverse/id+15",
    "openverse secret": "planted-openverse/secret+16",
    "cvat wrong": "planted-cvat/token+17",
}
_NOBODY = "127.0.0.1:9"
# Given there for DVC by whoever owns the workspace; git does not see it.
_THEIR_PLACES = {(".dvc/config.local", "remote key"), (".dvc/config.local", "remote secret")}


def _quoted(name: str) -> str:
    return quote(_SECRETS[name], safe="")


def _database(world: World, password: str) -> str:
    _, _, address = world.postgresql.address.partition("@")
    return f"postgresql+psycopg://planted:{_quoted(password)}@{address}/work"


@dataclass
class Runs:
    """The world's commands. What each says lies in a file beside the workspace."""

    world: World
    wrong: list[str] = field(default_factory=list)
    _count: int = 0

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        self._count += 1
        path = self.world.root / f"said-{self._count:02d}-{arguments[0]}.txt"
        with path.open("wb") as said:
            code = subprocess.run(
                [*command(*arguments), "--home", str(self.world.home)],
                env=self.world.env | env,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=300,
            ).returncode
        return code, path.read_text(errors="replace")

    def succeed(self, *arguments: str, **env: str) -> None:
        code, words = self.run(*arguments, **env)
        assert code == 0, words

    def fail(self, *arguments: str, **env: str) -> None:
        code, words = self.run(*arguments, **env)
        if not 0 < code < 8 or "Traceback" in words:
            self.wrong.append(f"{' '.join(arguments)} {sorted(env)} ended with {code}: {words}")

    def serve(self) -> None:
        """Serve for some seconds, with a run of the deployment that pulls."""
        with (self.world.root / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [*command("serve"), "--home", str(self.world.home)],
                env=self.world.env, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                until(lambda: b"deployments" in (self.world.root / "serve.log").read_bytes(), "up")
                time.sleep(12)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All servers, which ask for the planted credentials as far as they can ask."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    root = tmp_path_factory.mktemp("planted")
    s3 = {
        "AWS_ACCESS_KEY_ID": _SECRETS["s3 key"],
        "AWS_SECRET_ACCESS_KEY": _SECRETS["s3 secret"],
        "AWS_SESSION_TOKEN": _SECRETS["s3 session"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chaos.world.CREDENTIALS", CREDENTIALS | s3)
        patch.setenv("PREFECT_API_AUTH_STRING", f"admin:{_SECRETS['prefect password']}")
        patch.setenv("PREFECT_SERVER_API_AUTH_STRING", f"admin:{_SECRETS['prefect password']}")
        patch.setenv("PREFECT_HOME", str(root / "prefect-of-commands"))
        with made(root) as one:
            _plant(one)
            yield one


def _plant(world: World) -> None:
    with world.postgresql.connect() as connection:
        password = _SECRETS["database password"]
        connection.execute(f"CREATE ROLE planted SUPERUSER LOGIN PASSWORD '{password}'")
        (hba,) = connection.execute("SHOW hba_file").fetchone()
        rules = Path(hba)
        rules.write_text(f"host all planted 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")
    dvc(world.home, "remote", "modify", "--local", "storage", "access_key_id",
        _SECRETS["remote key"])  # fmt: skip
    dvc(world.home, "remote", "modify", "--local", "storage", "secret_access_key",
        _SECRETS["remote secret"])  # fmt: skip
    scratch = world.root / "scratch"
    scratch.mkdir()
    world.env |= {
        "TMPDIR": str(scratch),
        "AWS_MAX_ATTEMPTS": "1",
        "MIRRORSET_CATALOGUE_URL": _database(world, "database password"),
        "MIRRORSET_CVAT_WEBHOOK_SECRET": _SECRETS["webhook"],
        "MIRRORSET_FLICKR_API_KEY": _SECRETS["flickr key"],
        "MIRRORSET_OPENVERSE_CLIENT_ID": _SECRETS["openverse id"],
        "MIRRORSET_OPENVERSE_CLIENT_SECRET": _SECRETS["openverse secret"],
    }


@contextmanager
def _sources(world: World, sources: list[dict[str, Any]]) -> Iterator[None]:
    file = world.home / "params.yaml"
    before = file.read_text()
    params = yaml.safe_load(before)
    params["crawl"]["sources"] = sources
    file.write_text(yaml.safe_dump(params))
    try:
        yield
    finally:
        file.write_text(before)


def _contents_of_databases(world: World) -> Iterator[tuple[str, bytes]]:
    for file in world.root.rglob("prefect.db"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            yield str(file), "\n".join(connection.iterdump()).encode()
    with world.postgresql.connect("work") as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
            yield f"catalogue: {table}", repr(rows.fetchall()).encode()


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_no_secret_is_written_anywhere(world: World) -> None:
    runs = Runs(world)
    sought = Planted(_SECRETS | {"cvat token": world.cvat.token})
    proxy = {"HTTPS_PROXY": f"http://me:{_quoted('proxy password')}@{_NOBODY}"}
    with command_lines() as lines:
        cluster = {"MIRRORSET_DASK_SCHEDULER": world.dask.address}
        runs.succeed("crawl", "--shards", "2", **proxy, **cluster)
        runs.succeed("prelabel", **cluster)
        runs.succeed("annotate", "push", **proxy)
        world.annotate()
        runs.succeed("annotate", "pull", **proxy)
        runs.succeed("release", **proxy)
        with open_workspace(world.home).catalogue() as catalogue:
            gone = min(one.image_id for one in catalogue.read(ImageRecord))
        runs.succeed("erase", "--image-id", gone, **proxy)
        runs.succeed("status", **proxy)
        runs.serve()
        _refused_and_gone(runs)
    found = {(name, "a command line") for line in lines for name in sought.found_in(line)}
    found |= {(name, "git") for name in sought.found_in(git_objects(world.home))}
    for place, content in _contents_of_databases(world):
        found |= {(name, place) for name in sought.found_in(content)}
    found |= {
        (name, key)
        for key in world.s3.objects("faces")
        for name in sought.found_in(
            world.s3.client().get_object(Bucket="faces", Key=key)["Body"].read()
        )
    }
    theirs = {(name, str(world.home / file)) for file, name in _THEIR_PLACES}
    written = {(name, str(path)) for path, name in sought.found_below(world.root)}
    assert theirs <= written
    assert sorted(found | (written - theirs)) == []
    assert runs.wrong == []


def _refused_and_gone(runs: Runs) -> None:
    """What fails before a server is asked is in tests/unit/flows/test_secrets.py."""
    world = runs.world
    once = {"PREFECT_CLIENT_MAX_RETRIES": "0"}
    runs.fail("annotate", "pull", MIRRORSET_CVAT_TOKEN=_SECRETS["cvat wrong"])
    runs.fail("annotate", "pull", MIRRORSET_CVAT_URL=f"http://{_NOBODY}")
    runs.fail("crawl", MIRRORSET_CATALOGUE_URL=_database(world, "database wrong"))
    runs.fail("release", PREFECT_API_AUTH_STRING=f"admin:{_SECRETS['prefect wrong']}", **once)
    address = f"http://me:{_quoted('prefect address')}@{_NOBODY}/api"
    runs.fail("release", PREFECT_API_URL=address, **once)
    requests.post(f"{world.s3.url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    try:
        wrong = {"AWS_SECRET_ACCESS_KEY": _SECRETS["s3 wrong"]}
        runs.fail("release", "--version", "9.0.0", **wrong)
    finally:
        requests.post(f"{world.s3.url}/moto-api/reset-auth", data="inf", timeout=10)
    with _sources(world, [
        {"source": "flickr", "api_url": f"{world.s3.url}/services/rest/", "text": "portrait"},
        {"source": "openverse", "api_url": f"http://{_NOBODY}", "query": "portrait"},
    ]):  # fmt: skip
        runs.fail("crawl")
