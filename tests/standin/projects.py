"""Projects."""

from fastapi import APIRouter, Response

from standin import access, frames, labels, lists, people, shown
from standin.call import Answer, Arrived, nothing
from standin.refusals import too_long
from standin.state import Data, Project, State, Task, User

router = APIRouter()

_FIELDS = {
    "id": lambda one: one.id,
    "name": lambda one: one.name,
    "owner": lambda one: one.owner.username,
    "assignee": lambda one: lists.name_of(one.assignee),
    "status": lambda one: "annotation",
    "updated_date": lambda one: one.updated_at,
}


@router.get("/api/projects")
async def list_projects(call: Arrived) -> Response:
    state = call.state
    seen = [
        one
        for one in state.projects.values()
        if call.is_in_scope(one.organisation) and access.may_see(call.user, one, state)
    ]
    search = ("name", "owner", "assignee", "status")
    return lists.answered(call, seen, _FIELDS, lambda one: shown.project(state, one), search)


@router.post("/api/projects")
async def create_project(call: Arrived) -> Response:
    state, sent = call.state, call.json()
    too_long("name", sent.get("name", ""), 256)
    labels.refuse_twice([one["name"] for one in sent.get("labels", [])])
    now = state.now()
    project = Project(
        state.next_id("project"),
        sent["name"],
        call.user,
        now,
        state.now(),
        people.organisation_for(call),
        bug_tracker=sent.get("bug_tracker", ""),
        assignee=access.assignee(call, sent.get("assignee_id")),
    )
    project.labels = labels.made(state, project, sent.get("labels", []))
    state.projects[project.id] = project
    answer = Answer(shown.project(state, project), 201)
    answer.headers["Location"] = f"{state.url}/api/projects/{project.id}"
    return answer


@router.get("/api/projects/{project_id}")
async def get_project(call: Arrived, project_id: int) -> Response:
    return Answer(shown.project(call.state, access.project(call, project_id)))


@router.patch("/api/projects/{project_id}")
async def update_project(call: Arrived, project_id: int) -> Response:
    project, sent = access.project(call, project_id), call.json()
    if "name" in sent:
        too_long("name", sent["name"], 256)
        project.name = sent["name"]
    if "bug_tracker" in sent:
        project.bug_tracker = sent["bug_tracker"]
    if "assignee_id" in sent:
        project.assignee = access.assignee(call, sent["assignee_id"])
        project.assignee_updated_at = call.state.now()
    if "labels" in sent:
        labels.change(call.state, project, sent["labels"])
    if "labels" in sent:
        labels.bump(call.state, project)
    else:
        call.state.touch(project)
    return Answer(shown.project(call.state, project))


@router.delete("/api/projects/{project_id}")
async def delete_project(call: Arrived, project_id: int) -> Response:
    project = access.project(call, project_id)
    for task in [one for one in call.state.tasks.values() if one.project is project]:
        call.state.delete_task(task)
    del call.state.projects[project.id]
    call.state.tell("delete", project)
    return nothing(204)


def imported_task(state: State, project: Project, user: User, pictures: dict[str, bytes]) -> Task:
    """The task that a dataset with pictures becomes."""
    now = state.now()
    task = Task(
        state.next_id("task"), "default", user, now, state.now(), project.organisation, project
    )
    task.data = Data(state.next_id("data"), arrived=pictures, is_sealed=True)
    state.tasks[task.id] = task
    frames.make_frames(state, task, {})
    return task
