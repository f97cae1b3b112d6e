"""One CVAT task on loopback, for the SDK's own client: a server's recorded answers, filled in."""

import io
import itertools
import json
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cvat_sdk.core.client import Client, Config
from PIL import Image


class CvatTask(ThreadingHTTPServer):
    """Task 1 with frames and labels. kept: the bodies that were sent as its annotations."""

    def __init__(
        self, recorded: Path, frames: dict[str, bytes], labels: Sequence[dict[str, Any]]
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        said = _recorded(recorded)
        count = len(frames)
        sizes = [Image.open(io.BytesIO(content)).size for content in frames.values()]
        frame = said["/api/tasks/1/data/meta"]["frames"][0]
        self.frames = frames
        self.labels = labels
        self.kept: list[dict[str, Any]] = []
        self.answers = {
            "/api/tasks/1": said["/api/tasks/1"] | {"size": count, "data_chunk_size": count},
            "/api/tasks/1/data/meta": said["/api/tasks/1/data/meta"]
            | {
                "size": count,
                "chunk_size": count,
                "stop_frame": count - 1,
                "frames": [
                    frame | {"name": name, "width": width, "height": height}
                    for name, (width, height) in zip(frames, sizes, strict=True)
                ],
            },
            "/api/labels": {
                "count": len(labels),
                "next": None,
                "previous": None,
                "results": labels,
            },
        }

    def chunk(self) -> bytes:
        """The frames as CVAT hands them out: in order, renumbered, in a zip."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            for number, (name, content) in enumerate(self.frames.items()):
                out.writestr(f"{number:06d}{Path(name).suffix}", content)
        return archive.getvalue()


@contextmanager
def cvat_task(
    recorded: Path, frames: dict[str, bytes], labels: Sequence[dict[str, Any]], cache: Path
) -> Iterator[tuple[Client, CvatTask]]:
    """The task, and a client of the SDK that speaks to it."""
    task = CvatTask(recorded, frames, labels)
    thread = threading.Thread(target=task.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{task.server_port}"
        with Client(url, config=Config(cache_dir=cache), check_server_version=False) as client:
            yield client, task
    finally:
        task.shutdown()
        thread.join()
        task.server_close()


def with_ids(labels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Labels as a server answers them: every label, point and attribute with an id of its own."""
    numbers = itertools.count(101)

    def numbered(label: dict[str, Any]) -> dict[str, Any]:
        attributes = [one | {"id": next(numbers)} for one in label["attributes"]]
        points = [numbered(one) for one in label.get("sublabels", ())]
        place = {"id": next(numbers), "project_id": 2, "parent_id": None, "has_parent": False}
        return label | place | {"attributes": attributes, "sublabels": points}

    return [numbered(label) for label in labels]


def _recorded(transcript: Path) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = {}
    for entry in map(json.loads, transcript.read_text().splitlines()):
        if entry["method"] == "GET" and entry["path"] in ("/api/tasks/1", "/api/tasks/1/data/meta"):
            answers.setdefault(entry["path"], entry["response_json"])
    return answers


class _Handler(BaseHTTPRequestHandler):
    server: CvatTask

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        path = asked.path.rstrip("/")
        if path == "/api/tasks/1/data" and parse_qs(asked.query)["number"] == ["0"]:
            self._answer(self.server.chunk(), "application/zip")
        elif path in self.server.answers:
            self._answer(json.dumps(self.server.answers[path]).encode())
        else:
            self.send_error(404)

    def do_PATCH(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.kept.append(sent)
        self._answer(json.dumps({"version": 0, "tags": [], "shapes": [], "tracks": []}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Nothing to print."""

    def _answer(self, content: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
