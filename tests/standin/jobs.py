"""Jobs: their stages, states and assignees; ground-truth jobs."""

from typing import Any

from fastapi import APIRouter, Response

from standin import access, frames, lists, shown
from standin.call import Answer, Arrived, nothing
from standin.refusals import bad_request, broken, forbidden

router = APIRouter()

_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "task_id": lambda one: one.task.id,
    "task_name": lambda one: one.task.name,
    "project_id": lambda one: one.task.project and one.task.project.id,
    "project_name": lambda one: one.task.project and one.task.project.name,
    "assignee": lambda one: lists.name_of(one.assignee),
    "stage": lambda one: one.stage,
    "state": lambda one: one.state,
    "type": lambda one: one.type,
    "dimension": lambda one: "2d",
    "parent_job_id": lambda one: one.parent and one.parent.id,
    "updated_date": lambda one: one.updated_at,
}
_SEARCH = ("task_name", "project_name", "assignee", "state", "stage")
_CHOICES = {
    "stage": ("annotation", "validation", "acceptance"),
    "state": ("new", "in progress", "completed", "rejected"),
}


@router.get("/api/jobs")
async def list_jobs(call: Arrived) -> Response:
    state = call.state
    seen = [
        one
        for one in state.jobs.values()
        if call.is_in_scope(one.task.organisation) and access.may_see(call.user, one, state)
    ]
    return lists.answered(call, seen, _FIELDS, lambda one: shown.job(state, one), _SEARCH)


@router.post("/api/jobs")
async def create_job(call: Arrived) -> Response:
    """A ground-truth job, of which a task has one."""
    state, sent = call.state, call.json()
    task = access.task(call, sent["task_id"])
    if any(job.type == "ground_truth" for job in task.jobs):
        mode = task.validation_mode or "gt"
        raise bad_request([f'Task with validation mode "{mode}" cannot have more than 1 GT job'])
    assert task.data is not None
    size = len(task.data.frames)
    if sent.get("frame_selection_method") == "manual":
        chosen = sorted(set(sent["frames"]))
        if not set(chosen) <= set(range(size)):
            raise bad_request([f"Unknown frames {sorted(set(chosen) - set(range(size)))}"])
    else:
        chosen = frames.random_frames(size, sent)
    job = frames.add_job(state, task, "ground_truth", chosen)
    job.chunks_updated_at = state.now()
    task.validation_mode = task.validation_mode or "gt"
    answer = Answer(shown.job(state, job), 201)
    answer.headers["Location"] = f"{state.url}/api/jobs/{job.id}"
    return answer


@router.get("/api/jobs/{job_id}")
async def get_job(call: Arrived, job_id: int) -> Response:
    return Answer(shown.job(call.state, access.job(call, job_id)))


@router.patch("/api/jobs/{job_id}")
async def update_job(call: Arrived, job_id: int) -> Response:
    """Stage, state, assignee. A new stage sets the state back.

    The job is bumped, and the task if its status follows.

    An assignee may set the state alone; an unknown assignee breaks the recorded server.
    """
    state, sent = call.state, call.json()
    job = access.job(call, job_id)
    if {"stage", "assignee"} & sent.keys() and not access.manages(call.user, job):
        raise forbidden()
    for name, choices in _CHOICES.items():
        if name in sent and sent[name] not in choices:
            raise bad_request({name: [f'"{sent[name]}" is not a valid choice.']})
    if sent.get("assignee") is not None and sent["assignee"] not in state.users:
        raise broken()
    if "assignee" in sent:
        job.assignee = access.assignee(call, sent["assignee"])
        job.assignee_updated_at = state.now()
    status = shown.task_status(job.task)
    if "stage" in sent and sent["stage"] != job.stage:
        job.stage, job.state = sent["stage"], "new"
    job.state = sent.get("state", job.state)
    state.touch(job)
    if shown.task_status(job.task) != status:
        state.touch(job.task)
    return Answer(shown.job(state, job))


@router.delete("/api/jobs/{job_id}")
async def delete_job(call: Arrived, job_id: int) -> Response:
    job = access.job(call, job_id)
    if job.type != "ground_truth":
        raise bad_request(["Only ground truth jobs can be removed"])
    job.task.jobs.remove(job)
    job.task.validation_mode = None
    return nothing(204)


@router.get("/api/tasks/{task_id}/validation_layout")
async def get_layout(call: Arrived, task_id: int) -> Response:
    task = access.task(call, task_id)
    data = task.data
    assert data is not None
    gold = next((job for job in task.jobs if job.type == "ground_truth"), None)
    layout: dict[str, Any] = {
        "mode": task.validation_mode,
        "frames_per_job_count": data.honeypots_per_job,
        "validation_frames": gold.frames if gold else [],
        "disabled_frames": data.disabled_frames,
    }
    if task.validation_mode == "gt_pool":
        layout |= {
            "honeypot_count": len(data.honeypots),
            "honeypot_frames": list(data.honeypots),
            "honeypot_real_frames": list(data.honeypots.values()),
        }
    return Answer(layout)
