"""The CVAT project of a label schema: found by its mark, made, and brought up to the schema.

One schema file is one project, in which every batch is a task. Its tracker field holds our mark,
since names may be given twice and changed by anybody. What is done is worked out anew each time
from what the server holds, so a run that was killed is finished by the next.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from annotation.cvat.changes import (
    Change,
    Json,
    Plan,
    Stake,
    Use,
    changes,
    count,
    limits,
    plan,
    stakes,
)
from annotation.cvat.connection import AnswerError, Connection
from annotation.cvat.guide import is_current, read_guide, upload_guide
from annotation.schema import LabelSchema, cvat_labels
from mirrorset.errors import IntegrityError, SettingsError
from mirrorset.records import Record


class Difference(Record):
    """Between a schema and its project. project_id: None where there is none yet."""

    project_id: int | None
    plan: Plan
    is_guide_current: bool


class Applied(Record):
    """What `apply` did. kept: differences that the server does not take and that harm nothing."""

    project_id: int
    is_new: bool
    done: tuple[str, ...]
    kept: tuple[str, ...]
    is_guide_new: bool


def mark(schema: LabelSchema) -> str:
    """What the tracker field of the schema's project says."""
    return f"mirrorset:schema:{schema.name}"


def difference(connection: Connection, schema: LabelSchema) -> Difference:
    """What `apply` would do; asks and changes nothing."""
    project = find(connection, schema)
    wanted, guide = cvat_labels(schema), read_guide(schema)
    if project is None:
        return Difference(
            project_id=None,
            plan=plan(changes(wanted, []), {}),
            is_guide_current=False,
        )
    return Difference(
        project_id=project["id"],
        plan=_planned(connection, project["id"], schema)[0],
        is_guide_current=is_current(connection, project, guide),
    )


def apply(connection: Connection, schema: LabelSchema) -> Applied:
    """Make the project what the schema says, with its guide, and read back what the server took.

    No annotation is lost: a change that would delete or falsify one is refused, and then nothing is
    done. Applying again does nothing. Raises SettingsError naming every change that breaks and how
    many annotations and images it concerns, IntegrityError where the server did not take a change.
    """
    wanted, guide = cvat_labels(schema), read_guide(schema)
    project = find(connection, schema)
    made = changes(wanted, []) if project is None else []
    if project is None:
        project = _made(connection, schema, wanted)
    planned, left = _brought_up(connection, project["id"], schema)
    return Applied(
        project_id=project["id"],
        is_new=bool(made),
        done=tuple(str(one) for one in (made or planned.done) if one not in left),
        kept=tuple(map(str, left)),
        is_guide_new=upload_guide(connection, project, guide),
    )


def ready(connection: Connection, schema: LabelSchema) -> tuple[int, list[dict[str, Any]]]:
    """The schema's project, which is made, guide and all, where there is none: its id and labels.

    Raises SettingsError where its labels are not the schema's, as far as annotations need it: what
    is drawn under them is changed by nobody but who applies the schema. Raises as `apply` does.
    """
    project = find(connection, schema)
    if project is None:
        made = apply(connection, schema).project_id
        return made, labels(connection, made)
    there = labels(connection, project["id"])
    found = changes(cvat_labels(schema), there)
    if lacking := [change for change in found if not _is_tolerable(change)]:
        raise SettingsError(
            f"Project {project['id']} on {connection.name} is not what {schema.version} says "
            f"({_listed(lacking)}): run `mirrorset annotate schema diff`, then `apply`."
        )
    return int(project["id"]), there


def find(connection: Connection, schema: LabelSchema) -> dict[str, Any] | None:
    """The schema's project, as GET /api/projects answers, in the connection's organisation.

    Raises SettingsError where two have the mark: it tells nobody where batches belong.
    """
    marked = [
        project
        for project in connection.pages("/api/projects")
        if project["bug_tracker"] == mark(schema)
        # Without an organisation the server shows the projects of all of them.
        and (connection.organisation or project["organization_id"] is None)
    ]
    if len(marked) > 1:
        ids = " and ".join(str(one["id"]) for one in sorted(marked, key=lambda one: one["id"]))
        raise SettingsError(
            f"Projects {ids} on {connection.name} both have {mark(schema)!r} as their issue "
            "tracker: clear it in those that hold no batches."
        )
    return marked[0] if marked else None


def labels(connection: Connection, project_id: int) -> list[dict[str, Any]]:
    """The project's labels, a skeleton's points in it."""
    return list(connection.pages("/api/labels", {"project_id": project_id}))


def _brought_up(
    connection: Connection, project_id: int, schema: LabelSchema
) -> tuple[Plan, tuple[Change, ...]]:
    """Make the changes; returns what was planned and what still differs and harms nothing."""
    wanted = cvat_labels(schema)
    first, there = _planned(connection, project_id, schema)
    planned = first
    while not planned.broken:
        if not planned.done:
            return first, planned.kept
        try:
            _change(connection, project_id, planned.done, wanted, there)
            return first, _left(connection, project_id, wanted, planned)
        except AnswerError:
            # A call whose answer was lost and that was made again is refused for what it has done.
            before = planned.done
            planned, there = _planned(connection, project_id, schema)
            if planned.done == before:
                raise
    raise SettingsError(_refusal(planned, schema, project_id))


def _planned(
    connection: Connection, project_id: int, schema: LabelSchema
) -> tuple[Plan, list[dict[str, Any]]]:
    """The plan and the labels it is for. Annotations are read only where some may be harmed."""
    there = labels(connection, project_id)
    listed = [*changes(cvat_labels(schema), there), *limits(schema, there)]
    return plan(listed, _uses(connection, project_id, there, stakes(listed))), there


def _uses(
    connection: Connection, project_id: int, there: Sequence[Json], at_stake: set[Stake]
) -> dict[Stake, Use]:
    if not at_stake:
        return {}
    return count(at_stake, there, _annotated(connection, project_id))


def _annotated(connection: Connection, project_id: int) -> Iterator[tuple[int, Json]]:
    """Job by job, since a task's own answer leaves out ground truth and replicas."""
    for job in connection.pages("/api/jobs", {"project_id": project_id}):
        yield job["task_id"], connection.call("GET", f"/api/jobs/{job['id']}/annotations/")


def _made(connection: Connection, schema: LabelSchema, wanted: Sequence[Json]) -> dict[str, Any]:
    """A new project with all labels, in one call: it is there with its mark, or not at all."""
    body = {"name": f"mirrorset {schema.name}", "bug_tracker": mark(schema), "labels": wanted}
    return dict(
        connection.call("POST", "/api/projects", body=body, find=lambda: find(connection, schema))
    )


def _change(
    connection: Connection,
    project_id: int,
    done: Sequence[Change],
    wanted: Sequence[Json],
    there: Sequence[Json],
) -> None:
    """Remove, update, add, in this order: a label that is made anew is removed and added."""
    now = {label["name"]: label for label in there}
    removed = {one.label for one in done if one.how in ("remove", "remake")}
    updated = {one.label for one in done if one.how == "update"} - removed
    for name in sorted(removed):
        connection.call("DELETE", f"/api/labels/{now[name]['id']}")
    for label in wanted:
        if label["name"] in updated:
            before = now[label["name"]]
            connection.call("PATCH", f"/api/labels/{before['id']}", body=_update(label, before))
    added = [one for one in wanted if one["name"] in removed or one["name"] not in now]
    if added:
        connection.call("PATCH", f"/api/projects/{project_id}", body={"labels": added})


def _update(label: Json, before: Json) -> dict[str, Any]:
    """An attribute with its id is changed, one without is new, one left out stays.

    The colour is always sent: a label that is changed without it gets another.
    """
    ids = {attribute["name"]: attribute["id"] for attribute in before["attributes"]}
    return {
        "name": label["name"],
        "color": label["color"],
        "attributes": [
            one | ({"id": ids[one["name"]]} if one["name"] in ids else {})
            for one in label["attributes"]
        ],
    }


def _left(
    connection: Connection, project_id: int, wanted: Sequence[Json], planned: Plan
) -> tuple[Change, ...]:
    """What still differs and harms nothing; a 200 does not say that a change was taken.

    Raises IntegrityError where anything else still differs.
    """
    left = tuple(changes(wanted, labels(connection, project_id)))
    harmless = [one for one in left if one in planned.kept or _is_of_looks(one)]
    if ignored := [one for one in left if one not in harmless]:
        raise IntegrityError(
            f"{connection.name} answered well and did not take this in project {project_id}: "
            f"{_listed(ignored)}; see `mirrorset annotate schema diff`, and make the change there "
            "by hand."
        )
    return left


def _is_of_looks(change: Change) -> bool:
    return change.how == "remake" and change.stake is None


def _is_tolerable(change: Change) -> bool:
    """Whether batches can be pushed all the same: looks, and an attribute that is left over."""
    is_left_over = change.stake is not None and change.stake.attribute != ""
    return _is_of_looks(change) or (change.how == "remake" and is_left_over)


def _refusal(planned: Plan, schema: LabelSchema, project_id: int) -> str:
    broken = "; ".join(
        f"{change} ({use.annotations} annotations on {use.images} images)"
        for change, use in planned.broken
    )
    return (
        f"{schema.version} would break what is annotated in project {project_id}: {broken}: take "
        f"that back in {schema.name}.yaml, put the annotations right there, or give the schema "
        "another file name, and so a project of its own."
    )


def _listed(listed: Sequence[Change]) -> str:
    first = "; ".join(map(str, listed[:3]))
    return f"{first}; and {len(listed) - 3} more" if len(listed) > 3 else first
