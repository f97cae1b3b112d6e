"""Tasks."""

from typing import Any

from fastapi import APIRouter, Response

from standin import access, labels, lists, people, shown
from standin.call import Answer, Arrived, nothing
from standin.refusals import bad_request, forbidden, not_allowed, too_long
from standin.state import Task

router = APIRouter()

_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "name": lambda one: one.name,
    "project_id": lambda one: one.project and one.project.id,
    "project_name": lambda one: one.project and one.project.name,
    "owner": lambda one: one.owner.username,
    "assignee": lambda one: lists.name_of(one.assignee),
    "status": shown.task_status,
    "subset": lambda one: one.subset,
    "mode": lambda one: one.mode,
    "dimension": lambda one: "2d",
    "tracker_link": lambda one: one.bug_tracker,
    "validation_mode": lambda one: one.validation_mode,
    "updated_date": lambda one: one.updated_at,
}
_SEARCH = ("project_name", "name", "owner", "status", "assignee", "subset", "mode", "tracker_link")


@router.get("/api/tasks")
async def list_tasks(call: Arrived) -> Response:
    state = call.state
    seen = [
        one
        for one in state.tasks.values()
        if call.is_in_scope(one.organisation) and access.may_see(call.user, one, state)
    ]
    return lists.answered(call, seen, _FIELDS, lambda one: shown.task(state, one), _SEARCH)


@router.post("/api/tasks")
async def create_task(call: Arrived) -> Response:
    state, sent = call.state, call.json()
    _check(sent)
    project_id = sent.get("project_id")
    project = None if project_id is None else access.project(call, project_id)
    if project is not None and project.owner is not call.user and not call.user.is_staff:
        raise forbidden()
    now = state.now()
    task = Task(
        state.next_id("task"),
        sent["name"],
        call.user,
        now,
        state.now(),
        project.organisation if project else people.organisation_for(call),
        project,
        access.assignee(call, sent.get("assignee_id")),
        bug_tracker=sent.get("bug_tracker", ""),
        subset=sent.get("subset", ""),
        segment_size=sent.get("segment_size", 0),
        overlap=sent.get("overlap"),
        consensus_replicas=sent.get("consensus_replicas", 0),
    )
    task.own_labels = [] if project else labels.made(state, task, sent.get("labels", []))
    state.tasks[task.id] = task
    state.tell("create", task)
    state.touch(project)
    answer = Answer(shown.task(state, task), 201)
    answer.headers["Location"] = f"{state.url}/api/tasks/{task.id}"
    return answer


@router.get("/api/tasks/{task_id}")
async def get_task(call: Arrived, task_id: int) -> Response:
    return Answer(shown.task(call.state, access.task(call, task_id)))


@router.put("/api/tasks/{task_id}")
async def replace_task(call: Arrived, task_id: int) -> Response:
    raise not_allowed("PUT")


@router.patch("/api/tasks/{task_id}")
async def update_task(call: Arrived, task_id: int) -> Response:
    task, sent = access.task(call, task_id), call.json()
    _check(sent, is_new=False)
    for name in ("name", "bug_tracker", "subset", "source_storage", "target_storage"):
        if name in sent:
            setattr(task, name, sent[name])
    if "assignee_id" in sent:
        task.assignee = access.assignee(call, sent["assignee_id"])
        task.assignee_updated_at = call.state.now()
    call.state.touch(task, task.project)
    return Answer(shown.task(call.state, task))


@router.delete("/api/tasks/{task_id}")
async def delete_task(call: Arrived, task_id: int) -> Response:
    task = access.task(call, task_id)
    if not access.manages(call.user, task):
        raise forbidden()
    call.state.delete_task(task)
    return nothing(204)


def _check(sent: dict[str, Any], is_new: bool = True) -> None:
    if is_new or "name" in sent:
        too_long("name", sent.get("name", ""), 256)
    if len(sent.get("subset", "")) > 64:
        too_long("subset", sent["subset"], 64)
    if is_new and sent.get("project_id") is None and "labels" not in sent:
        raise bad_request(["Label list or project_id must be present"])
