"""Annotation guides in Markdown, and the pictures they show."""

import io
import uuid
from typing import Any

from fastapi import APIRouter, Response
from PIL import Image

from standin import access
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import bad_request, broken, forbidden, not_found
from standin.shown import person
from standin.state import Asset, Guide, Project, as_text

router = APIRouter()

_KINDS = ("image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf")
_WIDEST_PX = 1920


@router.post("/api/guides")
async def create_guide(call: Arrived) -> Response:
    """One a project or task; the recorded server breaks on a second."""
    state, sent = call.state, call.json()
    project_id, task_id = sent.get("project_id"), sent.get("task_id")
    if project_id is not None and task_id is not None:
        raise bad_request(["Both project_id and task_id must not be specified"])
    if project_id is None and task_id is None:
        raise bad_request(["One of project_id or task_id must be specified"])
    if project_id is not None and project_id not in state.projects:
        raise bad_request(["Project matching query does not exist."])
    if task_id is not None and task_id not in state.tasks:
        raise bad_request(["Task matching query does not exist."])
    target = access.project(call, project_id) if project_id else access.task(call, task_id)
    if target.guide_id is not None:
        raise broken()
    now = state.now()
    guide = Guide(
        state.next_id("guide"), target, sent.get("markdown", "").strip(), now, state.now()
    )
    state.guides[guide.id] = guide
    target.guide_id = guide.id
    state.touch(target)
    return Answer(_written(guide), 201)


@router.get("/api/guides/{guide_id}")
async def get_guide(call: Arrived, guide_id: int) -> Response:
    guide = _guide(call, guide_id)
    *facts, markdown = _written(guide).items()
    moments = {
        "created_date": as_text(guide.created_at),
        "updated_date": as_text(guide.updated_at),
    }
    return Answer({**dict(facts), **moments, **dict([markdown])})


@router.patch("/api/guides/{guide_id}")
async def update_guide(call: Arrived, guide_id: int) -> Response:
    """Pictures that the new text no longer links to are deleted."""
    state = call.state
    guide = _guide(call, guide_id)
    guide.markdown = call.json().get("markdown", guide.markdown).strip()
    for asset in [one for one in state.assets.values() if one.guide is guide]:
        if asset.uuid not in guide.markdown:
            del state.assets[asset.uuid]
    guide.updated_at = state.now()
    state.touch(guide.target)
    return Answer(_written(guide))


@router.delete("/api/guides/{guide_id}")
async def delete_guide(call: Arrived, guide_id: int) -> Response:
    guide = _guide(call, guide_id)
    guide.target.guide_id = None
    del call.state.guides[guide.id]
    return nothing(204)


@router.post("/api/assets")
async def create_asset(call: Arrived) -> Response:
    """A picture for a guide; one that is wider or higher than 1920 px is made smaller."""
    state, form = call.state, call.form()
    ((name, content),) = form.files
    kind = _kind(content)
    if kind not in _KINDS:
        text = f"File is not supported as an asset. Supported are {_KINDS}"
        raise bad_request({"file": [text]})
    guide_id = int(form.fields["guide_id"][0])
    if guide_id not in state.guides:
        raise bad_request(["AnnotationGuide matching query does not exist."])
    asset = Asset(
        str(uuid.uuid4()),
        name,
        call.user,
        _guide(call, guide_id),
        state.now(),
        _smaller(content, kind),
        kind,
    )
    state.assets[asset.uuid] = asset
    return Answer(
        {
            "uuid": asset.uuid,
            "filename": asset.name,
            "created_date": as_text(asset.created_at),
            "owner": person(state, asset.owner),
            "guide_id": asset.guide.id,
        },
        201,
    )


@router.get("/api/assets/{asset_id}")
async def get_asset(call: Arrived, asset_id: str) -> Response:
    asset = _asset(call, asset_id)
    return Response(
        asset.content,
        media_type=asset.media_type,
        headers={"Content-Disposition": f'inline; filename="{asset.name}"'},
    )


@router.delete("/api/assets/{asset_id}")
async def delete_asset(call: Arrived, asset_id: str) -> Response:
    del call.state.assets[_asset(call, asset_id).uuid]
    return nothing(204)


def _guide(call: Call, guide_id: int) -> Guide:
    guide = call.state.guides.get(guide_id)
    if guide is None:
        raise not_found("AnnotationGuide")
    jobs = [
        job
        for job in call.state.jobs.values()
        if guide.target in (job.task, job.task.project) and job.assignee is call.user
    ]
    if not jobs and not access.may_see(call.user, guide.target, call.state):
        raise forbidden()
    return guide


def _asset(call: Call, asset_id: str) -> Asset:
    asset = call.state.assets.get(asset_id)
    if asset is None:
        raise not_found("Asset")
    _guide(call, asset.guide.id)
    return asset


def _written(guide: Guide) -> dict[str, Any]:
    is_project = isinstance(guide.target, Project)
    return {
        "id": guide.id,
        "task_id": None if is_project else guide.target.id,
        "project_id": guide.target.id if is_project else None,
        "markdown": guide.markdown,
    }


def _kind(content: bytes) -> str:
    if content.startswith(b"%PDF"):
        return "application/pdf"
    try:
        return Image.open(io.BytesIO(content)).get_format_mimetype() or ""
    except OSError:
        return ""


def _smaller(content: bytes, kind: str) -> bytes:
    if kind == "application/pdf":
        return content
    picture = Image.open(io.BytesIO(content))
    if max(picture.size) <= _WIDEST_PX:
        return content
    encoding = picture.format
    picture.thumbnail((_WIDEST_PX, _WIDEST_PX))
    out = io.BytesIO()
    picture.save(out, encoding)
    return out.getvalue()
