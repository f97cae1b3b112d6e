"""What is read of a CVAT server's answers, so that one which lacks it is told by name.

Fields that nobody here reads are left out, and so may be anything: versions differ in them. An
answer that is not named here is read by nobody, or says nothing beyond its status.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)


T = TypeVar("T", bound=_Answer)


class _Page(_Answer, Generic[T]):
    results: list[T]
    next: str | None = None


class _Made(_Answer):
    id: int


class _Asset(_Answer):
    uuid: str


class _User(_Made):
    username: str


class _Guide(_Answer):
    markdown: str


class _Project(_Made):
    bug_tracker: str
    organization_id: int | None
    guide_id: int | None


class _Attribute(_Made):
    name: str
    input_type: str
    values: list[str]
    default_value: str
    mutable: bool


class _Point(_Made):
    name: str
    color: str
    attributes: list[_Attribute]


class _Label(_Point):
    type: str
    sublabels: list[_Point] = []


class _Task(_Made):
    bug_tracker: str
    organization_id: int | None
    assignee: _Made | None = None


def _of_a_zone(text: str) -> str:
    """Raise ValueError for what is no time, or one of no zone."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs its zone")
    return text


class _Job(_Made):
    task_id: int
    type: str
    stage: str
    state: str
    start_frame: int
    stop_frame: int
    updated_date: Annotated[str, AfterValidator(_of_a_zone)]
    assignee: _User | None = None


class _Frame(_Answer):
    name: str
    width: int
    height: int


class _Meta(_Answer):
    frames: list[_Frame]
    start_frame: int | None = None
    deleted_frames: list[int] | None = None
    included_frames: list[int] | None = None


class _Value(_Answer):
    spec_id: int
    value: Any


class _Drawn(_Answer):
    """Its points are read one by one: a shape that is nonsense costs its image, not the job."""

    label_id: int
    frame: int
    attributes: list[_Value] | None = None


class _Annotations(_Answer):
    tags: list[_Drawn] | None = None
    shapes: list[_Drawn] | None = None
    tracks: list[_Drawn] | None = None


class _Request(_Answer):
    status: str


class _Issue(_Made):
    job: int
    frame: int
    position: list[float]
    resolved: bool


class _Comment(_Made):
    issue: int
    message: str


_READ: Mapping[str, type[_Answer]] = {
    "GET /api/users": _Page[_User],
    "GET /api/requests/{id}": _Request,
    "GET /api/projects": _Page[_Project],
    "POST /api/projects": _Project,
    "GET /api/projects/{id}": _Project,
    "GET /api/labels": _Page[_Label],
    "POST /api/guides": _Made,
    "GET /api/guides/{id}": _Guide,
    "POST /api/assets": _Asset,
    "GET /api/tasks": _Page[_Task],
    "POST /api/tasks": _Made,
    "GET /api/tasks/{id}": _Task,
    "PATCH /api/tasks/{id}": _Task,
    "GET /api/tasks/{id}/data/meta": _Meta,
    "GET /api/jobs": _Page[_Job],
    "GET /api/jobs/{id}/data/meta": _Meta,
    "GET /api/jobs/{id}/annotations/": _Annotations,
    "PUT /api/jobs/{id}/annotations/": _Annotations,
    "GET /api/issues": _Page[_Issue],
    "POST /api/issues": _Made,
    "GET /api/comments": _Page[_Comment],
}


def lacking(method: str, path: str, answer: Any) -> str:
    """In words, the first thing that is read of this call's answer and cannot be; "" for none.

    answer: as JSON was parsed; whatever else where it was none.
    """
    shape = _READ.get(f"{method} {_template(path)}")
    if shape is None:
        return ""
    try:
        shape.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
        if not where:
            return "no JSON object"
        if first["type"] == "missing":
            return f"no `{where[1:]}`"
        return f"a `{where[1:]}` that is none ({first['msg'].lower()})"
    return ""


def _template(path: str) -> str:
    """The path as the server's own schema names it: "/api/tasks/7" → "/api/tasks/{id}"."""
    return re.sub(r"(?<=/)\d+(?=/|$)|(?<=^/api/requests/).+", "{id}", path)
