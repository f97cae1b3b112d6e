"""How the server shows what it keeps: every key, in the recorded order."""

from typing import Any

from standin.state import (
    Attribute,
    Comment,
    Data,
    Frame,
    Issue,
    Job,
    Label,
    Organisation,
    Project,
    State,
    Task,
    User,
    as_text,
)

Shown = dict[str, Any]

_PLACEHOLDER = Frame("placeholder.jpg", 0, 0, b"")


def person(state: State, user: User | None) -> Shown | None:
    """A user as seen from elsewhere."""
    if user is None:
        return None
    return {
        "url": f"{state.url}/api/users/{user.id}",
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
    }


def user(state: State, one: User) -> Shown:
    return {
        **(person(state, one) or {}),
        "email": f"{one.username}@localhost.localdomain",
        "groups": ["admin" if one.is_staff else "user"],
        "is_staff": one.is_staff,
        "is_superuser": one.is_staff,
        "is_active": True,
        "last_login": as_text(one.last_login_at),
        "date_joined": as_text(one.joined_at),
        "has_analytics_access": one.is_staff,
    }


def organisation(state: State, one: Organisation) -> Shown:
    return {
        "id": one.id,
        "slug": one.slug,
        "name": one.name,
        "description": one.description,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "contact": {},
        "owner": person(state, one.owner),
    }


def attribute(one: Attribute) -> Shown:
    return {
        "id": one.id,
        "name": one.name,
        "mutable": one.mutable,
        "input_type": one.input_type,
        "default_value": one.default_value,
        "values": one.values,
    }


def label(one: Label) -> Shown:
    shown: Shown = {
        "id": one.id,
        "name": one.name,
        "color": one.color,
        "attributes": [attribute(each) for each in one.attributes],
        "type": one.type,
    }
    if one.parent is not None:
        return shown | {"has_parent": True}
    owned = "project_id" if isinstance(one.owner, Project) else "task_id"
    shown |= {
        "sublabels": [label(each) for each in one.sublabels],
        owned: one.owner.id,
        "parent_id": None,
        "has_parent": False,
    }
    return shown | ({} if one.svg is None else {"svg": one.svg})


def project(state: State, one: Project) -> Shown:
    tasks = [task for task in state.tasks.values() if task.project is one]
    return {
        "url": f"{state.url}/api/projects/{one.id}",
        "id": one.id,
        "name": one.name,
        "owner": person(state, one.owner),
        "assignee": person(state, one.assignee),
        "guide_id": one.guide_id,
        "bug_tracker": one.bug_tracker,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "status": "annotation",
        "dimension": "2d" if tasks else None,
        "organization": _id(one.organisation),
        "organization_id": _id(one.organisation),
        "target_storage": one.target_storage,
        "source_storage": one.source_storage,
        "tasks": {"count": len(tasks), "url": f"{state.url}/api/tasks?project_id={one.id}"},
        "labels": {"url": f"{state.url}/api/labels?project_id={one.id}"},
        "assignee_updated_date": as_text(one.assignee_updated_at),
        "task_subsets": sorted({task.subset for task in tasks if task.subset}),
    }


def task(state: State, one: Task) -> Shown:
    data = one.data
    jobs = [job for job in one.jobs if job.type == "annotation"]
    of_data = {} if data is None else _of_data(data)
    return {
        "url": f"{state.url}/api/tasks/{one.id}",
        "id": one.id,
        "name": one.name,
        "project_id": _id(one.project),
        "mode": one.mode,
        "owner": person(state, one.owner),
        "assignee": person(state, one.assignee),
        "bug_tracker": one.bug_tracker,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "overlap": one.overlap,
        "segment_size": one.segment_size,
        "status": task_status(one),
        **{key: value for key, value in of_data.items() if key.startswith("data_")},
        "guide_id": one.guide_id,
        **{key: value for key, value in of_data.items() if not key.startswith("data_")},
        "dimension": "2d",
        "subset": one.subset,
        "organization_id": _id(one.organisation),
        "organization": _id(one.organisation),
        "target_storage": one.target_storage,
        "source_storage": one.source_storage,
        "jobs": {
            "count": len(one.jobs),
            "completed": sum(job.status == "completed" for job in jobs),
            "validation": sum(job.status == "validation" for job in jobs),
            "url": f"{state.url}/api/jobs?task_id={one.id}",
        },
        "labels": {"url": f"{state.url}/api/labels?task_id={one.id}"},
        "assignee_updated_date": as_text(one.assignee_updated_at),
        "validation_mode": one.validation_mode,
        "consensus_enabled": one.consensus_replicas > 0,
    }


def task_status(one: Task) -> str:
    """annotation while any job is, then validation, then completed."""
    found = {job.status for job in one.jobs if job.type == "annotation"}
    return next((each for each in ("annotation", "validation", "completed") if each in found),
                "annotation")  # fmt: skip


def job(state: State, one: Job) -> Shown:
    data = one.task.data
    assert data is not None
    is_gt = one.type == "ground_truth" and not data.validation_frames
    frames = range(len(data.frames)) if is_gt else one.frames
    return {
        "url": f"{state.url}/api/jobs/{one.id}",
        "id": one.id,
        "task_id": one.task.id,
        "project_id": _id(one.task.project),
        "assignee": person(state, one.assignee),
        "guide_id": one.task.project.guide_id if one.task.project else one.task.guide_id,
        "dimension": "2d",
        "bug_tracker": one.task.project.bug_tracker if one.task.project else one.task.bug_tracker,
        "status": one.status,
        "stage": one.stage,
        "state": one.state,
        "mode": one.task.mode,
        "frame_count": len(one.frames),
        "start_frame": frames[0],
        "stop_frame": frames[-1],
        "data_chunk_size": data.chunk_size,
        "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "imageset",
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "issues": {
            "url": f"{state.url}/api/issues?job_id={one.id}",
            "count": state.issue_count(one),
        },
        "labels": {"url": f"{state.url}/api/labels?job_id={one.id}"},
        "type": one.type,
        "organization": _id(one.task.organisation),
        "target_storage": one.task.target_storage,
        "source_storage": one.task.source_storage,
        "assignee_updated_date": as_text(one.assignee_updated_at),
        "parent_job_id": _id(one.parent),
        "consensus_replicas": one.replicas,
    }


def comment(state: State, one: Comment) -> Shown:
    return {
        "id": one.id,
        "issue": one.issue.id,
        "owner": person(state, one.owner),
        "message": one.message,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
    }


def issue(state: State, one: Issue) -> Shown:
    return {
        "id": one.id,
        "frame": one.frame,
        "position": one.position,
        "job": one.job.id,
        "owner": person(state, one.owner),
        "assignee": person(state, one.assignee),
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "resolved": one.is_resolved,
        "comments": {
            "count": len(one.comments),
            "url": f"{state.url}/api/comments?issue_id={one.id}",
        },
    }


def task_meta(data: Data) -> Shown:
    return _meta(
        data, range(len(data.frames)), len(data.frames), set(range(len(data.frames))), data
    )


def job_meta(one: Job) -> Shown:
    """A ground-truth job's frames are the task's, with a placeholder for those it leaves out."""
    data = one.task.data
    assert data is not None
    is_gt = one.type == "ground_truth" and not data.validation_frames
    frames = range(len(data.frames)) if is_gt else range(one.frames[0], one.frames[-1] + 1)
    shown = _meta(data, frames, len(one.frames), set(one.frames), one)
    if one.type == "ground_truth":
        shown["included_frames"] = one.frames
    return shown


def _meta(data: Data, frames: range, size: int, included: set[int], chunked: Data | Job) -> Shown:
    first = data.frames[0] if data.frames else _PLACEHOLDER
    return {
        "chapters": None,
        "chunks_updated_date": as_text(chunked.chunks_updated_at or data.chunks_updated_at),
        "chunk_size": data.chunk_size,
        "size": size,
        "image_quality": data.image_quality,
        "start_frame": frames.start,
        "stop_frame": max(frames.stop - 1, 0),
        "frame_filter": data.frame_filter,
        "frames": [
            _frame(data.frames[number] if number in included else _PLACEHOLDER, first)
            for number in frames
        ],
        "deleted_frames": sorted(data.deleted_frames & included),
        "included_frames": None,
        "storage": "local",
        "cloud_storage_id": None,
    }


def _frame(one: Frame, first: Frame) -> Shown:
    return {
        "width": one.width or first.width,
        "height": one.height or first.height,
        "name": one.name,
        "related_files": 0,
        "has_related_context": False,
    }


def _of_data(data: Data) -> Shown:
    return {
        "data_chunk_size": data.chunk_size,
        "data_original_chunk_type": "imageset",
        "data_compressed_chunk_type": "imageset",
        "data_cloud_storage_id": None,
        "size": len(data.frames),
        "image_quality": data.image_quality,
        "data": data.id,
    }


def _id(one: Organisation | Project | Job | None) -> int | None:
    return None if one is None else one.id
