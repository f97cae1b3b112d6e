"""Waiting for what a CVAT server does in the background."""

import pytest
from scripted_server import DROPPED, Told, scripted

from annotation.cvat import connection, waiting
from annotation.cvat.connection import Connection
from annotation.cvat.waiting import FailedError, GoneError, run, wait
from mirrorset.errors import OverdueError

ID = "action=create&target=task&target_id=1"
PATH = "GET /api/requests/action%3Dcreate%26target%3Dtask%26target_id%3D1"


def state(status: str, message: str = "") -> Told:
    return Told({"status": status, "message": message, "id": ID})


QUEUED, STARTED, FINISHED = state("queued"), state("started"), state("finished")
UNKNOWN = Told(None, 404)
ACCEPTED = Told({"rq_id": ID}, 202)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock moves only when somebody sleeps; how long they slept."""
    slept: list[float] = []
    monkeypatch.setattr(waiting.time, "sleep", slept.append)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.001)
    return slept


def test_it_is_asked_quickly_at_first_and_then_more_rarely(pauses: list[float]) -> None:
    with scripted([QUEUED, *[STARTED] * 14, FINISHED]) as server:
        found = wait(Connection(server.url, "t"), ID, "making task 1")
    assert found["status"] == "finished"
    assert server.calls == [PATH] * 16
    assert pauses[0] <= 0.05
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0
    assert sum(pauses[:8]) < 1.5  # what takes half a second is noticed within it


def test_a_failure_is_told_in_the_servers_words(pauses: list[float]) -> None:
    failed = state("failed", "PIL.UnidentifiedImageError: cannot identify image file '/x/z.jpg'\n")
    with (
        scripted([STARTED, failed]) as server,
        pytest.raises(FailedError, match=r"failed at making task 1: PIL\.Unid") as error,
    ):
        wait(Connection(server.url, "t"), ID, "making task 1")
    assert error.value.said.endswith("'/x/z.jpg'")


def test_an_unknown_or_expired_request_is_gone(pauses: list[float]) -> None:
    with scripted([STARTED, UNKNOWN]) as server, pytest.raises(GoneError, match="no longer knows"):
        wait(Connection(server.url, "t"), ID, "making task 1")


def test_too_long_says_how_to_resume_and_can_be_resumed(pauses: list[float]) -> None:
    with scripted([STARTED]) as server:
        with pytest.raises(OverdueError) as error:
            wait(Connection(server.url, "t"), ID, "making task 1", timeout_s=5)
        assert str(error.value) == (
            f"{server.url} has not finished making task 1 after 5 s (it is started): it goes on "
            "there; run this again to take up its result."
        )
        server.answers = [FINISHED]
        assert wait(Connection(server.url, "t"), ID, "making task 1", timeout_s=5)


def test_a_line_that_drops_while_waiting_is_no_matter(pauses: list[float]) -> None:
    with scripted([STARTED, DROPPED, Told(status=502), FINISHED]) as server:
        assert wait(Connection(server.url, "t"), ID, "x")["status"] == "finished"


def test_what_is_under_way_already_is_joined(pauses: list[float]) -> None:
    with scripted([Told({"rq_id": ID}, 409), STARTED, FINISHED]) as server:
        run(Connection(server.url, "t"), "/api/tasks/1/dataset/export", "x", query={"format": "f"})
    assert server.calls == ["POST /api/tasks/1/dataset/export?format=f", PATH, PATH]


def test_what_is_gone_before_it_was_seen_to_finish_is_started_once_more(
    pauses: list[float],
) -> None:
    with scripted([ACCEPTED, UNKNOWN, ACCEPTED, FINISHED]) as server:
        assert run(Connection(server.url, "t"), "/api/x", "x")["status"] == "finished"
    with scripted([ACCEPTED, UNKNOWN, ACCEPTED, UNKNOWN]) as server, pytest.raises(GoneError):
        run(Connection(server.url, "t"), "/api/x", "x")
    assert len(server.heard) == 4


def test_both_starts_together_take_no_longer_than_the_limit(pauses: list[float]) -> None:
    answers = [ACCEPTED, *[STARTED] * 12, UNKNOWN, ACCEPTED, STARTED]
    with (
        scripted(answers) as server,
        pytest.raises(OverdueError, match="not finished an export after 6 s"),
    ):
        run(Connection(server.url, "t"), "/api/x", "an export", timeout_s=6)
    assert server.calls.count("POST /api/x") == 2
    assert 5 <= sum(pauses) <= 6
