"""The stand-in's answers against the recorded server's own OpenAPI document.

The recorded server does not keep to its document everywhere; where it doesn't, neither does the
stand-in, and DEVIATIONS says where.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from cvat_replay import FILES, FIRST, SECOND, Exchange, Replay, exchanges, prepare, receiving
from jsonschema import Draft202012Validator
from standin.server import RECORDED, standing_in

_PINGED = "what a webhook's receiver said: an object; answered as text"

# By recording, (method, path in the document, where in the answer): what the document says, and
# what the servers answer.
DEVIATIONS: dict[int, dict[tuple[str, str, str], str]] = {
    FIRST: {
        ("GET", "/api/server/health", ""): "is not in the document",
        ("POST", "/api/webhooks/{id}/ping", "response"): _PINGED,
        ("GET", "/api/webhooks/{id}/deliveries", "results.*.response"): _PINGED,
    },
    SECOND: {
        ("POST", "/api/webhooks/{id}/ping", "response"): _PINGED,
        ("GET", "/api/webhooks/{id}/deliveries", "results.*.response"): _PINGED,
        ("GET", "/api/webhooks/{id}/deliveries/{delivery_id}", "response"): _PINGED,
        ("GET", "/api/tasks/{id}/data/meta", "chunks_updated_date"): (
            "a time; null of a task that has no frames"
        ),
    },
}

_KINDS = ("application/vnd.cvat+json", "application/json")


def document() -> dict[str, Any]:
    path = RECORDED / "schema.yml"
    if not path.is_file():
        pytest.skip("schema.yml is not here: it lies in ../shared/data/cvat")
    # The C loader reads these 11,700 lines in a second, the Python one in ten.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read: dict[str, Any] = _nullable(yaml.load(path.read_text(), loader))  # noqa: S506 (safe)
    return read


def _nullable(part: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(part, list):
        return [_nullable(one) for one in part]
    if not isinstance(part, dict):
        return part
    rest = {key: _nullable(value) for key, value in part.items() if key != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if part.get("nullable") is True else rest


class Checked(Replay):
    """A replay that holds every answer against the document."""

    def hold(self, api: dict[str, Any]) -> None:
        self.api = api
        self.broken: dict[tuple[str, str, str], str] = {}
        self.checked: set[tuple[str, str]] = set()

    def _compared(self, number: int, said: Exchange, answer: requests.Response) -> None:
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        if kind not in _KINDS or answer.status_code >= 300:
            return
        path = said["path"].rstrip("/") or "/"
        found = _operation(self.api, path, said["method"].lower())
        if found is None:
            self.broken[said["method"], path, ""] = "not in the document"
            return
        template, operation = found
        schema = _schema_of(operation, str(answer.status_code))
        if schema is None:
            return
        self.checked.add((said["method"], template))
        whole = {**schema, "components": self.api["components"]}
        for where, what in _errors(whole, answer.json()):
            self.broken[said["method"], template, where] = what


def _operation(api: dict[str, Any], path: str, method: str) -> tuple[str, dict[str, Any]] | None:
    """The address in the document that fits, one without parameters first."""
    for template in sorted(api["paths"], key=lambda one: one.count("{")):
        pattern = re.sub(r"\\?\{[^}]*\\?\}", "[^/]+", template.rstrip("/"))
        if re.fullmatch(pattern, path) and method in api["paths"][template]:
            return template, api["paths"][template][method]
    return None


def _schema_of(operation: dict[str, Any], status: str) -> dict[str, Any] | None:
    content = operation["responses"].get(status, {}).get("content", {})
    for kind in _KINDS:
        if kind in content:
            schema: dict[str, Any] = content[kind]["schema"]
            return schema
    return None


def _errors(schema: dict[str, Any], content: Any) -> Iterator[tuple[str, str]]:
    """Where and what is wrong; places in lists all count as one."""
    for error in Draft202012Validator(schema).iter_errors(content):
        where = ".".join("*" if isinstance(one, int) else str(one) for one in error.absolute_path)
        yield where, error.message[:200]


def recorded(length: int) -> list[Exchange]:
    path = RECORDED / FILES[length]
    if not path.is_file():
        pytest.skip(f"{path.name} is not here: the recordings lie in ../shared/data/cvat")
    recording = exchanges(path)
    assert len(recording) == length
    return recording


@pytest.mark.parametrize("length", [FIRST, SECOND])
def test_stand_in_keeps_to_the_document_as_the_server_does(length: int) -> None:
    api, recording = document(), recorded(length)
    with standing_in() as server, receiving() as hooks:
        replay = Checked(server, recording, RECORDED, hooks)
        replay.hold(api)
        if length == SECOND:
            prepare(replay)
        for number in range(len(recording)):
            replay.play(number)
    assert len(replay.checked) > 30
    known = DEVIATIONS[length]
    unknown = {key: what for key, what in replay.broken.items() if key not in known}
    assert not unknown, json.dumps({" ".join(key): what for key, what in unknown.items()}, indent=1)
    assert replay.broken.keys() == known.keys(), "a deviation is gone"


@pytest.mark.parametrize("length", [FIRST, SECOND])
def test_recorded_server_deviates_in_the_same_places(length: int) -> None:
    """So the list is the server's, not the stand-in's."""
    api = document()
    broken: set[tuple[str, str, str]] = set()
    for said in recorded(length):
        answer = said.get("response_json")
        if answer is None or said["status"] >= 300:
            continue
        path = said["path"].rstrip("/")
        found = _operation(api, path, said["method"].lower())
        if found is None:
            broken.add((said["method"], path, ""))
            continue
        schema = _schema_of(found[1], str(said["status"]))
        if schema is not None:
            whole = {**schema, "components": api["components"]}
            broken |= {(said["method"], found[0], where) for where, _ in _errors(whole, answer)}
    assert broken == DEVIATIONS[length].keys()
