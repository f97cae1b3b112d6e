"""Annotations: what is accepted, how it is kept by job, and how a task shows it.

The server checks little: kinds, lengths and known ids. Options, boxes, and whether a shape suits
its label are the client's business.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, Response

from standin import access
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import RefusedError, bad_request
from standin.state import Job, Label, Shape, State, Tag, Task

router = APIRouter()

_ACTIONS = ("create", "update", "delete")
_LENGTHS = {"rectangle": 4, "ellipse": 4, "cuboid": 16}
_LEAST = {"polygon": 6, "polyline": 4, "points": 2, "mask": 5}
_LONGEST_VALUE = 4096
_NOTHING: dict[str, list[dict[str, Any]]] = {"shapes": [], "tags": []}
_NO_DATA = RefusedError(
    400, "The task holds no pictures yet, and so no annotations at all.", "text/html; charset=utf-8"
)

Sent = dict[str, Any]


@router.get("/api/tasks/{task_id}/annotations")
async def get_task_annotations(call: Arrived, task_id: int) -> Response:
    task = access.task(call, task_id)
    if not task.jobs:
        raise _NO_DATA
    return Answer(of_task(task))


@router.get("/api/jobs/{job_id}/annotations")
async def get_job_annotations(call: Arrived, job_id: int) -> Response:
    return Answer(of_job(access.job(call, job_id)))


@router.put("/api/tasks/{task_id}/annotations")
async def replace_task_annotations(call: Arrived, task_id: int) -> Response:
    task = access.task(call, task_id)
    sent = _checked(call, task, "create")
    shared = [job for job in task.jobs if is_shared(job)]
    made = [_replaced(call.state, job, _part(job, sent)) for job in shared]
    return Answer(_answer(made))


@router.put("/api/jobs/{job_id}/annotations")
async def replace_job_annotations(call: Arrived, job_id: int) -> Response:
    job = access.job(call, job_id)
    sent = _checked(call, job.task, "create")
    return Answer(_answer([_replaced(call.state, job, sent)]))


@router.patch("/api/tasks/{task_id}/annotations")
async def change_task_annotations(call: Arrived, task_id: int) -> Response:
    """Create, update or delete in each job that has the frame."""
    task = access.task(call, task_id)
    action = _action(call)
    sent = _checked(call, task, action)
    parts = [(job, _part(job, sent)) for job in task.jobs if is_shared(job)]
    if action == "update":
        _refuse_second_copy(parts)
    made = [_changed(call.state, job, part, action) for job, part in parts]
    return Answer(_answer(made))


@router.patch("/api/jobs/{job_id}/annotations")
async def change_job_annotations(call: Arrived, job_id: int) -> Response:
    job = access.job(call, job_id)
    action = _action(call)
    sent = _checked(call, job.task, action)
    return Answer(_answer([_changed(call.state, job, sent, action)]))


@router.delete("/api/tasks/{task_id}/annotations")
async def delete_task_annotations(call: Arrived, task_id: int) -> Response:
    for job in access.task(call, task_id).jobs:
        if is_shared(job):
            _replaced(call.state, job, _NOTHING)
    return nothing(204)


@router.delete("/api/jobs/{job_id}/annotations")
async def delete_job_annotations(call: Arrived, job_id: int) -> Response:
    _replaced(call.state, access.job(call, job_id), _NOTHING)
    return nothing(204)


# --- reading -------------------------------------------------------------------------------------


def is_shared(job: Job) -> bool:
    """Whether a task's annotations include the job's: replicas and plain gold frames are apart."""
    if job.type == "ground_truth":
        return job.task.validation_mode == "gt_pool"
    return job.type == "annotation"


def of_job(job: Job) -> dict[str, Any]:
    labels = _labels(job.task)
    return {
        "version": 0,
        "tags": [_tag_shown(tag, labels) for tag in job.tags.values()],
        "shapes": [_shape_shown(shape, labels) for shape in _in_no_order(job.shapes.values())],
        "tracks": [],
    }


def of_task(task: Task) -> dict[str, Any]:
    """All jobs together. Of equal copies in an overlap one is shown, of unequal ones both."""
    return _merged([of_job(job) for job in task.jobs if is_shared(job)])


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Annotations of several jobs, without what an earlier one has in the same form."""
    merged: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for kind in ("tags", "shapes"):
        seen: set[str] = set()
        for part in parts:
            bare = [json.dumps(_bare(one)) for one in part[kind]]
            pairs = zip(part[kind], bare, strict=True)
            merged[kind] += [one for one, text in pairs if text not in seen]
            seen.update(bare)
    return merged


def _bare(shape: Shape) -> Shape:
    """A shape without ids and without the order of its elements."""
    bare = {key: value for key, value in shape.items() if key not in ("id", "elements")}
    elements = [_bare(element) for element in shape.get("elements", ())]
    return bare | {"elements": sorted(elements, key=lambda element: element["label_id"])}


def _in_no_order(shapes: Iterable[Shape]) -> Iterator[Shape]:
    """Neither shapes nor elements come back in the order they were sent."""
    for shape in sorted(shapes, key=lambda one: (one["frame"], one["id"] % 3, one["id"])):
        elements = shape["elements"]
        yield shape | {"elements": elements[::-1] if shape["id"] % 2 else elements}


def _labels(task: Task) -> dict[int, Label]:
    return {one.id: one for label in task.labels for one in (label, *label.sublabels)}


def _tag_shown(tag: Tag, labels: dict[int, Label]) -> Tag:
    order = ("id", "label_id", "frame", "group", "source")
    return {key: tag[key] for key in order} | {"attributes": _attributes_shown(tag, labels)}


def _shape_shown(shape: Shape, labels: dict[int, Label]) -> Shape:
    order = ("id", "label_id", "type", "frame", "group", "source", "occluded", "outside",
             "z_order", "rotation", "points")  # fmt: skip
    shown = {key: shape[key] for key in order}
    shown["rotation"] = float(shown["rotation"])
    shown["attributes"] = _attributes_shown(shape, labels)
    if "elements" in shape:
        shown["elements"] = [_shape_shown(element, labels) for element in shape["elements"]]
    return shown


def _attributes_shown(one: Shape, labels: dict[int, Label]) -> list[dict[str, Any]]:
    """The values kept, and the defaults of what was not given."""
    given = {each["spec_id"]: each["value"] for each in one["attributes"]}
    known = labels[one["label_id"]].attributes
    return [{"spec_id": each.id, "value": given.get(each.id, each.default_value)} for each in known]


# --- writing -------------------------------------------------------------------------------------


def clear(job: Job) -> None:
    job.shapes.clear()
    job.tags.clear()


def save(
    state: State, job: Job, shapes: list[Sent], tags: list[Sent]
) -> tuple[list[Tag], list[Shape]]:
    """Adds to a job. Shapes get ids first, then all their elements, as in the recorded server."""
    kept = [_shape(state, one) for one in shapes]
    for shape, one in zip(kept, shapes, strict=True):
        shape["elements"] = [_shape(state, element, shape) for element in one.get("elements") or ()]
    job.shapes |= {shape["id"]: shape for shape in kept}
    kept_tags = [_tag(state, one) for one in tags]
    job.tags |= {tag["id"]: tag for tag in kept_tags}
    return kept_tags, [_as_sent(shape, one) for shape, one in zip(kept, shapes, strict=True)]


def replace_all(state: State, sent: dict[str, list[Sent]], jobs: list[Job]) -> None:
    """What an import does to the jobs: everything goes, and what was sent for them comes."""
    for job in jobs:
        _replaced(state, job, _part(job, sent))


def _replaced(state: State, job: Job, sent: dict[str, list[Sent]]) -> tuple[list[Tag], list[Shape]]:
    """A job that had nothing and gets nothing is not bumped."""
    is_concerned = bool(job.shapes or job.tags or sent["shapes"] or sent["tags"])
    clear(job)
    made = save(state, job, sent["shapes"], sent["tags"])
    if is_concerned:
        _bump(state, job)
    return made


def _shape(state: State, sent: Sent, parent: Shape | None = None) -> Shape:
    shape = {
        "type": sent["type"],
        "occluded": sent.get("occluded", False),
        "outside": sent.get("outside", False),
        "z_order": sent.get("z_order", 0),
        "rotation": float(sent["rotation"]) if "rotation" in sent else 0,
        "points": [float(one) for one in sent.get("points") or ()],
        "id": sent.get("id") or state.next_id("shape"),
        "frame": sent["frame"] if parent is None else parent["frame"],
        "label_id": sent["label_id"],
        "group": sent.get("group"),
        "source": sent.get("source", "manual"),
        "attributes": [dict(one) for one in sent.get("attributes") or []],
    }
    return shape if parent is not None else shape | {"elements": []}


def _as_sent(shape: Shape, sent: Sent) -> Shape:
    """An answer to a write shows no points where none were sent."""
    return {key: value for key, value in shape.items() if key != "points" or key in sent}


def _tag(state: State, sent: Sent) -> Tag:
    return {
        "id": sent.get("id") or state.next_id("tag"),
        "frame": sent["frame"],
        "label_id": sent["label_id"],
        "group": sent.get("group"),
        "source": sent.get("source", "manual"),
        "attributes": [dict(one) for one in sent.get("attributes") or []],
    }


def _part(job: Job, sent: dict[str, list[Sent]]) -> dict[str, list[Sent]]:
    """What concerns the job's frames; a frame that no job has is lost without a word."""
    frames = set(job.frames)
    return {
        kind: [one for one in sent[kind] if one["frame"] in frames] for kind in ("shapes", "tags")
    }


def _changed(
    state: State, job: Job, sent: dict[str, list[Sent]], action: str
) -> tuple[list[Tag], list[Shape]]:
    """Update is delete and create: the whole shape is replaced, and a deleted id lives again.

    Where nothing was sent, nothing is bumped; else the job is, even if nothing comes of it.
    """
    if not sent["shapes"] and not sent["tags"]:
        return [], []
    if action in ("update", "delete"):
        for one in sent["shapes"]:
            _drop(job, one.get("id", 0))
        for one in sent["tags"]:
            job.tags.pop(one.get("id", 0), None)
    if action == "delete":
        _bump(state, job)
        return sent["tags"], [_deleted(state, one) for one in sent["shapes"]]
    _refuse_taken_ids(job, sent)
    made = save(state, job, sent["shapes"], sent["tags"])
    _bump(state, job)
    return made


def _deleted(state: State, sent: Sent) -> Shape:
    """How the answer to a deletion shows a shape: complete, but with elements only if sent."""
    shape = _shape(state, sent)
    if "elements" not in sent:
        return {key: value for key, value in shape.items() if key != "elements"}
    return shape | {"elements": [_shape(state, one, shape) for one in sent["elements"]]}


def _drop(job: Job, shape_id: int) -> None:
    """Take away a shape, or one element out of its skeleton; an unknown id is no error."""
    if job.shapes.pop(shape_id, None) is None:
        for shape in job.shapes.values():
            shape["elements"] = [one for one in shape["elements"] if one["id"] != shape_id]


def _refuse_second_copy(parts: list[tuple[Job, dict[str, list[Sent]]]]) -> None:
    """An update on a frame that two jobs share would make the same id twice."""
    seen: set[int] = set()
    for _, part in parts:
        for one in part["shapes"]:
            if one.get("id") in seen:
                raise _taken(one["id"])
            if one.get("id") is not None:
                seen.add(one["id"])


def _refuse_taken_ids(job: Job, sent: dict[str, list[Sent]]) -> None:
    """Ids that are still there after the deletion: of elements whose skeleton was sent without its
    own, and of shapes that another job has.
    """
    kept = [shape for other in job.task.jobs for shape in other.shapes.values()]
    taken = {one["id"] for shape in kept for one in (shape, *shape["elements"])}
    for one in sent["shapes"]:
        for each in (one, *(one.get("elements") or ())):
            if each.get("id") in taken:
                raise _taken(each["id"])


def _taken(shape_id: int) -> RefusedError:
    return bad_request(
        'duplicate key value violates unique constraint "engine_labeledshape_pkey"\n'
        f"DETAIL:  Key (id)=({shape_id}) already exists.\n"
    )


def _answer(made: list[tuple[list[Tag], list[Shape]]]) -> dict[str, Any]:
    return _merged([{"tags": tags, "shapes": shapes} for tags, shapes in made])


def _bump(state: State, job: Job) -> None:
    """Saving gives the job, its task and its project a new updated_date each."""
    for thing in (job, job.task, job.task.project):
        state.touch(thing)


# --- checking ------------------------------------------------------------------------------------


def _action(call: Call) -> str:
    action = call.query.get("action", "")
    if action not in _ACTIONS:
        raise bad_request(["Please specify a correct 'action' for the request"])
    return action


def _checked(call: Call, task: Task, action: str) -> dict[str, list[Sent]]:
    """The shapes and tags sent.

    Raises: RefusedError: what is sent is not of the right form, or names an unknown label or
        attribute.
    """
    if not task.jobs:
        raise _NO_DATA
    sent = call.json()
    kinds = {kind: sent.get(kind) or [] for kind in ("tags", "shapes", "tracks")}
    for kind, items in kinds.items():
        if not isinstance(items, list):
            name = type(items).__name__
            text = f'Expected a list of items but got type "{name}".'
            raise bad_request({kind: {"non_field_errors": [text]}})
    if kinds["tracks"]:
        raise bad_request({"tracks": ["Tracks are for videos, which this server has none of."]})
    for check in (_form, _ids):
        errors = {kind: [check(one, kind, action) for one in kinds[kind]] for kind in kinds}
        errors = {kind: found for kind, found in errors.items() if any(found)}
        if errors:
            raise bad_request(errors)
    labels = _labels(task)
    for one in [*kinds["tags"], *kinds["shapes"]]:
        _refuse_unknown(one, labels)
    return kinds


def _form(one: Sent, kind: str, action: str) -> dict[str, Any]:
    """The errors in one tag or shape, by field, as the server words them."""
    errors: dict[str, Any] = {}
    required = ("frame", "label_id") if kind == "tags" else ("type", "frame", "label_id")
    for name in required:
        if name not in one:
            errors[name] = ["This field is required."]
    if isinstance(one.get("frame"), int) and one["frame"] < 0:
        errors["frame"] = ["Ensure this value is greater than or equal to 0."]
    values = [str(each.get("value", "")) for each in one.get("attributes") or ()]
    if any(len(value) > _LONGEST_VALUE for value in values):
        text = f"Ensure this field has no more than {_LONGEST_VALUE} characters."
        errors["attributes"] = [
            {"value": [text]} if len(value) > _LONGEST_VALUE else {} for value in values
        ]
    if kind == "shapes" and not errors:
        errors |= _points_form(one)
    return errors


def _points_form(one: Sent) -> dict[str, Any]:
    points = one.get("points") or []
    # A mask has thousands: looked at one by one only where one is wrong.
    wrong = set(map(type, points)) - {int, float} and {
        str(place): "[ErrorDetail(string='Value must be a float or an integer', code='invalid')]"
        for place, point in enumerate(points)
        if isinstance(point, bool) or not isinstance(point, int | float)
    }
    if wrong:
        return {"points": wrong}
    if one["type"] == "skeleton":
        if not one.get("elements"):
            return {"elements": ["at least one required for skeleton shape"]}
        return {}
    is_even = one["type"] == "mask" or len(points) % 2 == 0
    fits = len(points) == _LENGTHS.get(one["type"], len(points))
    if not (fits and is_even and len(points) >= _LEAST.get(one["type"], 0)):
        return {"points": [f"invalid length for shape type '{one['type']}'"]}
    return {}


def _ids(one: Sent, kind: str, action: str) -> dict[str, Any]:
    """Create takes no ids; delete needs them; update takes what has none as new."""
    errors: dict[str, Any] = {}
    if action == "delete" and one.get("id") is None:
        errors["id"] = ["must be present and not null"]
    if action == "create" and "id" in one:
        errors["id"] = ["must be absent"]
    elements = [_ids(each, kind, action) for each in one.get("elements") or ()]
    if action == "create" and any(elements):
        errors["elements"] = elements
    return errors


def _refuse_unknown(one: Sent, labels: dict[int, Label]) -> None:
    label = labels.get(one["label_id"])
    if label is None:
        raise bad_request([f"label_id `{one['label_id']}` is invalid"])
    known = {each.id for each in label.attributes}
    for each in one.get("attributes") or ():
        if each["spec_id"] not in known:
            raise bad_request([f"spec_id `{each['spec_id']}` is invalid"])
    for element in one.get("elements") or ():
        _refuse_unknown(element, labels)
