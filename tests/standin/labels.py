"""Labels: skeletons, attributes, and what the server does with a change of them."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Response

from standin import access, lists, shown
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import RefusedError, bad_request, forbidden, not_found, too_long
from standin.state import Attribute, Job, Label, Project, State, Task

router = APIRouter()

_FIELDS = {
    "id": lambda label: label.id,
    "name": lambda label: label.name,
    "color": lambda label: label.color,
    "type": lambda label: label.type,
    "parent": lambda label: label.parent and label.parent.name,
    "parent_id": lambda label: label.parent and label.parent.id,
}


@router.get("/api/labels")
async def list_labels(call: Arrived) -> Response:
    state, query = call.state, call.query
    if "job_id" in query:
        labels = access.job(call, int(query["job_id"])).task.labels
    elif "task_id" in query:
        labels = access.task(call, int(query["task_id"])).labels
    elif "project_id" in query:
        labels = access.project(call, int(query["project_id"])).labels
    else:
        labels = [one for one in state.labels.values() if one.parent is None]
        labels = [one for one in labels if access.may_see(call.user, one.owner, state)]
    return lists.answered(call, labels, _FIELDS, shown.label, search=("name",), order="id")


@router.get("/api/labels/{label_id}")
async def get_label(call: Arrived, label_id: int) -> Response:
    return Answer(shown.label(_found(call.state, label_id)))


@router.patch("/api/labels/{label_id}")
async def update_label(call: Arrived, label_id: int) -> Response:
    label = _own(call, label_id)
    if label.parent is not None:
        raise bad_request(
            [
                "Sublabels cannot be modified this way. "
                "Please send a PATCH request with updated parent label data instead."
            ]
        )
    _change_one(call.state, label, call.json())
    bump(call.state, label.owner)
    return Answer(shown.label(label))


@router.delete("/api/labels/{label_id}")
async def delete_label(call: Arrived, label_id: int) -> Response:
    label = _own(call, label_id)
    _delete(call.state, label)
    bump(call.state, label.owner)
    return nothing(204)


def change(state: State, owner: Project | Task, sent: list[dict[str, Any]]) -> None:
    """What a PATCH of labels does: those with an id change or go, the others are new.

    Nothing is checked against use: a label's annotations go with it. Sublabels and templates that
    are sent are ignored without a word.
    """
    labels = owner.labels if isinstance(owner, Project) else owner.own_labels
    known = {one.id: one for label in labels for one in (label, *label.sublabels)}
    for one in sent:
        if "id" not in one:
            labels += made(state, owner, [one])
            continue
        label = known.get(one["id"])
        if label is None:
            raise RefusedError(404, {"detail": f"Not found label with id #{one['id']} to change"})
        if one.get("deleted"):
            _delete(state, label)
        else:
            _change_one(state, label, one)


def _change_one(state: State, label: Label, sent: dict[str, Any]) -> None:
    """A new name brings a new colour, unless one is given; attributes are added or changed."""
    if "name" in sent and sent["name"] != label.name:
        others = [one["name"] for one in owner_labels(label.owner) if one["name"] != label.name]
        refuse_twice([*others, sent["name"]])
        label.name = sent["name"]
        label.color = _colour(label.name)
    label.color = sent.get("color") or label.color
    if label.type != "skeleton":
        label.type = sent.get("type", label.type)
    by_id = {one.id: one for one in label.attributes}
    for one in sent.get("attributes", ()):
        if one.get("id") in by_id:
            attribute = by_id[one["id"]]
            label.attributes.remove(attribute)
            label.attributes.append(attribute)
            attribute.name = one.get("name", attribute.name)
            attribute.mutable = one.get("mutable", attribute.mutable)
            attribute.input_type = one.get("input_type", attribute.input_type)
            attribute.default_value = one.get("default_value", attribute.default_value)
            attribute.values = one.get("values", attribute.values)
        else:
            label.attributes.append(attribute_made(state, one))


def _delete(state: State, label: Label) -> None:
    """With everything that was drawn under it; a sublabel's points leave their skeletons."""
    owner = label.owner
    labels = owner.labels if isinstance(owner, Project) else owner.own_labels
    if label.parent is not None:
        label.parent.sublabels.remove(label)
    else:
        labels.remove(label)
    for job in state.jobs.values():
        job.shapes = {key: one for key, one in job.shapes.items() if one["label_id"] != label.id}
        job.tags = {key: one for key, one in job.tags.items() if one["label_id"] != label.id}
        for shape in job.shapes.values():
            elements = shape["elements"]
            shape["elements"] = [one for one in elements if one["label_id"] != label.id]


def bump(state: State, owner: Project | Task) -> None:
    """A change of labels bumps tasks and jobs as well, which is announced for the owner only."""
    state.touch(owner)
    tasks = [one for one in state.tasks.values() if owner in (one, one.project)]
    things: list[Task | Job] = [*tasks, *(job for task in tasks for job in task.jobs)]
    for thing in things:
        thing.updated_at = owner.updated_at
        state.tell("note", thing)


def _own(call: Call, label_id: int) -> Label:
    """A label that the user may change."""
    label = _found(call.state, label_id)
    if not access.may_see(call.user, label.owner, call.state):
        raise forbidden()
    return label


def made(state: State, owner: Project | Task, sent: Iterable[dict[str, Any]]) -> list[Label]:
    """New labels of a project or task; ids are given in the order sent, sublabels after theirs.

    Raises: RefusedError: a name is used twice, blank or too long.
    """
    sent = list(sent)
    names = [one["name"] for one in owner_labels(owner)] + [one["name"] for one in sent]
    refuse_twice(names)
    return [_one_made(state, owner, one, None) for one in sent]


def owner_labels(owner: Project | Task) -> list[dict[str, str]]:
    labels = owner.labels if isinstance(owner, Project) else owner.own_labels
    return [{"name": one.name} for one in labels]


def refuse_twice(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise bad_request(["All label names must be unique"])


def attributes_made(state: State, sent: Iterable[dict[str, Any]]) -> list[Attribute]:
    made: list[Attribute] = []
    for one in sent:
        if any(one["name"] == other.name for other in made):
            raise bad_request([f"Duplicate attribute with name '{one['name']}' exists"])
        made.append(attribute_made(state, one))
    return made


def attribute_made(state: State, sent: dict[str, Any]) -> Attribute:
    return Attribute(
        state.next_id("attribute"),
        sent["name"],
        sent.get("mutable", False),
        sent["input_type"],
        sent.get("default_value", ""),
        sent.get("values", []),
    )


def _one_made(
    state: State, owner: Project | Task, sent: dict[str, Any], parent: Label | None
) -> Label:
    try:
        too_long("name", sent["name"], 64)
    except Exception as error:
        raise bad_request({"labels": [error.body]}) from None  # type: ignore[attr-defined]
    label = Label(
        id=state.next_id("label"),
        name=sent["name"],
        color=sent.get("color") or _colour(sent["name"]),
        type=sent.get("type") or ("points" if parent else "any"),
        owner=owner,
        parent=parent,
    )
    label.attributes = attributes_made(state, sent.get("attributes", []))
    label.sublabels = [_one_made(state, owner, one, label) for one in sent.get("sublabels", [])]
    if label.type == "skeleton":
        label.svg = _with_ids(sent.get("svg", ""), label)
    return label


def _with_ids(svg: str, label: Label) -> str:
    """The template with its points named by id, as the server keeps it."""
    ids = {one.name: one.id for one in label.sublabels}

    def named(match: re.Match[str]) -> str:
        return f'data-label-id="{ids[match[1]]}"' if match[1] in ids else match[0]

    return re.sub(r'data-label-name="([^"]*)"', named, svg)


def _colour(name: str) -> str:
    return "#" + hashlib.sha256(name.encode()).hexdigest()[:6]


def _found(state: State, label_id: int) -> Label:
    if label_id not in state.labels:
        raise not_found("Label")
    return state.labels[label_id]
