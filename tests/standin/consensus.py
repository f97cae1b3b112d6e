"""Consensus: replicas of a job are merged into it, and overwrite it."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from standin import access, annotations, background, lists, pace
from standin.background import Work
from standin.call import Answer, Arrived, Call
from standin.matching import matched
from standin.refusals import bad_request, not_found
from standin.state import Job, Shape, State, Task

router = APIRouter()


@dataclass
class Settings:
    id: int
    task: Task
    iou_threshold: float = 0.4
    quorum: float = 0.5


_FIELDS: lists.Fields = {"id": lambda one: one.id, "task_id": lambda one: one.task.id}


@router.get("/api/consensus/settings")
async def list_settings(call: Arrived) -> Response:
    tasks = [
        task
        for task in call.state.tasks.values()
        if task.consensus_replicas and access.may_see(call.user, task, call.state)
    ]
    return lists.answered(call, [_settings(call, task) for task in tasks], _FIELDS, _shown)


@router.patch("/api/consensus/settings/{settings_id}")
async def update_settings(call: Arrived, settings_id: int) -> Response:
    for one in _known(call).values():
        if one.id == settings_id:
            access.task(call, one.task.id)
            sent = call.json()
            one.iou_threshold = sent.get("iou_threshold", one.iou_threshold)
            one.quorum = sent.get("quorum", one.quorum)
            return Answer(_shown(one))
    raise not_found("ConsensusSettings")


@router.post("/api/consensus/merges")
async def merge(call: Arrived) -> Response:
    state, sent = call.state, call.json()
    if "job_id" in sent:
        job = access.job(call, sent["job_id"])
        task, jobs, target, target_id = job.task, [job], "job", job.id
    else:
        task = access.task(call, sent["task_id"])
        jobs, target, target_id = [job for job in task.jobs if job.replicas], "task", task.id
    if not task.consensus_replicas:
        raise bad_request(["Consensus is not enabled in this task"])
    settings = _settings(call, task)
    work = Work(
        background.request_id("merge", target, target_id),
        "merge",
        target,
        None,
        call.user,
        state.now(),
        project_id=task.project.id if task.project else None,
        task_id=task.id,
        job_id=target_id if target == "job" else None,
        has_format=False,
    )

    def do(_: Work) -> None:
        for job in jobs:
            _merge(state, job, settings)

    frames = sum(len(job.frames) for job in jobs)
    background.works(call).start(state, work, do, pace.background_s(call, "merge", frames))
    return background.started(call, work)


def _merge(state: State, job: Job, settings: Settings) -> None:
    """Keeps what enough replicas agree on, as the last of those has it."""
    replicas = [one for one in job.task.jobs if one.parent is job][::-1]
    needed = settings.quorum * len(replicas)
    shapes: list[Shape] = []
    left = [list(one.shapes.values()) for one in replicas]
    for place, candidates in enumerate(left):
        for shape in list(candidates):
            votes = 1
            for others in left[place + 1 :]:
                for _, other, _ in matched([shape], others, settings.iou_threshold):
                    others.remove(other)
                    votes += 1
            if votes >= needed:
                shapes.append(shape)
    tags = [
        tag
        for tag in (replicas[0].tags.values() if replicas else ())
        if sum(_has_tag(one, tag) for one in replicas) >= needed
    ]
    annotations.clear(job)
    annotations.save(state, job, [_copied(one) for one in shapes], [_copied(one) for one in tags])
    job.state = "completed"
    state.touch(job, job.task, job.task.project)


def _has_tag(job: Job, tag: Shape) -> bool:
    keys = ("frame", "label_id", "attributes")
    return any(all(one[key] == tag[key] for key in keys) for one in job.tags.values())


def _copied(one: Shape) -> Shape:
    """A new shape or tag of the same place, whose source is the consensus."""
    copied = {key: value for key, value in one.items() if key != "id"}
    if "elements" in one:
        copied["elements"] = [_copied(element) | {"source": "file"} for element in one["elements"]]
    return copied | {"source": "consensus"}


def _known(call: Call) -> dict[int, Settings]:
    found: dict[int, Settings] = call.request.app.state.consensus
    return found


def _settings(call: Call, task: Task) -> Settings:
    if task.id not in _known(call):
        _known(call)[task.id] = Settings(call.state.next_id("consensus"), task)
    return _known(call)[task.id]


def _shown(one: Settings) -> dict[str, Any]:
    return {
        "id": one.id,
        "task_id": one.task.id,
        "iou_threshold": one.iou_threshold,
        "quorum": one.quorum,
    }
