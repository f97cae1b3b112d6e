"""`mirrorset serve` on a real Prefect server: schedules, what follows, refusals, and its end."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from made_images import picture
from thorough import thorough

from flows import run_notes
from flows.prefect_server import OwnServer
from flows.run_notes import RunNote
from flows.serve import served_at
from mirrorset.workspace import init, open_workspace

_PATIENCE_S = 240
_ENDS_WITHIN_S = 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace whose one source is a folder of three pictures, crawled again and again."""
    home = tmp_path / "workspace"
    init(home)
    pictures = home / "pictures"
    pictures.mkdir()
    rows = ["file,consent_id,licence,author"]
    for number in range(3):
        (pictures / f"{number}.png").write_bytes(picture(number))
        rows.append(f"{number}.png,C-{number},consented,Studio")
    (pictures / "consent.csv").write_text("\n".join(rows) + "\n")
    (home / "params.yaml").write_text(
        f"""\
dataset: {{name: served-{secrets.token_hex(4)}}}
responsible:
  {{controller: Lab, legal_basis: consent, contact: lab@example.org, retention_days: 30}}
crawl: {{sources: [{{source: folder, path: pictures}}]}}
serve:
  crawl: {{every_s: 12}}
  pull: null
  release: null
  prelabel_after_crawl: true
  push_after_prelabel: true
select: {{}}
group: {{}}
ledger: {{seed: served}}
pack: {{}}
parity: {{}}
"""
    )
    return home


@contextmanager
def served(
    home: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [
        str(Path(sys.executable).with_name("mirrorset")),
        "serve",
        "--home",
        str(home),
        "--json",
    ]
    with (home / "serve.err").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | environment
        )
    try:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) and line != "}\n":
            lines.append(line)
        assert line, (home / "serve.err").read_text()
        yield process, json.loads("".join([*lines, line]))
    finally:
        process.kill()
        process.wait()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(_ENDS_WITHIN_S)


def awaited(home: Path, wanted: Callable[[RunNote], bool]) -> RunNote:
    ends_at = time.monotonic() + _PATIENCE_S
    while time.monotonic() < ends_at:
        if found := next(filter(wanted, run_notes.read_notes(home / ".mirrorset")), None):
            return found
        time.sleep(0.5)
    notes = [note.model_dump_json() for note in run_notes.read_notes(home / ".mirrorset")]
    raise AssertionError(f"No such run: {notes}; {(home / 'serve.err').read_text()}")


def done(flow: str) -> Callable[[RunNote], bool]:
    return lambda note: note.flow == flow and note.state == "done"


def test_a_schedule_fires_and_what_follows_follows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server of its own: the embedded one of other tests makes no scheduled runs."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with served(home, PREFECT_HOME=str(home / "prefect")) as (process, told):
        api, name = told["api_url"], open_workspace(home).dataset.name
        crawled = awaited(home, done("scheduled-crawl"))
        assert crawled.deployment.startswith(name)
        assert sum(n for key, n in crawled.counts.items() if key.endswith(".stored")) == 3
        awaited(home, done("scheduled-prelabel"))
        awaited(home, done("scheduled-push"))
        found = httpx.get(f"{api}/deployments/name/scheduled-release/{name}").json()
        wrong = httpx.post(
            f"{api}/deployments/{found['id']}/create_flow_run",
            json={"parameters": {"home": str(home), "version": "one"}},
        )
        assert wrong.status_code == 409, wrong.text
        elsewhere = {"Origin": "https://evil.example"}
        page = httpx.post(f"{api}/deployments/filter", json={}, headers=elsewhere)
        assert page.status_code == 403, page.text
        shown = httpx.post(f"{api}/artifacts/latest/filter", json={}).json()
        assert {f"{name}-crawl", f"{name}-prelabel"} <= {one["key"] for one in shown}
        assert ended(process, signal.SIGTERM) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{api}/health")


@pytest.mark.parametrize("number", [signal.SIGINT, *thorough(signal.SIGTERM)])
def test_it_ends_within_seconds_where_it_waits_for_news(
    home: Path, prefect: None, number: signal.Signals, unused_port: int
) -> None:
    params = home / "params.yaml"
    params.write_text(
        params.read_text().replace("serve:\n", f"serve:\n  webhook_port: {unused_port}\n")
    )
    secret = {"MIRRORSET_CVAT_WEBHOOK_SECRET": "of a test"}
    with served(home, **secret) as (process, told):
        assert told["webhook_url"]
        assert served_at(open_workspace(home)) == told["api_url"]
        assert httpx.post(told["webhook_url"], content=b"{}").status_code == 401
        assert ended(process, number) == 0
    assert not served_at(open_workspace(home))


@pytest.mark.thorough  # starts a server twice
def test_a_server_of_anothers_that_goes_is_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    params = home / "params.yaml"
    params.write_text(params.read_text().replace("crawl: {every_s: 12}", "crawl: null"))
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    server = begun(unused_port)
    # Prefect's client tries for minutes by itself.
    impatient = {"PREFECT_API_URL": server.api_url, "PREFECT_CLIENT_MAX_RETRIES": "0"}

    def said(words: str) -> None:
        ends_at = time.monotonic() + _PATIENCE_S
        while words not in (text := (home / "serve.err").read_text()):
            assert time.monotonic() < ends_at, text
            time.sleep(0.5)

    with served(home, **impatient) as (process, told):
        server.stop()
        said("does not answer")
        server = begun(unused_port)
        said("is back")
        name = next(one for one in told["deployments"] if "erase-due" in one)
        found = httpx.get(f"{server.api_url}/deployments/name/{name}").json()
        run = f"{server.api_url}/deployments/{found['id']}/create_flow_run"
        assert httpx.post(run, json={}).is_success
        awaited(home, done("scheduled-erase-due"))
        server.stop()
        assert ended(process, signal.SIGTERM) == 0
    said_in_all = (home / "serve.err").read_text()
    assert "Traceback" not in said_in_all
    assert "Warning" not in said_in_all


def begun(port: int) -> OwnServer:
    server = OwnServer(port)
    server.await_ready(lambda: False)
    return server


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port
