"""Spans of real runs at a collector on loopback: what is told there, and what is not."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from PIL import Image
from scripted_server import Scripted, Told, scripted

from flows import telemetry
from mirrorset.logs import log_files
from mirrorset.workspace import init

_IMAGE_ID = "ab" * 32
_PARAMS = """
dataset: {{name: faces}}
responsible: {{controller: A, legal_basis: consent, contact: a@example.org, retention_days: 9}}
crawl: {{sources: [{{source: folder, path: {folder}}}]}}
"""
_CRAWL = """
import sys
from pathlib import Path
from flows.crawl import crawl
crawl(Path(sys.argv[1]))
"""
# What fails says an image's id, an address and a password.
_FAIL = f"""
from flows.engine import flow, outside
@outside(name="ask-server")
def ask(address):
    raise ValueError(f"{{address}} refuses {_IMAGE_ID} for planted-password")
@flow(name="fail")
def fail(address):
    ask.with_options(retries=0)(address)
fail("http://me:planted-password@127.0.0.1/", return_state=True)
"""
_SHORT = """
import time
from flows.engine import flow
@flow(name="short")
def short():
    return time.sleep(0.1)
began = time.monotonic()
short()
print(time.monotonic() - began, time.time())
"""


def _run(code: str, collector: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def _spans(collector: Scripted) -> dict[str, Span]:
    spans = {}
    for heard in collector.heard:
        assert heard.path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(heard.body)
        for of_resource in request.resource_spans:
            said = {one.key: one.value.string_value for one in of_resource.resource.attributes}
            assert said["service.name"] == "mirrorset"
            for scope in of_resource.scope_spans:
                spans |= {span.name: span for span in scope.spans}
    return spans


def _said(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.usefixtures("prefect")
def test_runs_and_their_steps_are_spans_of_one_trace(tmp_path: Path) -> None:
    workspace = init(tmp_path / "faces")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (300, 300), "tan").save(tmp_path / "pictures" / "one.png")
    rows = "file,consent_id,licence,author\none.png,C-1,consented,Ada\n"
    (tmp_path / "pictures" / "consent.csv").write_text(rows)
    workspace.params_file.write_text(_PARAMS.format(folder=tmp_path / "pictures"))
    with scripted([Told(b"")]) as collector:
        _run(_CRAWL, collector.url, str(workspace.home))
        spans = _spans(collector)
    crawl, source_of_it = spans["crawl"], spans["crawl-source"]
    (note,) = (workspace.private / "runs").glob("*.json")
    assert _said(crawl)["prefect.run.id"] in note.name
    assert _said(crawl)["prefect.run.type"] == "flow"
    assert source_of_it.trace_id == crawl.trace_id
    assert source_of_it.parent_span_id == crawl.span_id
    assert crawl.status.code == Status.STATUS_CODE_OK
    assert crawl.end_time_unix_nano > source_of_it.end_time_unix_nano
    assert [event.name for event in crawl.events][-1] == "Completed"
    # The log has the same names.
    (log,) = log_files(workspace.logs)
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(one["step"], one["message"]) for one in said} >= {
        ("crawl", "crawl began."),
        ("crawl-source", "Shard 0 of folder is done."),
    }
    assert {one["run"] for one in said} == {_said(crawl)["prefect.run.id"]}


@pytest.mark.usefixtures("prefect")
def test_a_failure_is_told_without_its_words() -> None:
    with scripted([Told(b"")]) as collector:
        _run(_FAIL, collector.url)
        spans = _spans(collector)
        everything = b"".join(heard.body for heard in collector.heard)
    assert spans["fail"].status.code == Status.STATUS_CODE_ERROR
    assert spans["ask-server"].status.code == Status.STATUS_CODE_ERROR
    errors = [event for event in spans["ask-server"].events if event.name == "exception"]
    assert [(one.key, one.value.string_value) for one in errors[0].attributes] == [
        ("exception.type", "ValueError")
    ]
    for word in ("planted-password", _IMAGE_ID, "refuses", "127.0.0.1", "Traceback"):
        assert word.encode() not in everything


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("is_silent", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_a_collector_that_is_away_costs_a_run_nothing(is_silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1] if is_silent else 9
        done = _run(_SHORT, f"http://127.0.0.1:{port}")
        ended_at = time.time()
    took_s, flow_ended_at = map(float, done.stdout.split())
    assert took_s < 5
    assert ended_at - flow_ended_at < 12
    assert not re.search("Traceback", done.stderr)


def test_without_the_sdk_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    telemetry.begin()
    assert not caplog.records
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    telemetry.begin()
    (said,) = caplog.messages
    assert "install requirements-telemetry.lock" in said
