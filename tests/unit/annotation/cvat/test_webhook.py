import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from annotation.cvat.webhook import SIGNATURE, News, is_signed, receiver

SECRET = "s3cret"  # noqa: S105  (of this test)
NOW = datetime(2026, 11, 22, 14, 33, tzinfo=UTC)
Json = dict[str, Any]


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def update(at: datetime = NOW, project: int = 7, **more: object) -> Json:
    job = {"id": 53, "project_id": project, "updated_date": at.isoformat(), "state": "completed"}
    return {"event": "update:job", "job": job, "sender": {}, "webhook_id": 3, **more}


class Listener:
    def __init__(self) -> None:
        self.news = News()
        self.now = NOW
        app = receiver(SECRET, lambda: {7}, self.news, now=lambda: self.now)
        self._client = TestClient(app)

    def deliver(
        self, delivery: Json | bytes, path: str = "/hook", signed: str | None = None
    ) -> int:
        body = delivery if isinstance(delivery, bytes) else json.dumps(delivery).encode()
        headers = {SIGNATURE: (signature(body) if signed is None else signed).encode()}
        return self._client.post(path, content=body, headers=headers).status_code

    def heard(self) -> bool:
        return self.news.wait(0)


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_a_good_delivery_is_news(listener: Listener) -> None:
    assert listener.deliver(update()) == 202
    assert listener.heard()
    assert not listener.heard()


def test_many_deliveries_are_one_piece_of_news(listener: Listener) -> None:
    for second in range(20):
        assert listener.deliver(update(NOW + timedelta(seconds=second))) == 202
    assert listener.heard()
    assert not listener.heard()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "sha256=",
        signature(b"something else"),
        signature(json.dumps(update()).encode(), "another secret"),
        signature(json.dumps(update()).encode()).removeprefix("sha256="),
        signature(json.dumps(update()).encode()).upper(),
        "sha1=0123",
        "sha256=äöü",
    ],
)
def test_nothing_unsigned_is_heard(listener: Listener, wrong: str) -> None:
    """Trap: without a secret the server sends no signature at all."""
    assert listener.deliver(update(), signed=wrong) == 401
    assert not listener.heard()


def test_the_raw_body_is_what_is_signed(listener: Listener) -> None:
    """The same JSON in other words has another signature."""
    body = json.dumps(update(), indent=1).encode()
    assert listener.deliver(body, signed=signature(json.dumps(update()).encode())) == 401
    assert listener.deliver(body) == 202


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("annotation.cvat.webhook.hmac.compare_digest", compare)
    assert is_signed(b"{}", signature(b"{}"), SECRET)
    assert not is_signed(b"{}", signature(b"{ }"), SECRET)
    assert len(compared) == 2


def test_a_replay_is_refused(listener: Listener) -> None:
    assert listener.deliver(update()) == 202
    assert listener.heard()
    assert listener.deliver(update()) == 409
    assert listener.deliver(update(), path="/elsewhere") == 409
    assert not listener.heard()


def test_a_replay_is_refused_for_ever(listener: Listener) -> None:
    """Also once it is forgotten, and by a receiver that was started anew."""
    delivery = update()
    assert listener.deliver(delivery) == 202
    listener.news.wait(0)
    for minutes in (1, 9, 11, 25, 60 * 24 * 365):
        listener.now = NOW + timedelta(minutes=minutes)
        assert listener.deliver(delivery) == 409
    other = Listener()
    other.now = NOW + timedelta(minutes=11)
    assert other.deliver(delivery) == 409
    assert not listener.heard()
    assert not other.heard()


def test_what_is_remembered_does_not_grow(listener: Listener) -> None:
    for minute in range(100):
        listener.now = NOW + timedelta(minutes=minute)
        assert listener.deliver(update(listener.now)) == 202


@pytest.mark.parametrize(
    "delivery",
    [
        update(project=8),
        {"event": "ping", "webhook": {"id": 1}, "sender": {}},
        update() | {"event": "delete:job"},
        {"event": "create:issue", "issue": {"id": 4, "job": 58}, "sender": {}},
    ],
)
def test_what_is_not_of_interest_is_ignored(listener: Listener, delivery: Json) -> None:
    assert listener.deliver(delivery) == 200
    assert not listener.heard()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b'"update:job"',
        b"{}",
        b'{"event": 3}',
        b'{"event": "update:job"}',
        b'{"event": "update:job", "job": null}',
        b'{"event": "update:job", "job": {"project_id": 7, "updated_date": "soon"}}',
        b'{"event": "update:job", "job": {"project_id": 7, "updated_date": 3}}',
        b'{"event": "update:job", "job": {"project_id": [], "updated_date": "2026-11-22"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_delivery_is_refused(listener: Listener, body: bytes) -> None:
    assert listener.deliver(body) in (200, 400, 409)
    assert not listener.heard()


def test_a_huge_body_is_not_read_to_its_end(listener: Listener) -> None:
    assert listener.deliver(b" " * (1 << 21)) == 413
    assert not listener.heard()


def test_only_post_is_answered(listener: Listener) -> None:
    assert listener._client.get("/hook").status_code == 405
    assert listener._client.get("/openapi.json").status_code in (404, 405)


def test_no_secret_is_no_receiver() -> None:
    with pytest.raises(ValueError, match="secret"):
        receiver("", lambda: {7}, News())


def test_recorded_deliveries_are_understood(shared_data: Path) -> None:
    """Each is news once, save pings, issues, comments and what was deleted."""
    lines = (shared_data / "cvat" / "transcript2.jsonl").read_text().splitlines()
    received = [
        exchange["request_json"]
        for exchange in map(json.loads, lines)
        if exchange["step"] == "webhook_received"
    ]
    listener = Listener()
    answers: dict[str, set[int]] = {}
    for delivery in received:
        answers.setdefault(delivery["event"], set()).add(listener.deliver(delivery))
    news = {f"update:{kind}" for kind in ("job", "task", "project")} | {"create:job", "create:task"}
    assert news <= answers.keys()
    assert {event for event, statuses in answers.items() if statuses == {202}} == news
    assert {event for event, statuses in answers.items() if statuses == {200}} == (
        answers.keys() - news
    )
    assert {listener.deliver(delivery) for delivery in received} == {409, 200}


def test_news_waits_no_longer_than_told() -> None:
    wait: Callable[[float], bool] = News().wait
    assert not wait(0.01)


def test_who_hangs_up_in_the_middle_is_no_error() -> None:
    told: list[Json] = []
    pieces = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Json:
        return next(pieces)

    async def send(message: Json) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(receiver(SECRET, lambda: {7}, News())(scope, receive, send))
    assert told[0]["status"] == 413
