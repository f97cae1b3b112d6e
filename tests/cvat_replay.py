"""The recorded exchanges with a CVAT server, asked again of a stand-in, one by one.

Ids, tokens and times are another server's, so each is translated to what the stand-in gave at the
same place. Files were not recorded: pictures are drawn under the recorded names and sizes, and
annotation files are what the stand-in itself exported, or made to fit.
"""

import base64
import hashlib
import hmac
import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import requests
from PIL import Image
from standin.server import StandIn

Json = Any
Exchange = dict[str, Any]

_ID_KEYS = {
    "project_id": "projects",
    "task_id": "tasks",
    "job_id": "jobs",
    "job": "jobs",
    "issue": "issues",
    "issue_id": "issues",
    "guide_id": "guides",
    "label_id": "labels",
    "spec_id": "attributes",
    "assignee": "users",
    "assignee_id": "users",
    "report_id": "reports",
}
_TIMED = {"started_date", "finished_date", "expiry_date", "result_url", "result_id"}
_CHANGING = {"last_login", "last_used_date", "next", "previous", "completed", "validation"}
_SAME = {"state", "stage", "type", "mode", "source", "validation_mode", "sorting_method", "format"}
_ANNOTATIONS = {"shapes", "tags", "tracks"}
_ENDED = ("finished", "failed")
_PATIENCE_S = 30


def exchanges(path: Path) -> list[Exchange]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True)
class Difference:
    """step, number: where in the recording. what: one sentence."""

    step: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.step} [{self.number}]: {self.what}"


@dataclass
class Received:
    """A receiver of webhooks on loopback; /fail answers 500.

    bodies: path, body, and whether the signature was right, in order of arrival.
    """

    url: str
    bodies: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Received]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            digest = hmac.new(SIGNED_WITH.encode(), content, hashlib.sha256).hexdigest()
            is_signed = self.headers.get("X-Signature-256") == f"sha256={digest}"
            received.bodies.append((self.path, json.loads(content), is_signed))
            self.send_response(500 if self.path == "/fail" else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield received
        finally:
            server.shutdown()


@dataclass
class Replay:
    """One recording against one stand-in. known: (kind, recorded id) → the stand-in's.

    shared: the folder with the recorded exports, for imports of them.
    """

    server: StandIn
    recording: list[Exchange]
    shared: Path
    hooks: Received
    known: dict[tuple[str, Any], Any] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    downloads: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    names: dict[int, list[str]] = field(default_factory=dict)
    stamps: dict[str, tuple[str, str]] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)
    differences: list[Difference] = field(default_factory=list)

    def __post_init__(self) -> None:
        for user in self.server.state.users:
            self.known["users", user] = user
        self._look_ahead()

    def play(self, number: int) -> None:
        """Ask one exchange again, and keep what differs."""
        said = self.recording[number]
        if said["path"] == "/h":
            self._received(number, said)
            return
        answer = self._asked(number, said)
        self._kept(number, said, answer)
        self._compared(number, said, answer)
        self._learnt(said, answer)

    def _received(self, number: int, said: Exchange) -> None:
        """A webhook: one of the same event must have come here, signed, with the same keys."""
        recorded = said["request_json"]
        for path, body, is_signed in list(self.hooks.bodies):
            is_alike = body["event"] == recorded["event"]
            if path == "/h" and is_alike and sorted(body["sender"]) == sorted(recorded["sender"]):
                self.hooks.bodies.remove((path, body, is_signed))
                found = [*self._unlike(recorded, body, "", said)]
                found += [] if is_signed else ["the signature is wrong"]
                self.differences += [Difference(said["step"], number, what) for what in found]
                return
        missing = f"no {recorded['event']} has arrived"
        self.differences.append(Difference(said["step"], number, missing))

    # --- asking ----------------------------------------------------------------------------------

    def _asked(self, number: int, said: Exchange) -> requests.Response:
        self._wait_for_expiry(number)
        send = self._request(number, said)
        answer = self.session.send(send)
        while self._is_early(said, answer):
            time.sleep(0.02)
            answer = self.session.send(send)
        return answer

    def _request(self, number: int, said: Exchange) -> requests.PreparedRequest:
        headers = {
            name: value
            for name, value in (said["request_headers"] or {}).items()
            if name.startswith(("Upload-", "Tus-", "X-Organization", "Origin", "Accept"))
        } | self._authorisation(number, said)
        if "Origin" in headers:
            headers["Origin"] = self.server.url
        path = self._path(said["path"])
        query = [(name, self._query(name, value, said)) for name, value in said["query"] or []]
        content: dict[str, Any] = {}
        if self._is_file(said):
            content = self._file(number, said, headers)
        elif said.get("request_json") is not None:
            body = self._body(self._omitted(number, said["request_json"]), said["path"])
            content["data"] = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif number in RAW_BODIES.get(len(self.recording), {}):
            kind, raw = RAW_BODIES[len(self.recording)][number]
            content["data"], headers["Content-Type"] = raw, kind
        address = self.server.url + path
        request = requests.Request(
            said["method"], address, params=query, headers=headers, **content
        )
        self.session.cookies.clear()
        return self.session.prepare_request(request)

    def _authorisation(self, number: int, said: Exchange) -> dict[str, str]:  # noqa: PLR0911
        """Who asks: recorded as a scheme only, so the user is told from what was answered."""
        special = IDENTITIES.get(len(self.recording), {}).get(number)
        if special is not None:
            if special.startswith("token of "):
                return {"Authorization": f"Bearer {self.tokens[int(special[9:])]}"}
            return {"Authorization": special} if special else {}
        scheme = said.get("auth_scheme")
        if scheme == "Basic":
            owner = (said.get("response_json") or {}).get("owner") or {}
            return basic(owner.get("username", "admin"))
        if said["path"].startswith("/api/auth/log"):
            return basic("admin") if said["path"].endswith("logout") else {}
        if "auth_scheme" in said and scheme is None and said["status"] == 401:
            return {}
        if said["status"] == 403 and "auth_scheme" in said and "access_tokens" not in said["path"]:
            return {"Authorization": f"Bearer {self.server.token_of('annotator1')}"}
        if "auth_scheme" in said:
            return {"Authorization": f"Bearer {self.server.token}"}
        if said["step"] == "annotator_access":
            return basic("annotator1")
        return basic("admin")

    def _is_early(self, said: Exchange, answer: requests.Response) -> bool:
        """Whether the recorded answer came after work that the stand-in hasn't done yet."""
        if answer.status_code != 200:
            return False
        if "/requests/" in said["path"] and said["method"] == "GET":
            recorded = (said.get("response_json") or {}).get("status")
            return recorded in _ENDED and answer.json()["status"] not in _ENDED
        if said["path"].endswith("/deliveries"):
            return any(one["status_code"] is None for one in answer.json()["results"])
        if re.fullmatch(r"/api/tasks/\d+", said["path"]) and said["method"] == "GET":
            is_made = bool((said.get("response_json") or {}).get("size"))
            return is_made and not answer.json().get("size")
        return False

    def _wait_for_expiry(self, number: int) -> None:
        if IDENTITIES.get(len(self.recording), {}).get(number) == "token of 410" and number == 412:
            time.sleep(2)

    # --- translating -----------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        if "/requests/" in path:
            head, _, rest = path.partition("/requests/")
            rq_id, slash, tail = unquote(rest).partition("/")
            return f"{head}/requests/{quote(self._rq_id(rq_id), safe='')}{slash}{tail}"
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part.isdigit():
                parts[place] = str(self._own(parts[place - 1], int(part)))
            elif re.fullmatch(r"\d*_?[0-9a-f]{8}-[0-9a-f-]{27}", part):
                parts[place] = self.known.get(("uuid", part), part)
        return "/".join(parts)

    def _rq_id(self, rq_id: str) -> str:
        if ("rq", rq_id) in self.known:
            return str(self.known["rq", rq_id])
        target = re.search(r"target=(\w+)&target_id=(\d+)", rq_id)
        if target is None:
            return rq_id
        own = self._own(target[1] + "s", int(target[2]))
        return rq_id.replace(target[0], f"target={target[1]}&target_id={own}")

    def _own(self, kind: str, recorded: Any) -> Any:
        return self.known.get((kind, recorded), recorded)

    def _query(self, name: str, value: str, said: Exchange) -> str:
        if name == "rq_id":
            return self._rq_id(value)
        if name == "filter":
            try:
                return json.dumps(self._filter(json.loads(value), said["path"].split("/")[2]))
            except ValueError:
                return value
        if name == "filename":
            return str(self.known.get(("uuid", value), value))
        if name in _ID_KEYS and value.isdigit():
            return str(self._own(_ID_KEYS[name], int(value)))
        return value

    def _filter(self, logic: Json, collection: str) -> Json:
        if not isinstance(logic, dict):
            return logic
        ((operator, values),) = logic.items()
        if operator in ("and", "or"):
            return {operator: [self._filter(one, collection) for one in values]}
        if operator == "!":
            return {operator: self._filter(values, collection)}
        names = [one["var"] for one in values if isinstance(one, dict)]
        kind = collection if names == ["id"] else _ID_KEYS.get(names[0] if names else "", "")
        return {
            operator: [
                self._own(kind, one)
                if isinstance(one, int)
                else (self.times.get(one, one) if isinstance(one, str) else one)
                for one in values
            ]
        }

    def _body(self, sent: Json, path: str, key: str = "") -> Json:
        if isinstance(sent, list):
            return [self._body(one, path, key) for one in sent]
        if isinstance(sent, dict):
            return {name: self._value(name, value, path, key) for name, value in sent.items()}
        return sent

    def _value(self, name: str, value: Json, path: str, key: str) -> Json:  # noqa: PLR0911
        if name == "id" and isinstance(value, int):
            return self._own(_kind_of_id(path, key), value)
        if name in _ID_KEYS and isinstance(value, int):
            return self._own(_ID_KEYS[name], value)
        if name == "svg":
            return re.sub(
                r'data-label-id="(\d+)"',
                lambda found: f'data-label-id="{self._own("labels", int(found[1]))}"',
                value,
            )
        if name == "target_url":
            return self.hooks.url + "/" + value.rpartition("/")[2]
        if name == "markdown":
            return re.sub(
                r"(?<=assets/)[0-9a-f-]{36}",
                lambda found: self.known.get(("uuid", found[0]), found[0]),
                value,
            )
        if name == "expiry_date" and value > "2026":
            return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2)) + "+00:00"
        if name == "slug":
            return value
        return self._body(value, path, name)

    def _omitted(self, number: int, sent: Json) -> Json:
        """A body that the recording leaves out, from the step that it names."""
        if not isinstance(sent, dict):
            return sent
        if sent.get("password") == "<scrubbed>":
            is_wrong = self.recording[number]["status"] == 400
            return sent | {"password": "wrong" if is_wrong else f"{sent['username']}-password"}
        if sent.get("secret") == "<scrubbed>":
            return sent | {"secret": "" if sent["description"] == "nosecret" else SIGNED_WITH}
        if "<omitted>" not in sent:
            return sent
        like = next(
            one["request_json"]
            for one in self.recording
            if one["step"] == sent["<omitted>"].rpartition(" ")[2] and one["method"] == "PUT"
        )
        return json.loads(
            re.sub(
                r'("label_id": )(\d+)',
                lambda found: f"{found[1]}{int(found[2]) + COPY_OF_LABELS}",
                json.dumps(like),
            )
        )

    # --- files -----------------------------------------------------------------------------------

    def _look_ahead(self) -> None:
        """Names and sizes of pictures, which are recorded after their upload."""
        for said in self.recording:
            task = re.match(r"/api/tasks/(\d+)/data", said["path"])
            if task is None:
                continue
            number = int(task[1])
            order = (said.get("request_json") or {}).get("upload_file_order")
            if order:
                self.names[number] = order
            frames = (said.get("response_json") or {}) if "meta" in said["path"] else {}
            if isinstance(frames, dict):
                for frame in frames.get("frames", ()):
                    size = (frame["width"], frame["height"])
                    self.sizes[number, frame["name"]] = size
                if frames.get("frames"):
                    self.names.setdefault(number, [one["name"] for one in frames["frames"]])

    def _is_file(self, said: Exchange) -> bool:
        headers = said["request_headers"] or {}
        kind = headers.get("Content-Type", "")
        return "Upload-Length" in headers or "Upload-Offset" in headers or "multipart" in kind or (
            "Upload-Multiple" in headers
        )  # fmt: skip

    def _file(self, number: int, said: Exchange, headers: dict[str, str]) -> dict[str, Any]:
        if "Upload-Length" in headers:
            name = base64.b64decode(headers["Upload-Metadata"].split()[1]).decode()
            content = self._content(number, said, name)
            if headers["Upload-Length"] != "0":
                headers["Upload-Length"] = str(len(content))
            return {}
        if "Upload-Offset" in headers:
            start = number - 1
            name = base64.b64decode(
                self.recording[start]["request_headers"]["Upload-Metadata"].split()[1]
            ).decode()
            headers["Content-Type"] = "application/offset+octet-stream"
            return {"data": self._content(start, self.recording[start], name)}
        if said["path"].startswith("/api/assets"):
            name, content, guide = ASSETS[number]
            fields = {"guide_id": str(self._own("guides", guide))}
            return {"files": {"file": (name, content)}, "data": fields}
        if "annotations" in said["path"]:
            content = self._annotation_file(number, said)
            return {"files": {"annotation_file": ("default.json", content)}}
        names = MULTIPART_NAMES.get(len(self.recording), {}).get(number)
        task = int(said["path"].split("/")[3])
        if names is None:
            names = self.names.get(task) or [f"img_{place:04d}.jpg" for place in range(20)]
            sent = said["request_bytes"]
            if task == BIG_TASK.get(len(self.recording)):
                is_first = "Upload-Multiple" not in self.recording[number - 1]["request_headers"]
                names = names[:16] if is_first else names[16:]
            assert sent
        files = [
            (f"client_files[{place}]", (f"/photos/{name}", self._content(number, said, name)))
            for place, name in enumerate(names)
        ]
        return {"files": files, "data": {"image_quality": "80"}}

    def _content(self, number: int, said: Exchange, name: str) -> bytes:
        """What a file of that name held, as far as it matters."""
        if "/data" not in said["path"] or "/dataset" in said["path"]:
            return self._annotation_file(number, said, name)
        special = CONTENTS.get(len(self.recording), {}).get((number, name))
        if special is not None:
            return special
        task = int(said["path"].split("/")[3])
        if name.endswith(".txt"):
            return b"hello"
        if name.endswith(".zip"):
            inside = io.BytesIO()
            with zipfile.ZipFile(inside, "w") as archive:
                for one in self.names[task]:
                    archive.writestr(one, self._content(number, said, one))
            return inside.getvalue()
        size = self.sizes.get((task, name)) or next(
            (size for (_, other), size in self.sizes.items() if other == name), (64, 48)
        )
        return picture(name, size)

    def _annotation_file(self, number: int, said: Exchange, name: str = "") -> bytes:
        if name and (self.shared / name).is_file():
            return (self.shared / name).read_bytes()
        if name == "bad.json":
            return b"{}"
        if name in ("backup.zip", "with_media.zip", "b20.zip", "b200.zip"):
            return self.downloads["last"]
        asked = dict(said["query"] or [])
        kind = asked.get("format", "COCO Keypoints 1.0")
        if kind != "COCO Keypoints 1.0":
            return self.downloads[FORMATS_BACK.get(kind, kind)]
        task = self._own("tasks", int(said["path"].split("/")[3]))
        content = keypoints(self.server, task)
        change = KEYPOINT_CHANGES.get(number)
        if change is not None:
            change(content)
        if name == "kp_min.json":
            del content["info"], content["licenses"]
        return json.dumps(content).encode()

    # --- keeping and learning --------------------------------------------------------------------

    def _kept(self, number: int, said: Exchange, answer: requests.Response) -> None:
        if said["path"].startswith("/api/auth/access_tokens") and answer.status_code == 201:
            self.tokens[number] = answer.json()["value"]
        if "/download" in said["path"] and answer.status_code == 200:
            self.downloads["last"] = answer.content
            asked = dict(said["query"])["rq_id"]
            found = re.search(r"format=([^&]+)", asked)
            if found is not None:
                name = found[1].replace("_", " ").replace("~", ".")
                self.downloads[name] = answer.content

    def _learnt(self, said: Exchange, answer: requests.Response) -> None:
        for name in ("Location",):
            recorded = (said.get("response_headers") or {}).get(name)
            if recorded and name in answer.headers:
                self.known["uuid", recorded.rpartition("/")[2]] = answer.headers[name].rpartition(
                    "/"
                )[2]
        recorded = said.get("response_json")
        if recorded is None or answer.status_code >= 400:
            return
        own = answer.json()
        if isinstance(recorded, dict) and isinstance(own, dict):
            if "rq_id" in recorded and "rq_id" in own:
                self.known["rq", recorded["rq_id"]] = own["rq_id"]
            if "<omitted>" in recorded and said["method"] == "PUT":
                self._learn_omitted(answer)
            if "uuid" in recorded and "uuid" in own:
                self.known["uuid", recorded["uuid"]] = own["uuid"]
            self._learn(recorded, own, said["path"], "")

    def _learn_omitted(self, answer: requests.Response) -> None:
        """Ids of annotations whose answer the recording leaves out: given one after the other."""
        shapes = answer.json()["shapes"]
        ids = [one["id"] for shape in shapes for one in (shape, *shape["elements"])]
        for place, own in enumerate(sorted(ids)):
            self.known["shapes", FIRST_OMITTED_ID + place] = own

    def _learn(self, recorded: Json, own: Json, path: str, key: str) -> None:
        if isinstance(recorded, list) and isinstance(own, list):
            for one, other in self._paired(recorded, own, key):
                self._learn(one, other, path, key)
        elif isinstance(recorded, dict) and isinstance(own, dict):
            for name in recorded.keys() & own.keys():
                one, other = recorded[name], own[name]
                if name == "id" and isinstance(one, int):
                    self.known[_kind_of_id(path, key), one] = other
                elif name.endswith("_date") and isinstance(one, str) and isinstance(other, str):
                    self.times[one] = other
                elif name in ("guide_id", "result_id", "data") and isinstance(one, int):
                    self.known["guides" if name == "guide_id" else name, one] = other
                    if name == "result_id":
                        self.known["reports", one] = self.known["tasks", one] = other
                else:
                    self._learn(one, other, path, name)

    def _paired(self, recorded: list[Json], own: list[Json], key: str) -> list[tuple[Json, Json]]:
        """Items that are about the same thing: by content for annotations, which come in no order,
        by known id, or else by place.
        """
        if not recorded or not isinstance(recorded[0], dict):
            return list(zip(recorded, own, strict=False))
        if key in (*_ANNOTATIONS, "elements"):
            mine = sorted(own, key=lambda one: self._content_key(one, False))
            theirs = sorted(recorded, key=lambda one: self._content_key(one, True))
            return list(zip(theirs, mine, strict=False))
        if key in ("attributes", "sublabels") and "name" in recorded[0]:
            named = {one["name"]: one for one in own}
            return [(one, named[one["name"]]) for one in recorded if one["name"] in named]
        if key == "results" and "event" in recorded[0]:
            left = list(own)
            pairs = []
            for one in recorded:
                alike = [other for other in left if _event(other) == _event(one)]
                if alike:
                    left.remove(alike[0])
                    pairs.append((one, alike[0]))
            return pairs
        if key == "results" and "id" in recorded[0] and len(recorded) != len(own):
            kinds = {kind for kind, _ in self.known}
            by_id = {one["id"]: one for one in own if "id" in one}
            return [
                (one, by_id[self.known[kind, one["id"]]])
                for one in recorded
                for kind in kinds
                if kind in ("jobs", "tasks", "projects")
                and str(one.get("url", "")).split("/")[-2:-1] == [kind]
                and self.known.get((kind, one["id"])) in by_id
            ]
        return list(zip(recorded, own, strict=False))

    def _content_key(self, one: Json, is_recorded: bool) -> tuple[str, ...]:
        label = self._own("labels", one["label_id"]) if is_recorded else one["label_id"]
        elements = sorted(
            self._content_key(element, is_recorded) for element in one.get("elements") or ()
        )
        points = [round(float(value), 2) for value in one.get("points") or ()]
        return (
            f"{one.get('frame', 0):06d}",
            str(one.get("type")),
            str(points),
            str(elements),
            f"{label:08d}",
            f"{one.get('id', 0):09d}",
        )

    # --- comparing -------------------------------------------------------------------------------

    def _compared(self, number: int, said: Exchange, answer: requests.Response) -> None:
        def differs(what: str) -> None:
            self.differences.append(Difference(said["step"], number, what))

        asked = f"{said['method']} {said['path']}"
        if answer.status_code != said["status"]:
            differs(
                f"{asked} is answered {answer.status_code}, recorded {said['status']}: "
                f"{answer.text[:300]}"
            )
            return
        kind = said.get("response_content_type")
        if (kind or "").split(";")[0] != answer.headers.get("Content-Type", "").split(";")[0]:
            differs(f"{asked} is of type {answer.headers.get('Content-Type')}, recorded {kind}")
        for name in said.get("response_headers") or {}:
            is_meant = name in ("Location", "Content-Disposition", "X-Updated-Date", "X-Checksum")
            if (is_meant or name.startswith("Upload-") or name == "WWW-Authenticate") and (
                name not in answer.headers
            ):
                differs(f"{asked} lacks the header {name}")
        recorded = said.get("response_json")
        if recorded is None or (isinstance(recorded, dict) and "<omitted>" in recorded):
            return
        if "json" not in answer.headers.get("Content-Type", ""):
            differs(f"{asked} is no JSON")
            return
        own = answer.json()
        if said["status"] >= 400:
            texts = [re.sub(r"\d+", "N", json.dumps(one)) for one in (recorded, own)]
            if texts[0] != texts[1]:
                differs(f"{asked} says {texts[1][:300]}, recorded {texts[0][:300]}")
            return
        for what in self._unlike(recorded, own, "", said):
            differs(f"{asked}: {what}")
        if said["method"] == "GET" and isinstance(own, dict) and "updated_date" in own:
            stamps = (recorded["updated_date"], own["updated_date"])
            before = self.stamps.get(said["path"], stamps)
            changed = [one != other for one, other in zip(stamps, before, strict=True)]
            if changed[0] != changed[1]:
                differs(f"{asked}: updated_date changed: {changed[1]}, recorded: {changed[0]}")
            self.stamps[said["path"]] = stamps

    def _unlike(self, recorded: Json, own: Json, key: str, said: Exchange) -> Iterator[str]:
        """Keys and JSON types that differ, and the few values that must not."""
        name = key.rpartition(".")[2]
        if json_type(recorded) != json_type(own):
            is_polled = "/requests" in said["path"] and name in _TIMED
            if not is_polled and name not in _CHANGING:
                yield f"{key} is {json_type(own)}, recorded {json_type(recorded)}"
        elif isinstance(recorded, dict):
            if name in FREE_KEYS:
                return
            for missing in recorded.keys() - own.keys():
                yield f"{key} lacks {missing}"
            for extra in own.keys() - recorded.keys():
                yield f"{key} has {extra} more"
            for one in recorded.keys() & own.keys():
                yield from self._unlike(recorded[one], own[one], f"{key}.{one}", said)
        elif isinstance(recorded, list):
            if name in (*_ANNOTATIONS, "elements", "frames", "points", "sublabels", "events") and (
                len(recorded) != len(own)
            ):
                yield f"{key} has {len(own)} items, recorded {len(recorded)}"
            if recorded and not own:
                yield f"{key} is empty"
            for one, other in self._paired(recorded, own, name):
                yield from self._unlike(one, other, key, said)
        elif (name in _SAME and recorded != own and "/requests" not in said["path"]) or (
            name == "status" and recorded in ("failed", "finished") and recorded != own
        ):
            yield f"{key} is {own!r}, recorded {recorded!r}"


def json_type(value: Json) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", dict: "object"}
    return "null" if value is None else names.get(type(value), "list")


def basic(username: str) -> dict[str, str]:
    pair = base64.b64encode(f"{username}:{username}-password".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def picture(name: str, size: tuple[int, int]) -> bytes:
    """A picture under that name's format; names of exifN carry that orientation."""
    kinds = {"png": "PNG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "gif": "GIF"}
    kind = kinds.get(name.rpartition(".")[2].lower(), "JPEG")
    drawn = Image.new("RGB", size, (90, len(name) % 200, 120))
    out = io.BytesIO()
    options: dict[str, Any] = {}
    turned = re.fullmatch(r"exif(\d)\.jpg", name)
    if turned is not None:
        exif = Image.Exif()
        exif[0x0112] = int(turned[1])
        options["exif"] = exif
        if int(turned[1]) >= 5:
            drawn = drawn.transpose(Image.Transpose.ROTATE_90)
    drawn.save(out, kind, **options)
    return out.getvalue()


def keypoints(server: StandIn, task_id: int) -> dict[str, Any]:
    """A COCO keypoints file for a task: one skeleton on its first frame."""
    task = server.state.tasks[task_id]
    assert task.data is not None
    label = next(one for one in task.labels if one.type == "skeleton")
    names = [one.name for one in label.sublabels]
    values = [float(value) for place in range(len(names)) for value in (place, place + 1, 2)]
    return {
        "info": {},
        "licenses": [],
        "categories": [
            {
                "id": 1,
                "name": label.name,
                "supercategory": "",
                "keypoints": names,
                "skeleton": [],
            }
        ],
        "images": [
            {"id": place + 1, "file_name": one.name, "width": one.width, "height": one.height}
            for place, one in enumerate(task.data.frames)
        ],
        "annotations": [
            {
                "id": place + 1,
                "image_id": place + 1,
                "category_id": 1,
                "segmentation": [],
                "area": 10,
                "bbox": [0, 1, 4, 4],
                "iscrowd": 0,
                "keypoints": values,
                "num_keypoints": len(names),
            }
            for place in range(1 if task.segment_size == 2 else len(task.data.frames))
        ],
    }


def _event(delivery: Json) -> tuple[str, list[str]]:
    """What was delivered, and whether it came from the background, whose senders look different."""
    return delivery["event"], sorted(delivery["request"]["sender"])


def _kind_of_id(path: str, key: str) -> str:
    """What an `id` names, from the address asked and the key of the list or object it is in."""
    if key in ("shapes", "elements"):
        return "shapes"
    if key in ("tags", "attributes", "labels", "users", "jobs"):
        return key
    if key == "sublabels":
        return "labels"
    if key in ("owner", "assignee", "sender"):
        return "users"
    collections = [
        part for part in path.split("/") if re.fullmatch(r"[a-z_]+", part) and part != "api"
    ]
    return collections[-1] if collections else ""


def _without(key: str) -> Any:
    def change(content: dict[str, Any]) -> None:
        del content[key]

    return change


def _annotation_without(key: str) -> Any:
    def change(content: dict[str, Any]) -> None:
        for one in content["annotations"]:
            del one[key]

    return change


def _rename(part: str, key: str) -> Any:
    def change(content: dict[str, Any]) -> None:
        content[part][0][key] = "zzz"

    return change


# --- what the recordings do not say ---------------------------------------------------------------
# Recordings are told apart by their length; numbers are exchanges.

SIGNED_WITH = "s3cret"
FIRST, SECOND = 466, 1094
FILES = {FIRST: "transcript.jsonl", SECOND: "transcript2.jsonl"}
COPY_OF_LABELS = 263 - 157
FIRST_OMITTED_ID = 9569
FREE_KEYS = {"conflicts_by_type", "frame_results", "conflicts", "before_update"}
FORMATS_BACK = {"CVAT 1.1": "CVAT for images 1.1"}
BIG_TASK = {FIRST: 16}
RAW_BODIES = {SECOND: {452: ("application/json", b"{"), 577: ("application/xml", b"<a/>")}}
IDENTITIES = {
    FIRST: {
        0: "",
        8: "token of 7",
        9: "token of 7",
        11: "token of 10",
        355: "",
        356: "Token unknown",
    },
    SECOND: {
        405: "Bearer unknown",
        406: "Token unknown",
        407: "Basic YTpi",
        408: "token of 377",
        411: "token of 410",
        412: "token of 410",
        415: "token of 413",
        425: "token of 378",
        429: "token of 378",
        1000: "token of 802",
        1001: "token of 802",
        1002: "token of 802",
    },
}
MULTIPART_NAMES = {
    FIRST: {
        332: ["a/img.jpg", "b/img.jpg"],
        336: ["x.jpg"],
        344: ["good.jpg", "x.jpg"],
    },
    SECOND: {
        431: ["f_000.jpg"],
        485: ["a.jpg", "z.jpg"],
        552: ["n" * 296 + ".jpg"],
        566: ["a.jpg"],
        586: ["a/img.jpg", "b/img.jpg", "b/c/img.jpg"],
        589: ["a/img.jpg", "b/img.jpg", "b/c/img.jpg"],
        717: ["d.jpg", "d.jpg"],
        755: [f"img_{place:04d}.jpg" for place in range(200)],
    },
}
_TRUNCATED = picture("a.jpg", (320, 240))
CONTENTS = {
    FIRST: {(336, "x.jpg"): b"no picture", (344, "x.jpg"): b"no picture"},
    SECOND: {
        (477, "z.jpg"): b"",
        (485, "z.jpg"): b"",
        (493, "n.jpg"): b"hello",
        (558, "n.jpg"): b"hello",
        (522, "a.jpg"): _TRUNCATED[: len(_TRUNCATED) * 2 // 3],
        (693, "x.heic"): b"no picture",
    },
}
ASSETS = {
    9: ("ear.png", picture("ear.png", (2400, 1200)), 1),
    10: ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 1),
    11: ("ear.png", picture("ear.png", (64, 48)), 999_999),
}
KEYPOINT_CHANGES = {
    814: _without("info"),
    817: _without("licenses"),
    820: lambda content: content["categories"][0].pop("supercategory"),
    823: _annotation_without("segmentation"),
    826: _annotation_without("area"),
    829: _annotation_without("bbox"),
    832: _annotation_without("iscrowd"),
    835: _annotation_without("num_keypoints"),
    838: _rename("images", "file_name"),
    841: _rename("categories", "name"),
}


def prepare(replay: Replay) -> None:
    """What was there before the second recording: two projects like the first one in it, a task
    with labels of its own, and a job of annotator1.
    """
    server, recording = replay.server, replay.recording
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {server.token}"
    labels: list[Exchange] = recording[2]["request_json"]["labels"]
    flat = recording[3]["response_json"]["results"]
    for project, offset in ((9, 90), (12, 196)):
        sent = {"name": f"before {project}", "labels": labels}
        made = session.post(f"{server.url}/api/projects", json=sent).json()
        replay.known["projects", project] = made["id"]
        own = {one.name: one for one in server.state.projects[made["id"]].labels}
        for recorded in flat:
            mine = own[recorded["name"]]
            replay.known["labels", recorded["id"] + offset] = mine.id
            for one, other in zip(recorded["sublabels"], mine.sublabels, strict=True):
                replay.known["labels", one["id"] + offset] = other.id
    replay.known["attributes", 39] = server.state.projects[replay.known["projects", 12]].labels[
        0
    ].attributes[0].id  # fmt: skip
    task = _task(session, server, recording[753]["request_json"]["labels"], 10)
    replay.known["tasks", 118] = task
    face = recording[796]["response_json"]["results"]
    for recorded, mine in zip(face, server.state.tasks[task].labels, strict=True):
        replay.known["labels", recorded["id"]] = mine.id
    job = server.state.tasks[task].jobs[0].id
    session.patch(f"{server.url}/api/jobs/{job}", json={"assignee": 2})
    spec = {"name": "err", "labels": [{"name": "x"}]}
    replay.known["tasks", 46] = session.post(f"{server.url}/api/tasks", json=spec).json()["id"]


def _task(session: requests.Session, server: StandIn, labels: list[Exchange], size: int) -> int:
    task: int = session.post(
        f"{server.url}/api/tasks", json={"name": "before", "labels": labels, "segment_size": 10}
    ).json()["id"]
    address = f"{server.url}/api/tasks/{task}/data/"
    names = [f"port_{number:03d}.jpg" for number in range(size)]
    files = [(f"client_files[{name}]", (name, picture(name, (512, 512)))) for name in names]
    session.post(address, headers={"Upload-Start": ""})
    session.post(address, headers={"Upload-Multiple": ""}, files=files)
    session.post(address, headers={"Upload-Finish": ""}, json={"image_quality": 70})
    while not session.get(f"{server.url}/api/tasks/{task}").json()["size"]:
        pass
    return task
