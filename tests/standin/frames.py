"""A task's pictures: from what was uploaded to frames, jobs and chunks."""

import io
import itertools
import json
import random
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Response
from PIL import Image, ImageOps, UnidentifiedImageError

from standin import access, background, pace, shown, uploads
from standin.background import Work, WorkFailedError
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import RefusedError, bad_request, broken
from standin.state import Data, Frame, Job, State, Task, as_text

router = APIRouter()

_PICTURES = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".jfif",
    ".heic",
    ".heif",
}
_ROTATION_TAG = 0x0112
_FULL = "Adding more data is not supported"
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "BMP": "image/bmp",
         "GIF": "image/gif", "TIFF": "image/tiff"}  # fmt: skip


@router.post("/api/tasks/{task_id}/data")
async def upload_data(call: Arrived, task_id: int) -> Response:
    """One of the four messages of an upload, told apart by their header."""
    task = access.task(call, task_id)
    headers = call.request.headers
    if not {"Upload-Start", "Upload-Multiple", "Upload-Finish", "Upload-Length"} & {
        name.title() for name in headers
    }:
        return _with_one_message(call, task)
    if task.data is not None and task.data.is_sealed:
        raise bad_request(_FULL)
    if "Upload-Length" in headers:
        return _one_file(call, task)
    if "Upload-Multiple" in headers:
        for path, content in call.form().files:
            name = _file_name(path)
            if name in _data(call.state, task).arrived:
                raise broken()
            _data(call.state, task).arrived[name] = content
        return nothing(200)
    if "Upload-Finish" in headers:
        return _finished(call, task)
    _data(call.state, task)
    return nothing(202)


@router.get("/api/tasks/{task_id}/data")
async def get_task_data(call: Arrived, task_id: int) -> Response:
    data = access.task(call, task_id).data
    if data is None or not data.frames:
        raise broken()
    return _pictures(call, data, range(len(data.frames)))


@router.get("/api/jobs/{job_id}/data")
async def get_job_data(call: Arrived, job_id: int) -> Response:
    job = access.job(call, job_id)
    assert job.task.data is not None
    return _pictures(call, job.task.data, job.frames)


@router.get("/api/tasks/{task_id}/preview")
async def get_preview(call: Arrived, task_id: int) -> Response:
    data = access.task(call, task_id).data
    if data is None or not data.frames:
        raise broken()
    picture = Image.open(io.BytesIO(data.frames[0].content)).convert("RGB")
    picture.thumbnail((256, 256))
    return Response(_jpeg(picture, 70), media_type="image/jpeg")


@router.get("/api/tasks/{task_id}/data/meta")
async def get_task_meta(call: Arrived, task_id: int) -> Response:
    data = access.task(call, task_id).data
    if data is None:
        raise broken()
    return Answer(shown.task_meta(data))


@router.patch("/api/tasks/{task_id}/data/meta")
async def update_task_meta(call: Arrived, task_id: int) -> Response:
    """Deletes and restores frames; bumps nothing, and keeps their annotations."""
    data = access.task(call, task_id).data
    assert data is not None
    _delete_frames(data, call.json(), range(len(data.frames)))
    return Answer(shown.task_meta(data))


@router.patch("/api/tasks/{task_id}/data/{upload_id}")
async def upload_piece(call: Arrived, task_id: int, upload_id: str) -> Response:
    task = access.task(call, task_id)

    def keep(upload: uploads.Upload) -> None:
        if "/" in upload.name:  # there is no folder for it
            raise broken()
        _data(call.state, task).arrived[upload.name] = bytes(upload.content)
        del uploads.known(call)[upload.id]

    return uploads.pieced(call, upload_id, keep)


@router.head("/api/tasks/{task_id}/data/{upload_id}")
async def tell_piece(call: Arrived, task_id: int, upload_id: str) -> Response:
    access.task(call, task_id)
    return uploads.told(call, upload_id)


@router.get("/api/jobs/{job_id}/data/meta")
async def get_job_meta(call: Arrived, job_id: int) -> Response:
    return Answer(shown.job_meta(access.job(call, job_id)))


@router.patch("/api/jobs/{job_id}/data/meta")
async def update_job_meta(call: Arrived, job_id: int) -> Response:
    job = access.job(call, job_id)
    assert job.task.data is not None
    _delete_frames(job.task.data, call.json(), job.frames)
    return Answer(shown.job_meta(job))


def _delete_frames(data: Data, sent: dict[str, Any], frames: Sequence[int]) -> None:
    deleted = set(sent.get("deleted_frames", ()))
    unknown = sorted(deleted - set(frames))
    if unknown:
        names = ", ".join(map(str, unknown))
        raise bad_request({"deleted_frames": [f"Unknown frames {names} requested for removal"]})
    data.deleted_frames = (data.deleted_frames - set(frames)) | deleted


# --- uploading -----------------------------------------------------------------------------------


def _data(state: State, task: Task) -> Data:
    if task.data is None:
        task.data = Data(state.next_id("data"))
    return task.data


def _one_file(call: Call, task: Task) -> Response:
    name = uploads.file_name(call)
    uploads.refuse_name(name)
    if name in _data(call.state, task).arrived:
        raise RefusedError(409, "File with same name already exists")
    return uploads.created(call, f"/api/tasks/{task.id}/data", name, name)


def _with_one_message(call: Call, task: Task) -> Response:
    """Everything in one form, without the start and finish messages."""
    if task.data is not None and task.data.is_sealed:
        raise bad_request(_FULL)
    raise broken()


def _finished(call: Call, task: Task) -> Response:
    """Seals the data and starts to make the task."""
    sent = _fields(call)
    data = _data(call.state, task)
    order = sent.get("upload_file_order") or []
    if order and set(order) != set(data.arrived):
        missing = [f"{name} (missing)" for name in order if name not in data.arrived]
        extra = [f"{name} (extra)" for name in data.arrived if name not in order]
        raise bad_request(
            [
                "Uploaded files do not match the 'upload_file_order' field contents. Please check "
                "the uploaded data and the list of uploaded files. Mismatching files: "
                + ", ".join(missing + extra)
            ]
        )
    data.is_sealed = True
    data.image_quality = int(sent.get("image_quality", 70))
    data.sorting_method = sent.get("sorting_method", "lexicographical")
    data.frame_filter = sent.get("frame_filter", "")
    call.state.touch(task)
    work = Work(
        background.request_id("create", "task", task.id),
        "create",
        "task",
        None,
        call.user,
        call.state.now(),
        project_id=task.project.id if task.project else None,
        task_id=task.id,
    )

    def make(_: Work) -> None:
        try:
            make_frames(call.state, task, sent, order)
        except WorkFailedError:
            data.is_sealed = False
            raise

    seconds = pace.background_s(call, "create", len(data.arrived))
    background.works(call).start(call.state, work, make, seconds)
    return background.started(call, work)


def _fields(call: Call) -> dict[str, Any]:
    """The finish message's fields, from JSON or a form whose lists are repeated or indexed."""
    kind = call.header("Content-Type") or ""
    if "multipart/form-data" not in kind:
        return dict(call.json())
    fields: dict[str, Any] = {}
    for name, texts in call.form().fields.items():
        if match := re.fullmatch(r"(\w+)\[(\d+)\]", name):
            fields.setdefault(match[1], []).extend(texts)
        elif name in ("upload_file_order", "job_file_mapping"):
            fields[name] = texts
        elif name == "validation_params":
            fields[name] = json.loads(texts[0])
        else:
            fields[name] = texts[0]
    return fields


def make_frames(state: State, task: Task, sent: dict[str, Any], order: Sequence[str] = ()) -> None:
    """Frames from the files that arrived, then the jobs.

    Raises: WorkFailedError: a picture cannot be read, or there is none.
    """
    data = task.data
    assert data is not None
    named = _sorted(_unpacked(data.arrived), data.sorting_method, order)
    if not named:
        raise WorkFailedError("ValueError: No media data found\n")
    frames = [_frame(name, content) for name, content in named]
    first, last = int(sent.get("start_frame") or 0), sent.get("stop_frame")
    step = int(data.frame_filter.partition("=")[2] or 1)
    frames = frames[first : None if last is None else int(last) + 1 : step]
    data.chunk_size = int(sent.get("chunk_size") or 0) or _chunk_size(frames[0])
    data.chunks_updated_at = state.now()
    data.arrived = {}
    task.mode = "annotation"
    validation = sent.get("validation_params")
    frames = frames if validation is None else _with_validation(task, frames, validation)
    data.frames = frames
    data.stop_frame = len(frames) - 1
    _make_jobs(state, task)
    if validation is not None:
        numbers = data.validation_frames or _chosen(frames, validation)
        add_job(state, task, "ground_truth", numbers)
    state.touch(task, task.project)


def _file_name(path: str) -> str:
    """The base name of what a form sends, cut to what a file system can hold."""
    name = PurePosixPath(path.replace("\\", "/"))
    return name.name[: 255 - len(name.suffix)] + name.suffix if len(name.name) > 255 else name.name


def _unpacked(files: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """The files, with those in zips; what is no picture by its name is dropped without a word."""
    found: list[tuple[str, bytes]] = []
    for name, content in files.items():
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                inside = [one for one in archive.namelist() if not one.endswith("/")]
                found += [(one, archive.read(one)) for one in inside]
        else:
            found.append((name, content))
    return [(name, content) for name, content in found if _is_picture(name)]


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _PICTURES


def _sorted(
    named: list[tuple[str, bytes]], method: str, order: Sequence[str]
) -> list[tuple[str, bytes]]:
    if method == "predefined":
        places = {name: place for place, name in enumerate(order)}
        return sorted(named, key=lambda pair: places.get(pair[0], len(places)))
    if method == "natural":
        return sorted(named, key=lambda pair: _natural(pair[0]))
    if method == "random":
        return random.Random(len(named)).sample(named, len(named))
    return sorted(named)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _frame(name: str, content: bytes) -> Frame:
    try:
        picture = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise WorkFailedError(
            f"PIL.UnidentifiedImageError: cannot identify image file '{name}'\n"
        ) from None
    turned = picture.getexif().get(_ROTATION_TAG, 1)
    width, height = picture.size if turned < 5 else picture.size[::-1]
    return Frame(name, width, height, content, is_rotated=turned != 1)


def _chunk_size(first: Frame) -> int:
    return max(2, min(72, 36 * 1920 * 1080 // (first.width * first.height)))


def segments(size: int, segment_size: int, overlap: int) -> list[range]:
    """Frames of each job.

    >>> segments(8, 4, 1)
    [range(0, 4), range(3, 7), range(6, 8)]
    """
    if segment_size <= 0:
        return [range(size)]
    starts = range(0, max(size - overlap, 1), segment_size - overlap)
    return [range(start, min(start + segment_size, size)) for start in starts]


def _make_jobs(state: State, task: Task) -> None:
    data = task.data
    assert data is not None
    size = len(data.frames) - len(data.validation_frames)
    if task.segment_size <= 0 or task.segment_size > size:
        task.segment_size = task.segment_size or size
    task.overlap = min(task.overlap or 0, task.segment_size // 2)
    step = task.segment_size
    if data.honeypots_per_job:
        step += data.honeypots_per_job
    for frames in segments(size, step, task.overlap):
        job = add_job(state, task, "annotation", list(frames))
        job.replicas = task.consensus_replicas
        for _ in range(task.consensus_replicas):
            add_job(state, task, "consensus_replica", list(frames)).parent = job


def add_job(state: State, task: Task, kind: str, frames: list[int]) -> Job:
    now = state.now()
    job = Job(state.next_id("job"), task, kind, frames, now, state.now())
    task.jobs.append(job)
    state.tell("create", job)
    return job


# --- validation frames ---------------------------------------------------------------------------


def _with_validation(task: Task, frames: list[Frame], validation: dict[str, Any]) -> list[Frame]:
    """For a pool, its frames go to the end and honeypots that show them into each job."""
    data = task.data
    assert data is not None
    task.validation_mode = validation["mode"]
    if validation["mode"] != "gt_pool":
        return frames
    chosen = set(_chosen(frames, validation))
    pool = [frame for number, frame in enumerate(frames) if number in chosen]
    rest = [frame for number, frame in enumerate(frames) if number not in chosen]
    per_job = int(validation.get("frames_per_job_count") or 0) or max(
        1, int(float(validation.get("frames_per_job_share") or 0) * len(frames))
    )
    draw = random.Random(validation.get("random_seed") or 0)
    size = task.segment_size or len(rest)
    made: list[Frame] = []
    shows: list[tuple[int, int]] = []
    for start in range(0, len(rest), size):
        part = rest[start : start + size]
        total = len(part) + per_job
        places = sorted(draw.sample(range(total), per_job))
        shown_here = draw.sample(range(len(pool)), min(per_job, len(pool)))
        ordinary, honeypots = iter(part), itertools.cycle(shown_here)
        for place in range(total):
            if place in places:
                number = next(honeypots)
                shows.append((len(made), number))
                made.append(pool[number])
            else:
                made.append(next(ordinary))
    data.honeypots = {frame: len(made) + number for frame, number in shows}
    data.validation_frames = list(range(len(made), len(made) + len(pool)))
    data.honeypots_per_job = per_job
    return made + pool


def _chosen(frames: list[Frame], validation: dict[str, Any]) -> list[int]:
    """Numbers of the frames that a validation asks for, by name or at random."""
    if validation.get("frame_selection_method") == "manual":
        numbers = {frame.name: number for number, frame in enumerate(frames)}
        return sorted(numbers[name] for name in validation["frames"])
    return random_frames(len(frames), validation)


def random_frames(size: int, sent: dict[str, Any]) -> list[int]:
    count = int(sent.get("frame_count") or 0) or max(1, int(float(sent["frame_share"]) * size))
    return sorted(random.Random(sent.get("random_seed")).sample(range(size), min(count, size)))


# --- looking at them -----------------------------------------------------------------------------


def _pictures(call: Call, data: Data, frames: Sequence[int]) -> Response:
    query = call.query
    is_original = query.get("quality") == "original"
    number = int(query.get("number", query.get("index", 0)))
    if query.get("type") == "frame":
        if number not in frames:
            raise bad_request([f"The frame number doesn't belong to the job: {number}"])
        content, kind = _one_picture(data.frames[number], is_original, data.image_quality)
        return Response(content, media_type=kind)
    assert data.chunk_size is not None
    size = data.chunk_size
    first = frames[0] // size * size if "number" in query else frames[0]
    part = [one for one in frames if first + number * size <= one < first + (number + 1) * size]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for place, frame in enumerate(part):
            content, kind = _one_picture(data.frames[frame], is_original, data.image_quality)
            suffix = ".jpeg" if kind == "image/jpeg" else f".{kind.partition('/')[2]}"
            out.writestr(f"{place:06d}{suffix}", content)
    chunk = archive.getvalue()
    return Response(
        chunk,
        media_type="application/zip",
        headers={
            "X-Updated-Date": str(as_text(data.chunks_updated_at)),
            "X-Checksum": str(zlib.crc32(chunk)),
        },
    )


def _one_picture(frame: Frame, is_original: bool, quality: int) -> tuple[bytes, str]:
    """The bytes as they came, or encoded anew: compressed ones, and originals that EXIF turns."""
    picture = Image.open(io.BytesIO(frame.content))
    kind = picture.format or "JPEG"
    if is_original and not frame.is_rotated:
        return frame.content, _MIME.get(kind, "application/octet-stream")
    upright = ImageOps.exif_transpose(picture)
    if is_original and kind == "PNG":
        out = io.BytesIO()
        upright.save(out, "PNG")
        return out.getvalue(), "image/png"
    return _jpeg(upright.convert("RGB"), 100 if is_original else quality), "image/jpeg"


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()
