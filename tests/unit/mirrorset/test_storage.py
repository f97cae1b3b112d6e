"""Blobs, files and settings: whole or absent, and every fault in one sentence."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import s3fs
from forked import forked_clean
from s3_server import CREDENTIALS, S3Server, serving

from mirrorset import files
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError, IntegrityError, SettingsError, UnavailableError
from mirrorset.files import (
    SortedRecords,
    parts_of,
    parts_written,
    read_parts,
    read_records,
    write_parts,
    write_records,
    write_text,
)
from mirrorset.params import DatasetParams, read_params
from mirrorset.records import Verdict
from mirrorset.settings import read_settings


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with serving() as server:
        server.client().create_bucket(Bucket="blobs")
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    # Connections are kept, with the endpoint of the test before.
    s3fs.S3FileSystem.clear_instance_cache()
    return s3_server


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("url", ["memory://blobs", "", "s3://blobs/originals"])
def test_blobs_come_back_and_are_kept_once(url: str, tmp_path: Path) -> None:
    store = BlobStore(url or str(tmp_path / "blobs"))
    image_id = store.put(b"bytes")
    assert store.put(b"bytes") == image_id
    assert store.get(image_id) == b"bytes"
    assert store.has(image_id)
    assert not store.has("0" * 64)
    with pytest.raises(InputError, match="no image 0000"):
        store.get("0" * 64)


def test_a_changed_blob_is_noticed(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    image_id = store.put(b"bytes")
    (tmp_path / image_id[:2] / image_id[2:4] / image_id).write_bytes(b"other")
    with pytest.raises(IntegrityError, match="restore it"):
        store.get(image_id)


def test_a_changed_object_is_noticed(s3: S3Server) -> None:
    store = BlobStore("s3://blobs/changed")
    image_id = store.put(b"bytes")
    key = f"changed/{image_id[:2]}/{image_id[2:4]}/{image_id}"
    s3.client().put_object(Bucket="blobs", Key=key, Body=b"other")
    with pytest.raises(IntegrityError, match="restore it"):
        store.get(image_id)


class _Flaky(BaseHTTPRequestHandler):
    """Before an S3 server: of three requests one is answered with 503, and one is cut off."""

    protocol_version = "HTTP/1.1"
    upstream = ""
    asked = 0

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).asked += 1
        if self.asked % 3 == 1:
            self.send_error(503)
        elif self.asked % 3 == 2:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            answer = requests.request(
                self.command,
                self.upstream + self.path,
                data=body,
                headers=dict(self.headers),
                timeout=20,
            )
            self.send_response(answer.status_code)
            for name in ("ETag", "Content-Type", "Last-Modified"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            length = answer.headers.get("Content-Length", "0")
            size = length if self.command == "HEAD" else str(len(answer.content))
            self.send_header("Content-Length", size)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

    do_GET = do_HEAD = do_PUT = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_fails_at_times_is_asked_again(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Flaky, "upstream", s3.url)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Flaky) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,)).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_address[1]}")
        try:
            store = BlobStore("s3://blobs/flaky")
            image_id = store.put(b"flaky bytes")
            assert store.get(image_id) == b"flaky bytes"
        finally:
            proxy.shutdown()
    assert _Flaky.asked > 4
    assert [key.rpartition("/")[2] for key in s3.objects("blobs") if "flaky" in key] == [image_id]


@pytest.mark.usefixtures("s3")
def test_a_server_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = BlobStore("s3://blobs/gone")
    for attempt in (lambda: store.put(b"bytes"), lambda: store.get("0" * 64)):
        with pytest.raises(UnavailableError, match="blobs/gone does not answer") as raised:
            attempt()
        assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_named() -> None:
    store = BlobStore("s3://no-such-bucket/originals")
    for attempt in (
        lambda: store.put(b"bytes"),
        lambda: store.get("0" * 64),
        lambda: store.held(1),
    ):
        with pytest.raises(UnavailableError, match="s3://no-such-bucket/originals is not there"):
            attempt()


def test_a_store_that_is_not_there_is_no_lost_image(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="unmounted is not there: mount it"):
        BlobStore(str(tmp_path / "unmounted")).get("0" * 64)


def test_a_store_elsewhere_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library's own errors, which are no OSError, are no bug of ours."""
    store = BlobStore("memory://silent")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("503\nSlow Down")

    for name in ("exists", "cat_file", "pipe_file"):
        monkeypatch.setattr(store._fs, name, fail)
    for ask in (lambda: store.put(b"x"), lambda: store.get("0" * 64), lambda: store.has("0" * 64)):
        with pytest.raises(UnavailableError, match=r"silent does not answer \(503 Slow Down\)"):
            ask()


def _write_forever(folder: Path) -> None:
    for number in range(10**9):
        write_text(folder / "file", f"{number} " * 200_000)


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    for _ in range(3):
        (tmp_path / "file").unlink(missing_ok=True)
        writer = forked_clean(partial(_write_forever, tmp_path))
        while not (tmp_path / "file").exists():
            time.sleep(0.01)
        time.sleep(0.05)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        words = (tmp_path / "file").read_text().split()
        assert len(words) == 200_000
        assert len(set(words)) == 1


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    good = Verdict(image_id="0" * 64, check="adult", passed=True)
    assert write_records(tmp_path / "v.jsonl", [good]) == 1
    with (tmp_path / "v.jsonl").open("a") as out:
        out.write('{"image_id": "short"}\n')
    with pytest.raises(InputError, match=r"v\.jsonl:2 is not a Verdict: image_id"):
        list(read_records(tmp_path / "v.jsonl", Verdict))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset: {name: Bad Name}", "dataset.name"),
        ("dataset: {colour: red}", "dataset.colour"),
        ("dataset: [1]", "dataset"),
        ("relaese: {}", "relaese"),
        ("- 1", "sections"),
        ("a: b: c", "YAML"),
    ],
)
def test_params_that_do_not_fit_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_params(tmp_path / "params.yaml", "dataset", DatasetParams)


def test_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirrorset.toml").write_text('blobs_url = "s3://file"\ncache = "/there"\n')
    monkeypatch.setenv("MIRRORSET_BLOBS_URL", "s3://environment")
    settings = read_settings(tmp_path)
    assert (settings.blobs_url, settings.models) == ("s3://environment", Path("/there/models"))
    assert settings.catalogue_url.startswith("sqlite:///")


@pytest.mark.parametrize(
    ("text", "said"),
    [("blobs_url = 7", "blobs_url"), ("= 1", "TOML"), ("x = 1", "x")],
)
def test_settings_that_do_not_fit_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mirrorset.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_settings(tmp_path)


def test_parts_keep_their_records_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SORTED_AT_ONCE", 4)
    verdicts = [
        (part, Verdict(image_id=f"{index:064x}", check="adult", passed=True))
        for index, part in enumerate([3, 10_000, 3, 0, 0, 3, 10_000])
    ]
    folder = tmp_path / "verdicts"
    write_parts(folder, verdicts, numbers=[7])
    assert [part.name for part in parts_of(folder)] == [
        "00000.jsonl",
        "00003.jsonl",
        "00007.jsonl",
        "10000.jsonl",
    ]
    read = [int(one.image_id, 16) for one in read_parts(folder, Verdict)]
    assert read == [3, 4, 0, 2, 5, 1, 6]
    write_parts(folder, [])
    assert list(read_parts(folder, Verdict)) == []
    with pytest.raises(InputError, match="nothing does not exist"):
        list(read_parts(tmp_path / "nothing", Verdict))


@pytest.mark.parametrize("at_once", [2, 1000])
def test_records_are_written_in_order_of_their_first_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(files, "_A_RUN", at_once)
    monkeypatch.setattr(files, "_SORTED_AT_ONCE", at_once)
    verdicts = [
        Verdict(image_id=f"{number:064x}", check="size", passed=True)
        for number in (5, 3, 9, 0, 7, 1, 8)
    ]
    records = SortedRecords()
    with parts_written(tmp_path / "parts", is_sorting=True) as parts:
        for index, verdict in enumerate(verdicts):
            records.add(verdict)
            parts.add(index % 2, verdict)
    records.write(tmp_path / "all.jsonl")
    read = [int(one.image_id, 16) for one in read_records(tmp_path / "all.jsonl", Verdict)]
    assert read == [0, 1, 3, 5, 7, 8, 9]
    read = [int(one.image_id, 16) for one in read_parts(tmp_path / "parts", Verdict)]
    assert read == [5, 7, 8, 9, 0, 1, 3]


def test_a_writer_that_fails_leaves_the_parts_that_stood(tmp_path: Path) -> None:
    verdict = Verdict(image_id="0" * 64, check="size", passed=True)
    write_parts(tmp_path / "parts", [(0, verdict)])

    def fail() -> None:
        with parts_written(tmp_path / "parts") as parts:
            parts.add(1, verdict)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [part.name for part in parts_of(tmp_path / "parts")] == ["00000.jsonl"]
