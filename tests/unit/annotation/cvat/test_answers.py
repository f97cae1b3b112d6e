"""What is read of a server's answers: all that was recorded has it, and what lacks it is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Told, scripted

from annotation.cvat.answers import lacking
from annotation.cvat.connection import NEEDED, AnswerError, Connection, connect

RECORDED = Path(__file__).parents[4].parent / "shared/data/cvat"

JOB = {
    "id": 5,
    "task_id": 3,
    "type": "annotation",
    "stage": "annotation",
    "state": "new",
    "start_frame": 0,
    "stop_frame": 1,
    "updated_date": "2026-11-29T10:00:00.000001Z",
    "assignee": None,
    "what_a_newer_server_tells": {},
}
PROJECT = {"id": 1, "bug_tracker": "", "organization_id": None, "guide_id": None}
ATTRIBUTE = {
    "id": 2,
    "name": "a",
    "input_type": "select",
    "values": ["x"],
    "default_value": "x",
    "mutable": False,
}
LABEL = {"id": 1, "name": "face", "type": "rectangle", "color": "#fff", "attributes": [ATTRIBUTE]}


def page(*entries: object) -> dict[str, Any]:
    return {"count": len(entries), "next": None, "results": list(entries)}


def without(entry: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != field}


@pytest.mark.parametrize(
    ("call", "answer", "told"),
    [
        ("GET /api/jobs", page({**JOB, "id": "x"}), "a `results[0].id` that is none"),
        ("GET /api/jobs", page({**JOB, "id": True}), "a `results[0].id` that is none"),
        ("GET /api/jobs", page(JOB, without(JOB, "stage")), "no `results[1].stage`"),
        ("GET /api/jobs", page({**JOB, "updated_date": "today"}), "a `results[0].updated_date`"),
        ("GET /api/jobs", page({**JOB, "updated_date": "2026-11-29T10:00:00"}), "needs its zone"),
        ("GET /api/jobs", page({**JOB, "assignee": {"id": 1}}), "assignee.username`"),
        ("GET /api/jobs", page(float("nan")), "a `results[0]` that is none"),
        ("GET /api/jobs", [float("nan")], "no JSON object"),
        ("GET /api/jobs", b"<html>", "no JSON object"),
        ("GET /api/jobs", None, "no JSON object"),
        ("GET /api/jobs", {"count": 1}, "no `results`"),
        ("GET /api/jobs", {**page(JOB), "next": 3}, "a `next` that is none"),
        ("GET /api/projects", page(without(PROJECT, "bug_tracker")), "no `results[0].bug_tracker`"),
        ("GET /api/projects", page(without(PROJECT, "organization_id")), ".organization_id`"),
        ("GET /api/labels", page({**LABEL, "sublabels": [{"id": 1}]}), "sublabels[0].name`"),
        ("GET /api/labels", page({**LABEL, "attributes": None}), "a `results[0].attributes` that"),
        ("GET /api/tasks/7/data/meta", {"size": 1}, "no `frames`"),
        ("GET /api/tasks/7/data/meta", {"frames": [{"name": "a"}]}, "no `frames[0].width`"),
        ("GET /api/jobs/7/annotations/", {"shapes": [{"frame": 0}]}, "no `shapes[0].label_id`"),
        ("POST /api/tasks", {}, "no `id`"),
        ("GET /api/requests/action=create&target=task&target_id=1", {}, "no `status`"),
    ],
)
def test_the_first_that_is_lacking_is_named(call: str, answer: object, told: str) -> None:
    assert told in lacking(*call.split(" ", 1), answer)


def test_what_is_read_is_enough() -> None:
    assert lacking("GET", "/api/jobs", page(JOB)) == ""
    assert lacking("GET", "/api/projects", page(PROJECT)) == ""
    assert lacking("GET", "/api/labels", page(LABEL)) == ""
    assert lacking("GET", "/api/jobs", page()) == ""
    assert lacking("DELETE", "/api/tasks/7", None) == ""


def test_every_list_that_is_asked_for_is_looked_at() -> None:
    answers_bytes = {"GET /api/assets/{uuid}", "GET /api/tasks/{id}/data/"}
    asked = [call for call in NEEDED if call.startswith("GET ") and call not in answers_bytes]
    assert all(lacking(*call.split(" ", 1), []) == "no JSON object" for call in asked)


@pytest.mark.parametrize("name", ["transcript.jsonl", "transcript2.jsonl"])
def test_all_that_was_recorded_is_taken(name: str) -> None:
    if not (RECORDED / name).exists():
        pytest.skip(f"needs ../shared/data/cvat/{name}, exchanges with a real server")
    looked_at = 0
    for line in (RECORDED / name).read_text("utf-8").splitlines():
        one = json.loads(line)
        answer = one.get("response_json")
        is_whole = isinstance(answer, dict) and "<omitted>" not in line
        if one["status"] < 400 and is_whole:
            assert lacking(one["method"], one["path"], answer) == "", one["path"]
            looked_at += lacking(one["method"], one["path"], []) != ""
    assert looked_at > 100


def test_a_page_of_something_else_is_one_sentence() -> None:
    about = Told({"version": "2.54.1"})
    with scripted([about, Told(page({"id": "x"}))]) as server:
        cvat = connect(server.url, "t")
        with pytest.raises(AnswerError) as error:
            list(cvat.pages("/api/jobs"))
    assert str(error.value) == (
        f"{server.url} (CVAT 2.54.1) answered GET /api/jobs with a `results[0].id` that is none "
        "(input should be a valid integer): see that no proxy changes its answers, and that it is "
        "a CVAT server as 2.54 is."
    )


def test_a_refusal_needs_no_fields() -> None:
    with scripted([Told({"detail": "gone"}, 404)]) as server:
        cvat = Connection(server.url, "t")
        assert cvat.call("GET", "/api/tasks/1/data/meta", also=(404,)) == {"detail": "gone"}
