"""The jobs of a task: who has them, and the labels that are put on their frames before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from annotation.batches import BatchParams
from annotation.cvat.connection import Connection
from annotation.cvat.frames import GROUND_TRUTH
from annotation.cvat.shape_json import ServerLabels, to_annotations
from annotation.cvat.tasks import Frames, TaskPlan, in_parallel
from annotation.exchange import BY_PEOPLE
from annotation.shapes import ImageShapes
from mirrorset.errors import IntegrityError, SettingsError, UnavailableError

Json = dict[str, Any]

_REPLICA = "consensus_replica"


def furnish(connection: Connection, plan: TaskPlan, there: Frames, labels: ServerLabels) -> None:
    """Put labels and people on the jobs of a task that has its frames.

    Raises IntegrityError where the server does not hold what it was given, SettingsError where it
    has no such user.
    """
    by_name = {one.shapes.name: one.shapes for one in plan.frames}
    shapes = {frame: by_name[name] for frame, name in there.names.items() if name in by_name}
    jobs = _jobs(connection, there, plan)
    gold = _gold(there, plan.params)
    # Job by job, since a task's own labels leave out replicas and ground truth; and all at once.
    in_parallel(
        lambda job: _put(connection, job["id"], _within(job, shapes, gold), labels, there.is_fresh),
        jobs,
    )
    _assign(connection, jobs, plan.assignees)


def _jobs(connection: Connection, there: Frames, plan: TaskPlan) -> list[Json]:
    """The task's jobs by number, with the ground-truth job that is wanted.

    Raises UnavailableError where the server made no replicas.
    """
    params = plan.params
    jobs = _listed(connection, there.task_id)
    gold = [job for job in jobs if job["type"] == GROUND_TRUTH]
    if params.gold_frames and not gold:
        body = {
            "type": GROUND_TRUTH,
            "task_id": there.task_id,
            "frame_selection_method": "manual",
            "frames": sorted(_gold(there, params)),
        }
        connection.call(
            "POST", "/api/jobs", body=body, find=lambda: _gold_job(connection, there.task_id)
        )
        jobs = _listed(connection, there.task_id)
    kinds = Counter(job["type"] for job in jobs)
    if kinds[_REPLICA] != params.replicas * kinds["annotation"]:
        raise UnavailableError(
            f"{connection.name} made {kinds[_REPLICA]} replicas of {kinds['annotation']} jobs, not "
            f"{params.replicas} of each: set annotate.replicas to 0, or update the server."
        )
    return jobs


def _listed(connection: Connection, task_id: int) -> list[Json]:
    return sorted(connection.pages("/api/jobs", {"task_id": task_id}), key=lambda job: job["id"])


def _gold_job(connection: Connection, task_id: int) -> Json | None:
    return next((job for job in _listed(connection, task_id) if job["type"] == GROUND_TRUTH), None)


def _gold(there: Frames, params: BatchParams) -> set[int]:
    """The frames for ground truth: by a hash of their names, so that they are always the same."""
    by_hash = sorted(there.names, key=lambda frame: sha256(there.names[frame].encode()).digest())
    return set(by_hash[: params.gold_frames])


def _within(job: Json, shapes: Mapping[int, ImageShapes], gold: set[int]) -> dict[int, ImageShapes]:
    """What lies on the frames of a job; those of a ground-truth job are not in a row."""
    row = range(job["start_frame"], job["stop_frame"] + 1)
    chosen = gold if job["type"] == GROUND_TRUTH else row
    return {frame: one for frame, one in shapes.items() if frame in chosen}


def _put(
    connection: Connection,
    job_id: int,
    shapes: Mapping[int, ImageShapes],
    labels: ServerLabels,
    is_fresh: bool,
) -> None:
    """Put labels where there are none of people's yet, and compare what the server then holds."""
    path = f"/api/jobs/{job_id}/annotations/"
    if not is_fresh and _is_touched(connection.call("GET", path)):
        return
    sent = to_annotations(shapes, labels)
    held = connection.call("PUT", path, body=sent)
    if differing := _differing(sent, held):
        raise IntegrityError(
            f"{connection.name} holds {differing} shapes of job {job_id} otherwise than they were "
            "sent: delete its task there and push again."
        )


def _is_touched(held: Json) -> bool:
    shapes = _drawn(held)
    elements = (element for shape in shapes for element in shape.get("elements") or ())
    return any(one.get("source") in BY_PEOPLE for one in (*shapes, *elements))


def _differing(sent: Json, held: Json) -> int:
    """How many shapes are held otherwise than sent; order, ids and default values do not count."""
    specs = {
        attribute["spec_id"]
        for shape in _drawn(sent)
        for one in (shape, *shape.get("elements", ()))
        for attribute in one["attributes"]
    }
    before = Counter(_content(shape, specs) for shape in _drawn(sent))
    after = Counter(_content(shape, specs) for shape in _drawn(held))
    return ((before - after) + (after - before)).total()


def _drawn(annotations: Json) -> list[Json]:
    return [*(annotations.get("tags") or ()), *(annotations.get("shapes") or ())]


def _content(shape: Json, specs: set[int]) -> tuple[object, ...]:
    return (
        shape["label_id"],
        shape.get("frame"),
        shape.get("type"),
        tuple(shape.get("points") or ()),
        bool(shape.get("occluded")),
        bool(shape.get("outside")),
        shape.get("rotation") or 0,
        frozenset(
            [
                (one["spec_id"], str(one["value"]))
                for one in shape["attributes"]
                if one["spec_id"] in specs
            ]
        ),
        frozenset([_content(element, specs) for element in shape.get("elements") or ()]),
    )


def _assign(connection: Connection, jobs: Sequence[Json], assignees: Sequence[str]) -> None:
    """Give jobs to people in turn; a replica goes to somebody else than the job it repeats."""
    if not assignees:
        return
    ids = _user_ids(connection, assignees)
    in_turn = sorted(jobs, key=lambda job: (job["start_frame"], job["id"]))
    ordinary = [job["id"] for job in in_turn if job["type"] == "annotation"]
    given = {job_id: ids[turn % len(ids)] for turn, job_id in enumerate(ordinary)}
    turns = Counter[int]()
    for job in jobs:
        if job["type"] == _REPLICA:
            parent = job["parent_job_id"]
            turns[parent] += 1
            given[job["id"]] = ids[(ordinary.index(parent) + turns[parent]) % len(ids)]
    in_parallel(
        lambda pair: connection.call("PATCH", f"/api/jobs/{pair[0]}", body={"assignee": pair[1]}),
        list(given.items()),
    )


def _user_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    known = {user["username"]: int(user["id"]) for user in connection.pages("/api/users")}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(
            f"cvat_assignees names {unknown[0]!r}, whom {connection.name} does not know, or "
            "does not show to the token's owner: make the account, or mend the name."
        )
    return [known[name] for name in dict.fromkeys(names)]
