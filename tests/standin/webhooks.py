"""Webhooks: really sent, signed where there is a secret, never sent twice by itself."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
from fastapi import APIRouter, Response

from standin import access, lists, shown
from standin.call import Answer, Arrived, Call, nothing
from standin.refusals import bad_request, forbidden, not_found
from standin.state import (
    Comment,
    Issue,
    Job,
    Organisation,
    Project,
    State,
    Task,
    User,
    as_text,
)

router = APIRouter()

_OF_PROJECT = sorted(
    f"{verb}:{thing}"
    for verb in ("create", "update", "delete")
    for thing in ("comment", "issue", "job", "task", "project")
    if (verb, thing) != ("create", "project")
)
_OF_ORGANISATION = sorted(
    {*_OF_PROJECT, "create:project", "create:membership", "update:membership", "delete:membership"}
    | {"create:invitation", "delete:invitation", "update:organization", "delete:organization"}
)
_EVENTS = {"project": _OF_PROJECT, "organization": _OF_ORGANISATION}
_UNSAID = {("project", "tasks"), ("project", "dimension"), ("project", "task_subsets")}
_PATIENCE_S = 10


@dataclass
class Delivery:
    id: int
    webhook: "Webhook"
    event: str
    request: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    changed_fields: str = ""
    status_code: int | None = None
    response: str = ""
    is_redelivery: bool = False


@dataclass
class Webhook:
    id: int
    owner: User
    target_url: str
    type: str
    events: list[str]
    created_at: datetime
    updated_at: datetime
    project: Project | None = None
    organisation: Organisation | None = None
    description: str = ""
    secret: str = ""
    is_active: bool = True
    has_tls: bool = True
    deliveries: list[Delivery] = field(default_factory=list)


@dataclass
class Webhooks:
    """What is subscribed, and how each thing looked when last told of, so that a change can be
    said. pending: what is on its way.
    """

    state: State
    known: dict[int, Webhook] = field(default_factory=dict)
    _looks: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    _waiting: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    _sender: asyncio.Task[None] | None = None

    def remember(self) -> None:
        """How everything looks now."""
        state = self.state
        things: list[Any] = [*state.projects.values(), *state.tasks.values()]
        for thing in [*things, *state.jobs.values()]:
            self._looks[_kind(thing), thing.id] = _look(state, thing)

    def hear(self, verb: str, thing: Any) -> None:
        """A listener of the state."""
        if not self.known:
            return
        kind, look = _kind(thing), _look(self.state, thing)
        before = self._looks.get((kind, thing.id), {})
        self._looks[kind, thing.id] = look
        if verb == "note":
            return
        event = f"{verb}:{kind}"
        changes = {
            key: before.get(key)
            for key in look
            if before.get(key) != look[key] and (kind, key) not in _UNSAID
        }
        body: dict[str, Any] = {kind: look, "sender": self._sending(), "event": event}
        if verb == "update":
            body["before_update"] = changes
        for webhook in list(self.known.values()):
            if webhook.is_active and event in webhook.events and _concerns(webhook, thing):
                delivery = self.delivery(webhook, event, body | {"webhook_id": webhook.id})
                delivery.changed_fields = ",".join(changes) if verb == "update" else ""
                self.send_later(delivery)

    def delivery(self, webhook: Webhook, event: str, body: dict[str, Any]) -> Delivery:
        now = self.state.now()
        made = Delivery(self.state.next_id("delivery"), webhook, event, body, now, now)
        webhook.deliveries.append(made)
        return made

    def send_later(self, delivery: Delivery) -> None:
        """In order, and without making anybody wait."""
        self._waiting.put_nowait(delivery)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while not self._waiting.empty():
            await self.send(self._waiting.get_nowait())

    async def send(self, delivery: Delivery) -> None:
        """One request, whose outcome is kept; a failure is not tried again."""
        content = json.dumps(delivery.request).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "CVAT/2.54.1"}
        secret = delivery.webhook.secret
        if secret:
            digest = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
            headers["X-Signature-256"] = f"sha256={digest}"
        try:
            answer = await asyncio.to_thread(
                requests.post,
                delivery.webhook.target_url,
                data=content,
                headers=headers,
                timeout=_PATIENCE_S,
            )
            delivery.status_code, delivery.response = answer.status_code, answer.text[:1024]
        except requests.RequestException:
            delivery.status_code, delivery.response = 502, ""
        delivery.updated_at = self.state.now()

    def _sending(self) -> dict[str, Any] | None:
        """Who did it; what happens in the background shows other facts of the user."""
        actor = self.state.actor
        if actor is None or not self.state.is_in_background:
            return shown.person(self.state, actor)
        email = f"{actor.username}@localhost.localdomain"
        return {"id": actor.id, "username": actor.username, "email": email}


def hooks(call: Call) -> Webhooks:
    found: Webhooks = call.request.app.state.webhooks
    return found


_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "target_url": lambda one: one.target_url,
    "owner": lambda one: one.owner.username,
    "type": lambda one: one.type,
    "description": lambda one: one.description,
    "project_id": lambda one: one.project and one.project.id,
    "updated_date": lambda one: one.updated_at,
}
_DELIVERY_FIELDS: lists.Fields = {
    "id": lambda one: one.id,
    "updated_date": lambda one: one.updated_at,
    "created_date": lambda one: one.created_at,
}


@router.get("/api/webhooks/events")
async def list_events(call: Arrived) -> Response:
    kind = call.query.get("type", "all")
    events = _EVENTS.get(kind, sorted({*_OF_PROJECT, *_OF_ORGANISATION}))
    return Answer({"webhook_type": kind, "events": events})


@router.get("/api/webhooks")
async def list_webhooks(call: Arrived) -> Response:
    state = call.state
    seen = [one for one in hooks(call).known.values() if _may(call, one)]
    search = ("target_url", "owner", "type", "description")
    return lists.answered(call, seen, _FIELDS, lambda one: _shown(state, one), search)


@router.post("/api/webhooks")
async def create_webhook(call: Arrived) -> Response:
    state, sent = call.state, call.json()
    _refuse_events(sent)
    organisation = call.organisation
    now = state.now()
    webhook = Webhook(
        state.next_id("webhook"),
        call.user,
        sent["target_url"],
        sent["type"],
        sorted(sent["events"]),
        now,
        state.now(),
        access.project(call, sent["project_id"]) if sent["type"] == "project" else None,
        None if isinstance(organisation, bool) else organisation,
        sent.get("description", ""),
        sent.get("secret", ""),
        sent.get("is_active", True),
        sent.get("enable_ssl", True),
    )
    hooks(call).known[webhook.id] = webhook
    hooks(call).remember()
    answer = Answer(_shown(state, webhook), 201)
    answer.headers["Location"] = f"{state.url}/api/webhooks/{webhook.id}"
    return answer


@router.get("/api/webhooks/{webhook_id}")
async def get_webhook(call: Arrived, webhook_id: int) -> Response:
    return Answer(_shown(call.state, _webhook(call, webhook_id)))


@router.patch("/api/webhooks/{webhook_id}")
async def update_webhook(call: Arrived, webhook_id: int) -> Response:
    webhook, sent = _webhook(call, webhook_id), call.json()
    if "events" in sent:
        _refuse_events(sent | {"type": webhook.type})
        webhook.events = sorted(sent["events"])
    for name in ("target_url", "description", "secret", "is_active"):
        setattr(webhook, name, sent.get(name, getattr(webhook, name)))
    webhook.has_tls = sent.get("enable_ssl", webhook.has_tls)
    webhook.updated_at = call.state.now()
    return Answer(_shown(call.state, webhook))


@router.delete("/api/webhooks/{webhook_id}")
async def delete_webhook(call: Arrived, webhook_id: int) -> Response:
    del hooks(call).known[_webhook(call, webhook_id).id]
    return nothing(204)


@router.post("/api/webhooks/{webhook_id}/ping")
async def ping(call: Arrived, webhook_id: int) -> Response:
    webhook = _webhook(call, webhook_id)
    body = {
        "event": "ping",
        "webhook": _shown(call.state, webhook),
        "sender": shown.person(call.state, call.user),
    }
    delivery = hooks(call).delivery(webhook, "ping", body)
    await hooks(call).send(delivery)
    return Answer(_delivery_shown(delivery))


@router.get("/api/webhooks/{webhook_id}/deliveries")
async def list_deliveries(call: Arrived, webhook_id: int) -> Response:
    deliveries = _webhook(call, webhook_id).deliveries
    return lists.answered(call, deliveries, _DELIVERY_FIELDS, _delivery_shown)


@router.get("/api/webhooks/{webhook_id}/deliveries/{delivery_id}")
async def get_delivery(call: Arrived, webhook_id: int, delivery_id: int) -> Response:
    return Answer(_delivery_shown(_delivery(call, webhook_id, delivery_id)))


@router.post("/api/webhooks/{webhook_id}/deliveries/{delivery_id}/redelivery")
async def redeliver(call: Arrived, webhook_id: int, delivery_id: int) -> Response:
    """A new delivery of the same body."""
    old = _delivery(call, webhook_id, delivery_id)
    again = hooks(call).delivery(old.webhook, old.event, old.request)
    again.changed_fields, again.is_redelivery = old.changed_fields, True
    hooks(call).send_later(again)
    return Answer({})


def _refuse_events(sent: dict[str, Any]) -> None:
    known = {*_OF_PROJECT, *_OF_ORGANISATION}
    for event in sent["events"]:
        if event not in known:
            raise bad_request({"events": [f'"{event}" is not a valid choice.']})
    kind = sent["type"]
    if not sent["events"] or not set(sent["events"]) <= set(_EVENTS[kind]):
        raise bad_request({"non_field_errors": [f"Invalid events list for {kind} webhook"]})


def _may(call: Call, webhook: Webhook) -> bool:
    return call.user.is_staff or call.user is webhook.owner


def _webhook(call: Call, webhook_id: int) -> Webhook:
    webhook = hooks(call).known.get(webhook_id)
    if webhook is None:
        raise not_found("Webhook")
    if not _may(call, webhook):
        raise forbidden()
    return webhook


def _delivery(call: Call, webhook_id: int, delivery_id: int) -> Delivery:
    for delivery in _webhook(call, webhook_id).deliveries:
        if delivery.id == delivery_id:
            return delivery
    raise not_found("WebhookDelivery")


def _kind(thing: Any) -> str:
    return type(thing).__name__.lower()


def _look(state: State, thing: Any) -> dict[str, Any]:
    """A thing as deliveries show it: a task's jobs are not counted until it is deleted, and in the
    background there are no addresses.
    """
    show: dict[type, Any] = {
        Project: shown.project,
        Task: shown.task,
        Job: shown.job,
        Issue: shown.issue,
        Comment: shown.comment,
    }
    found: dict[str, Any] = show[type(thing)](state, thing)
    if isinstance(thing, Task) and thing.id in state.tasks:
        found["jobs"] |= {"count": 0, "completed": None, "validation": None}
    if isinstance(thing, Task) and state.is_in_background:
        found["jobs"] |= {"url": None}
        found |= {"labels": None}
    if isinstance(thing, Job) and state.is_in_background:
        found |= {"issues": None, "labels": None}
    return found


def _concerns(webhook: Webhook, thing: Any) -> bool:
    if isinstance(thing, Comment):
        thing = thing.issue
    if isinstance(thing, Issue):
        thing = thing.job
    task = thing.task if isinstance(thing, Job) else thing
    project = task.project if isinstance(task, Task) else task
    if webhook.type == "project":
        return project is webhook.project
    return webhook.organisation is not None and task.organisation is webhook.organisation


def _shown(state: State, one: Webhook) -> dict[str, Any]:
    return {
        "id": one.id,
        "url": f"{state.url}/api/webhooks/{one.id}",
        "target_url": one.target_url,
        "description": one.description,
        "type": one.type,
        "content_type": "application/json",
        "is_active": one.is_active,
        "enable_ssl": one.has_tls,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "owner": shown.person(state, one.owner),
        "project_id": one.project.id if one.project else None,
        "organization": one.organisation.id if one.organisation else None,
        "events": one.events,
    }


def _delivery_shown(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "webhook_id": one.webhook.id,
        "event": one.event,
        "status_code": one.status_code,
        "redelivery": one.is_redelivery,
        "created_date": as_text(one.created_at),
        "updated_date": as_text(one.updated_at),
        "changed_fields": one.changed_fields,
        "request": one.request,
        "response": one.response,
    }
