"""Backups of tasks and projects: out as a zip of the stand-in's own making, and in again."""

import io
import json
import uuid
import zipfile
from typing import Any

from fastapi import APIRouter, Response

from standin import access, annotations, background, frames, labels, pace, shown, uploads
from standin.background import Work, WorkFailedError
from standin.call import Arrived, Call, nothing
from standin.datasets import zipped
from standin.refusals import not_found
from standin.state import Data, Job, Project, State, Task, User

router = APIRouter()


@router.post("/api/{kind}/{target_id}/backup/export")
async def export(call: Arrived, kind: str, target_id: int) -> Response:
    target = _target(call, kind, target_id)
    single = kind.rstrip("s")
    rq_id = background.request_id(
        "export", single, target_id, user_id=call.user.id, subresource="backup"
    )
    running = background.joined(call, rq_id)
    if running is not None:
        return running
    work = _work(call, rq_id, "export", single)
    if isinstance(target, Project):
        work.project_id = target.id
    else:
        work.task_id = target.id
        work.project_id = target.project.id if target.project else None
    state = call.state

    def write(work: Work) -> None:
        work.result = _written(state, target)
        moment = target.updated_at.strftime("%Y_%m_%d_%H_%M_%S")
        work.result_name = f"{single}_{target.name}_backup_{moment}.zip"
        place = f"/api/{kind}/{target_id}/backup/download"
        work.result_url = background.result_address(state, place, work)

    background.works(call).start(state, work, write, pace.background_s(call, "export", 0))
    return background.started(call, work)


@router.get("/api/{kind}/{target_id}/backup/download")
async def download(call: Arrived, kind: str, target_id: int) -> Response:
    _target(call, kind, target_id)
    return background.downloaded(call)


@router.post("/api/{kind}/backup")
async def restore(call: Arrived, kind: str) -> Response:
    headers = call.request.headers
    if "Upload-Start" in headers:
        return nothing(202)
    if "Upload-Length" in headers:
        return uploads.created(call, f"/api/{kind}/backup", uploads.file_name(call))
    content = bytes(uploads.taken(call, call.query["filename"]).content)
    single = kind.rstrip("s")
    rq_id = f"action=import&target={single}&id={uuid.uuid4()}&subresource=backup"
    work = _work(call, rq_id, "import", single)
    state, user = call.state, call.user

    def read(work: Work) -> None:
        work.result_id = _restored(state, user, content)

    background.works(call).start(state, work, read, pace.background_s(call, "import", 0))
    return background.started(call, work)


@router.patch("/api/{kind}/backup/{upload_id}")
async def upload_piece(call: Arrived, kind: str, upload_id: str) -> Response:
    return uploads.pieced(call, upload_id)


@router.head("/api/{kind}/backup/{upload_id}")
async def tell_piece(call: Arrived, kind: str, upload_id: str) -> Response:
    return uploads.told(call, upload_id)


def _work(call: Call, rq_id: str, action: str, single: str) -> Work:
    return Work(rq_id, action, single, "backup", call.user, call.state.now())


def _target(call: Call, kind: str, target_id: int) -> Project | Task:
    if kind == "projects":
        return access.project(call, target_id)
    if kind == "tasks":
        return access.task(call, target_id)
    raise not_found("Resource")


def _written(state: State, target: Project | Task) -> bytes:
    is_project = isinstance(target, Project)
    tasks = [target] if isinstance(target, Task) else [
        task for task in state.tasks.values() if task.project is target
    ]  # fmt: skip
    files: dict[str, bytes] = {}
    facts: dict[str, Any] = {
        "project": target.name if is_project else None,
        "labels": [shown.label(one) for one in target.labels],
        "tasks": [],
    }
    for place, task in enumerate(tasks):
        data = task.data
        assert data is not None
        facts["tasks"].append(
            {
                "name": task.name,
                "subset": task.subset,
                "bug_tracker": task.bug_tracker,
                "segment_size": task.segment_size,
                "overlap": task.overlap,
                "validation_mode": task.validation_mode,
                "chunk_size": data.chunk_size,
                "image_quality": data.image_quality,
                "frames": [frame.name for frame in data.frames],
                "jobs": [
                    {
                        "type": job.type,
                        "frames": job.frames,
                        "shapes": list(job.shapes.values()),
                        "tags": list(job.tags.values()),
                    }
                    for job in task.jobs
                ],
            }
        )
        files |= {f"task_{place}/data/{one.name}": one.content for one in data.frames}
    return zipped({"backup.json": json.dumps(facts).encode(), **files})


def _restored(state: State, user: User, content: bytes) -> int:
    """The id of the new task or project; states and assignees start anew."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        facts = json.loads(archive.read("backup.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise WorkFailedError("The file is not a backup that this stand-in made\n") from None
    now = state.now()
    project = None
    if facts["project"] is not None:
        project = Project(state.next_id("project"), facts["project"], user, now, now, None)
        project.labels = labels.made(state, project, facts["labels"])
        state.projects[project.id] = project
    tasks = []
    for place, one in enumerate(facts["tasks"]):
        task = Task(state.next_id("task"), one["name"], user, now, state.now(), None, project)
        task.subset, task.bug_tracker = one["subset"], one["bug_tracker"]
        task.segment_size, task.overlap = one["segment_size"], one["overlap"]
        if project is None:
            task.own_labels = labels.made(state, task, facts["labels"])
        arrived = {name: archive.read(f"task_{place}/data/{name}") for name in one["frames"]}
        task.data = Data(
            state.next_id("data"), image_quality=one["image_quality"], arrived=arrived,
            is_sealed=True, sorting_method="predefined",
        )  # fmt: skip
        state.tasks[task.id] = task
        sent = {"chunk_size": one["chunk_size"]}
        frames.make_frames(state, task, sent, one["frames"])
        _refill(state, task, one, facts["labels"])
        tasks.append(task)
    return tasks[0].id if project is None else project.id


def _refill(state: State, task: Task, kept: dict[str, Any], old: list[dict[str, Any]]) -> None:
    """Jobs' annotations under the new labels' ids."""
    label_ids: dict[int, int] = {}
    attribute_ids: dict[int, int] = {}
    for before, after in zip(old, task.labels, strict=True):
        parts = zip([before, *before["sublabels"]], [after, *after.sublabels], strict=True)
        for one, other in parts:
            label_ids[one["id"]] = other.id
            pairs = zip(one["attributes"], other.attributes, strict=True)
            attribute_ids |= {each["id"]: new.id for each, new in pairs}

    def moved(one: dict[str, Any]) -> dict[str, Any]:
        new = {key: value for key, value in one.items() if key != "id"}
        new["label_id"] = label_ids[one["label_id"]]
        new["attributes"] = [
            {"spec_id": attribute_ids[each["spec_id"]], "value": each["value"]}
            for each in one["attributes"]
        ]
        if "elements" in one:
            new["elements"] = [moved(element) for element in one["elements"]]
        return new

    jobs: list[Job] = list(task.jobs)
    for one in kept["jobs"]:
        alike = [job for job in jobs if (job.type, job.frames) == (one["type"], one["frames"])]
        job = alike[0] if alike else None
        if job is None:
            job = frames.add_job(state, task, one["type"], one["frames"])
        else:
            jobs.remove(job)
        shapes, tags = (
            [moved(each) for each in one["shapes"]],
            [moved(each) for each in one["tags"]],
        )
        annotations.save(state, job, shapes, tags)
    task.validation_mode = kept["validation_mode"]
