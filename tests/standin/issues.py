"""Issues on frames, and comments on issues. Neither bumps a job."""

from fastapi import APIRouter, Response

from standin import access, lists, shown
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import bad_request, forbidden, not_found
from standin.state import Comment, Issue

router = APIRouter()

_ISSUE_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "owner": lambda one: one.owner.username,
    "assignee": lambda one: lists.name_of(one.assignee),
    "job_id": lambda one: one.job.id,
    "task_id": lambda one: one.job.task.id,
    "resolved": lambda one: one.is_resolved,
    "frame_id": lambda one: one.frame,
}
_COMMENT_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "owner": lambda one: one.owner.username,
    "issue_id": lambda one: one.issue.id,
    "frame_id": lambda one: one.issue.frame,
    "job_id": lambda one: one.issue.job.id,
}


@router.get("/api/issues")
async def list_issues(call: Arrived) -> Response:
    state = call.state
    seen = [one for one in state.issues.values() if access.may_see(call.user, one.job, state)]
    return lists.answered(
        call, seen, _ISSUE_FIELDS, lambda one: shown.issue(state, one), ("owner", "assignee")
    )


@router.post("/api/issues")
async def create_issue(call: Arrived) -> Response:
    """An issue with its first comment."""
    state, sent = call.state, call.json()
    for name in ("frame", "position", "job", "message"):
        if name not in sent:
            raise bad_request({name: ["This field is required."]})
    job = access.job(call, sent["job"])
    now = state.now()
    issue = Issue(
        state.next_id("issue"),
        job,
        sent["frame"],
        [float(one) for one in sent["position"]],
        call.user,
        now,
        state.now(),
        access.assignee(call, sent.get("assignee")),
        sent.get("resolved", False),
    )
    state.issues[issue.id] = issue
    state.tell("create", issue)
    _add_comment(call, issue, sent["message"])
    return Answer(shown.issue(state, issue), 201)


@router.get("/api/issues/{issue_id}")
async def get_issue(call: Arrived, issue_id: int) -> Response:
    return Answer(shown.issue(call.state, _issue(call, issue_id)))


@router.patch("/api/issues/{issue_id}")
async def update_issue(call: Arrived, issue_id: int) -> Response:
    issue, sent = _issue(call, issue_id), call.json()
    issue.is_resolved = sent.get("resolved", issue.is_resolved)
    issue.position = [float(one) for one in sent.get("position", issue.position)]
    if "assignee" in sent:
        issue.assignee = access.assignee(call, sent["assignee"])
    issue.updated_at = call.state.now()
    call.state.tell("update", issue)
    return Answer(shown.issue(call.state, issue))


@router.delete("/api/issues/{issue_id}")
async def delete_issue(call: Arrived, issue_id: int) -> Response:
    call.state.delete_issue(_issue(call, issue_id))
    return nothing(204)


@router.get("/api/comments")
async def list_comments(call: Arrived) -> Response:
    state = call.state
    seen = [
        comment
        for issue in state.issues.values()
        if access.may_see(call.user, issue.job, state)
        for comment in issue.comments
    ]
    return lists.answered(
        call, seen, _COMMENT_FIELDS, lambda one: shown.comment(state, one), ("owner",)
    )


@router.post("/api/comments")
async def create_comment(call: Arrived) -> Response:
    sent = call.json()
    comment = _add_comment(call, _issue(call, sent["issue"]), sent["message"])
    return Answer(shown.comment(call.state, comment), 201)


@router.get("/api/comments/{comment_id}")
async def get_comment(call: Arrived, comment_id: int) -> Response:
    return Answer(shown.comment(call.state, _comment(call, comment_id)))


@router.patch("/api/comments/{comment_id}")
async def update_comment(call: Arrived, comment_id: int) -> Response:
    comment = _comment(call, comment_id)
    comment.message = call.json().get("message", comment.message)
    comment.updated_at = call.state.now()
    call.state.tell("update", comment)
    return Answer(shown.comment(call.state, comment))


@router.delete("/api/comments/{comment_id}")
async def delete_comment(call: Arrived, comment_id: int) -> Response:
    comment = _comment(call, comment_id)
    comment.issue.comments.remove(comment)
    call.state.tell("delete", comment)
    return nothing(204)


def _add_comment(call: Call, issue: Issue, message: str) -> Comment:
    state = call.state
    now = state.now()
    comment = Comment(state.next_id("comment"), issue, call.user, message, now, state.now())
    issue.comments.append(comment)
    state.tell("create", comment)
    return comment


def _issue(call: Call, issue_id: int) -> Issue:
    issue = call.state.issues.get(issue_id)
    if issue is None:
        raise not_found("Issue")
    if not access.may_see(call.user, issue.job, call.state):
        raise forbidden()
    return issue


def _comment(call: Call, comment_id: int) -> Comment:
    for issue in call.state.issues.values():
        for comment in issue.comments:
            if comment.id == comment_id and access.may_see(call.user, issue.job, call.state):
                return comment
    raise not_found("Comment")
