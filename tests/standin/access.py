"""Who may see and change what: owners and assignees, and everybody on the staff."""

from standin.call import Call
from standin.refusals import forbidden, not_found
from standin.state import Job, Project, State, Task, User


def project(call: Call, project_id: int) -> Project:
    found = call.state.projects.get(project_id)
    if found is None:
        raise not_found("Project")
    if not may_see(call.user, found, call.state):
        raise forbidden()
    return found


def task(call: Call, task_id: int) -> Task:
    found = call.state.tasks.get(task_id)
    if found is None:
        raise not_found("Task")
    if not may_see(call.user, found, call.state):
        raise forbidden()
    return found


def job(call: Call, job_id: int) -> Job:
    found = call.state.jobs.get(job_id)
    if found is None:
        raise not_found("Job")
    if not may_see(call.user, found, call.state):
        raise forbidden()
    return found


def may_see(user: User, thing: Project | Task | Job, state: State) -> bool:
    if user.is_staff:
        return True
    if isinstance(thing, Job):
        return thing.assignee is user or may_see(user, thing.task, state)
    if user in (thing.owner, thing.assignee):
        return True
    return isinstance(thing, Task) and thing.project is not None and may_see(
        user, thing.project, state
    )  # fmt: skip


def manages(user: User, thing: Task | Job) -> bool:
    """Whether the user may do more than an assignee: set stages, delete, assign."""
    task = thing.task if isinstance(thing, Job) else thing
    owners = [task.owner] + ([task.project.owner] if task.project else [])
    return user.is_staff or user in owners


def assignee(call: Call, user_id: int | None) -> User | None:
    """The user to assign; an unknown one breaks the recorded server."""
    return None if user_id is None else call.state.users[user_id]
