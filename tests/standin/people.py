"""Users, log-ins, access tokens and organisations."""

import secrets
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from standin import lists, shown
from standin.call import Answer, Anybody, Arrived, nothing
from standin.refusals import RefusedError, bad_request, forbidden, not_found
from standin.state import Organisation, State, Token, User, as_text

router = APIRouter()

_USER_FIELDS = {
    "id": lambda user: user.id,
    "username": lambda user: user.username,
    "first_name": lambda user: user.first_name,
    "last_name": lambda user: user.last_name,
    "is_active": lambda user: True,
}
_ORGANISATION_FIELDS = {
    "id": lambda one: one.id,
    "slug": lambda one: one.slug,
    "name": lambda one: one.name,
    "owner": lambda one: one.owner.username,
}


def add_user(state: State, username: str, is_staff: bool = False, **names: Any) -> User:
    """A new user, whose password is the name with -password."""
    user = User(state.next_id("user"), username, f"{username}-password", is_staff=is_staff, **names)
    state.users[user.id] = user
    return user


def add_token(state: State, user: User, name: str, **options: Any) -> Token:
    """A new access token; options: is_read_only, is_session, expires_at."""
    number = state.next_id("session" if options.get("is_session") else "token")
    token = Token(number, name, secrets.token_urlsafe(24), user, state.now(), **options)
    state.tokens[len(state.tokens) + 1] = token
    return token


@router.post("/api/auth/login")
async def log_in(call: Anybody) -> Response:
    sent = call.json()
    for user in call.state.users.values():
        if (user.username, user.password) == (sent.get("username"), sent.get("password")):
            user.last_login_at = call.state.now()
            token = add_token(call.state, user, "session", is_session=True)
            answer = Answer({"key": token.value})
            answer.set_cookie("sessionid", token.value, httponly=True)
            answer.set_cookie("csrftoken", secrets.token_urlsafe(24))
            return answer
    raise bad_request({"non_field_errors": ["Unable to log in with provided credentials."]})


@router.post("/api/auth/logout")
async def log_out(call: Arrived) -> Response:
    tokens = call.state.tokens
    for key in [key for key, token in tokens.items() if token is call.token and token.is_session]:
        del tokens[key]
    answer = Answer({"detail": "Successfully logged out."})
    answer.delete_cookie("sessionid")
    return answer


@router.post("/api/auth/access_tokens")
async def create_token(call: Arrived) -> Response:
    if call.token is None or not call.token.is_session:
        raise forbidden()
    sent = call.json()
    expires = sent.get("expiry_date")
    token = add_token(
        call.state,
        call.user,
        sent["name"],
        is_read_only=sent.get("read_only", False),
        expires_at=None if expires is None else datetime.fromisoformat(expires),
    )
    return Answer(_token(call.state, token) | {"value": token.value}, 201)


@router.get("/api/auth/access_tokens")
async def list_tokens(call: Arrived) -> Response:
    own = [
        one for one in call.state.tokens.values() if one.user is call.user and not one.is_session
    ]
    fields = {"id": lambda token: token.id, "name": lambda token: token.name}
    return lists.answered(call, own, fields, lambda token: _token(call.state, token))


@router.delete("/api/auth/access_tokens/{token_id}")
async def revoke_token(call: Arrived, token_id: int) -> Response:
    for key, token in call.state.tokens.items():
        if token.id == token_id and token.user is call.user and not token.is_session:
            del call.state.tokens[key]
            return nothing(204)
    raise not_found("AccessToken")


@router.get("/api/users")
async def list_users(call: Arrived) -> Response:
    state = call.state
    people = state.users.values() if call.user.is_staff else [call.user]
    return lists.answered(
        call,
        people,
        _USER_FIELDS,
        lambda user: (shown.user if call.user.is_staff else shown.person)(state, user),
        search=("username", "first_name", "last_name"),
    )


@router.get("/api/users/self")
async def get_self(call: Arrived) -> Response:
    return Answer(shown.user(call.state, call.user))


@router.get("/api/users/{user_id}")
async def get_user(call: Arrived, user_id: int) -> Response:
    found = call.state.users.get(user_id)
    if found is None:
        raise not_found("User")
    return Answer(shown.user(call.state, found))


@router.post("/api/organizations")
async def create_organisation(call: Arrived) -> Response:
    state, sent = call.state, call.json()
    if any(one.slug == sent["slug"] for one in state.organisations.values()):
        raise bad_request({"slug": ["organization with this slug already exists."]})
    now = state.now()
    one = Organisation(
        state.next_id("organisation"),
        sent["slug"],
        sent.get("name", ""),
        call.user,
        now,
        state.now(),
    )
    state.organisations[one.id] = one
    return Answer(shown.organisation(state, one), 201)


@router.get("/api/organizations")
async def list_organisations(call: Arrived) -> Response:
    return lists.answered(
        call,
        call.state.organisations.values(),
        _ORGANISATION_FIELDS,
        lambda one: shown.organisation(call.state, one),
        search=("name", "owner", "slug"),
    )


@router.get("/api/organizations/{organisation_id}")
async def get_organisation(call: Arrived, organisation_id: int) -> Response:
    return Answer(shown.organisation(call.state, _organisation(call.state, organisation_id)))


@router.delete("/api/organizations/{organisation_id}")
async def delete_organisation(call: Arrived, organisation_id: int) -> Response:
    """Deletes what belongs to it as well."""
    state = call.state
    gone = _organisation(state, organisation_id)
    for task in [one for one in state.tasks.values() if one.organisation is gone]:
        state.delete_task(task)
    for project in [one for one in state.projects.values() if one.organisation is gone]:
        del state.projects[project.id]
    del state.organisations[organisation_id]
    return nothing(204)


def _organisation(state: State, organisation_id: int) -> Organisation:
    if organisation_id not in state.organisations:
        raise not_found("Organization")
    return state.organisations[organisation_id]


def _token(state: State, token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "created_date": as_text(token.created_at),
        "updated_date": as_text(token.created_at),
        "expiry_date": as_text(token.expires_at),
        "last_used_date": as_text(token.last_used_at),
        "read_only": token.is_read_only,
        "owner": shown.person(state, token.user),
    }


def organisation_for(call: Arrived) -> Organisation | None:
    """The organisation that what is made now belongs to."""
    wanted = call.organisation
    if isinstance(wanted, bool):
        return None
    if wanted is not None and not call.user.is_staff and wanted.owner is not call.user:
        raise RefusedError(403, {"detail": "You do not have permission to perform this action."})
    return wanted
