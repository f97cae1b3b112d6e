"""Datasets on their way out and in: exports to download, and imports that replace annotations."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from fastapi import APIRouter, Response

from standin import access, annotations, background, pace, projects, uploads
from standin.background import Work, WorkFailedError
from standin.call import Arrived, Call, nothing
from standin.formats import EXPORTERS, IMPORTERS, READERS, WRITERS
from standin.formats.dataset import Dataset, Item
from standin.refusals import RefusedError, bad_request, forbidden
from standin.state import Job, Project, State, Task

router = APIRouter()

Target = Project | Task | Job


@router.post("/api/{kind}/{target_id}/dataset/export")
async def export(call: Arrived, kind: str, target_id: int) -> Response:
    target = _target(call, kind, target_id)
    if not isinstance(target, Project) and not access.manages(call.user, target):
        raise forbidden()
    name = call.query.get("format", "")
    if name not in EXPORTERS:
        raise bad_request(["Unknown format specified for the request"])
    has_images = call.query.get("save_images", "false").lower() == "true"
    subresource = "dataset" if has_images else "annotations"
    single = kind.rstrip("s")
    rq_id = background.request_id(
        "export",
        single,
        target_id,
        user_id=call.user.id,
        format=background.format_id(name),
        subresource=subresource,
    )
    running = background.joined(call, rq_id)
    if running is not None:
        return running
    work = _work(call, rq_id, "export", single, subresource, target)
    work.format = name
    state = call.state

    def write(work: Work) -> None:
        work.result = exported(state, target, name, has_images)
        moment = target.updated_at.strftime("%Y_%m_%d_%H_%M_%S")
        work.result_name = f"{single}_{target_id}_{subresource}_{moment}_{name.lower()}.zip"
        place = f"/api/{kind}/{target_id}/dataset/download"
        work.result_url = background.result_address(state, place, work)

    seconds = pace.background_s(call, "export", _size(state, target))
    background.works(call).start(state, work, write, seconds)
    return background.started(call, work)


@router.get("/api/{kind}/{target_id}/dataset/download")
async def download(call: Arrived, kind: str, target_id: int) -> Response:
    _target(call, kind, target_id)
    return background.downloaded(call)


@router.post("/api/{kind}/{target_id}/annotations")
async def import_annotations(call: Arrived, kind: str, target_id: int) -> Response:
    """One of the messages of an upload, or a form with the file."""
    target = _target(call, kind, target_id)
    return _message(call, kind, target, "annotations")


@router.post("/api/projects/{target_id}/dataset")
async def import_dataset(call: Arrived, target_id: int) -> Response:
    return _message(call, "projects", access.project(call, target_id), "dataset")


@router.patch("/api/{kind}/{target_id}/annotations/{upload_id}")
@router.patch("/api/{kind}/{target_id}/dataset/{upload_id}")
async def upload_piece(call: Arrived, kind: str, target_id: int, upload_id: str) -> Response:
    _target(call, kind, target_id)
    return uploads.pieced(call, upload_id)


@router.head("/api/{kind}/{target_id}/annotations/{upload_id}")
@router.head("/api/{kind}/{target_id}/dataset/{upload_id}")
async def tell_piece(call: Arrived, kind: str, target_id: int, upload_id: str) -> Response:
    _target(call, kind, target_id)
    return uploads.told(call, upload_id)


def _target(call: Call, kind: str, target_id: int) -> Target:
    if kind == "projects":
        return access.project(call, target_id)
    if kind == "tasks":
        return access.task(call, target_id)
    if kind == "jobs":
        return access.job(call, target_id)
    raise RefusedError(404, {"detail": "Not found."})


def _work(
    call: Call, rq_id: str, action: str, single: str, subresource: str, target: Target
) -> Work:
    task = target.task if isinstance(target, Job) else target
    project = task if isinstance(task, Project) else task.project
    return Work(
        rq_id,
        action,
        single,
        subresource,
        call.user,
        call.state.now(),
        project_id=project.id if project else None,
        task_id=task.id if isinstance(task, Task) else None,
        job_id=target.id if isinstance(target, Job) else None,
    )


# --- out -----------------------------------------------------------------------------------------


def exported(state: State, target: Target, name: str, has_images: bool) -> bytes:
    """The zip of a dataset. Raises: WorkFailedError: the format cannot hold it."""
    if name not in WRITERS:
        raise WorkFailedError(f"NotImplementedError: the stand-in does not write '{name}'\n")
    dataset = _dataset(state, target)
    files = WRITERS[name](dataset)
    if has_images:
        folder = "images" if name.startswith("CVAT") else "images/{subset}"
        for item in dataset.items:
            place = folder.format(subset=item.subset)
            files[f"{place}/{item.frame.name}"] = item.frame.content
    return zipped(files)


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _dataset(state: State, target: Target) -> Dataset:
    if isinstance(target, Project):
        tasks: Sequence[Task] = [one for one in state.tasks.values() if one.project is target]
        labels = target.labels
    else:
        tasks = [target.task if isinstance(target, Job) else target]
        labels = tasks[0].labels
    items: list[Item] = []
    for task in tasks:
        if task.data is None:
            continue
        of_job = isinstance(target, Job)
        kept = annotations.of_job(target) if of_job else annotations.of_task(task)  # type: ignore[arg-type]
        frames = target.frames if isinstance(target, Job) else range(len(task.data.frames))
        here = {
            number: Item(task, number, task.data.frames[number])
            for number in frames
            if number not in task.data.deleted_frames
        }
        for one in kept["shapes"]:
            if one["frame"] in here:
                here[one["frame"]].shapes.append(one)
        for tag in kept["tags"]:
            if tag["frame"] in here:
                here[tag["frame"]].tags.append(tag)
        items += here.values()
    return Dataset(target, labels, items, state.url)


def _size(state: State, target: Target) -> int:
    if isinstance(target, Job):
        return len(target.frames)
    tasks = [target] if isinstance(target, Task) else state.tasks.values()
    return sum(len(task.data.frames) for task in tasks if task.data is not None)


# --- in ------------------------------------------------------------------------------------------


def _message(call: Call, kind: str, target: Target, subresource: str) -> Response:
    headers = call.request.headers
    if "Upload-Start" in headers:
        return nothing(202)
    if "Upload-Length" in headers:
        place = f"/api/{kind}/{target.id}/{subresource}"
        return uploads.created(call, place, uploads.file_name(call))
    name = call.query.get("format", "")
    if name not in IMPORTERS:
        raise bad_request([f"Unknown input format '{name}'"])
    if "Upload-Finish" in headers:
        upload = uploads.taken(call, call.query["filename"])
        content = bytes(upload.content)
    else:
        files = call.form().files
        if not files:
            raise bad_request(["No annotation file was sent"])
        content = files[0][1]
    return _import(call, kind, target, subresource, name, content)


def _import(
    call: Call, kind: str, target: Target, subresource: str, name: str, content: bytes
) -> Response:
    single = kind.rstrip("s")
    rq_id = background.request_id("import", single, target.id, subresource=subresource)
    running = background.joined(call, rq_id)
    if running is not None:
        return running
    work = _work(call, rq_id, "import", single, subresource, target)
    state, user = call.state, call.user

    def read(_: Work) -> None:
        if isinstance(target, Project):
            task = projects.imported_task(state, target, user, _unpacked(content, pictures=True))
            imported(state, task, name, content, has_masks=False)
        else:
            imported(state, target, name, content)

    size = _size(state, target)
    seconds = pace.background_s(call, "import", size)
    background.works(call).start(state, work, read, seconds)
    return background.started(call, work)


def imported(
    state: State,
    target: Task | Job,
    name: str,
    content: bytes,
    has_masks: bool = True,
) -> None:
    """Everything that was there goes. Raises: WorkFailedError: the file does not fit.

    has_masks: False where masks are lost, as in the recorded import into a project.
    """
    if name not in READERS:
        raise WorkFailedError(f"NotImplementedError: the stand-in does not read '{name}'\n")
    found = READERS[name](_dataset(state, target), _unpacked(content))
    if not has_masks:
        found.shapes = [one for one in found.shapes if one["type"] != "mask"]
    task = target.task if isinstance(target, Job) else target
    jobs = (
        [target] if isinstance(target, Job) else [j for j in task.jobs if annotations.is_shared(j)]
    )
    annotations.replace_all(state, task, {"shapes": found.shapes, "tags": found.tags}, jobs)


def _unpacked(content: bytes, pictures: bool = False) -> dict[str, bytes]:
    """The files of a zip; a bare file goes by what it looks like."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {"annotations.xml" if content.lstrip()[:1] == b"<" else "default.json": content}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if pictures:
            names = [name for name in names if name.startswith("images/")]
        return {
            str(PurePosixPath(name).relative_to("images")) if pictures else name: archive.read(name)
            for name in names
        }
