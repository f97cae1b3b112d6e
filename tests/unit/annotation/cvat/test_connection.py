"""What the connection to a CVAT server does when the server, or the way to it, misbehaves."""

import json
import logging
import socket
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from scripted_server import DROPPED, Scripted, Told, scripted

from annotation.cvat import connection
from annotation.cvat.connection import AnswerError, Connection, connect
from mirrorset.errors import InputError, OverdueError, SettingsError, UnavailableError

ABOUT = Told({"name": "Computer Vision Annotation Tool", "version": "2.54.1"})
SCHEMA = Path(__file__).parents[4].parent / "shared/data/cvat/schema.yml"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.001)


def serving(*answers: Told | str) -> AbstractContextManager[Scripted]:
    return scripted(answers)


def test_calls_carry_token_organisation_and_origin_over_one_connection() -> None:
    with serving(ABOUT, Told({"id": 1}, 201), Told(None, 204)) as server:
        cvat = connect(server.url, "secret", "lab")
        assert cvat.call("POST", "/api/tasks", body={"name": "é"}) == {"id": 1}
        assert cvat.call("DELETE", "/api/tasks/1") is None
        assert (cvat.version, cvat.requests, server.connections) == ("2.54.1", 3, 1)
    posted = server.heard[1]
    assert json.loads(posted.body) == {"name": "é"}
    assert posted.headers["authorization"] == "Bearer secret"
    assert posted.headers["x-organization"] == "lab"
    assert posted.headers["origin"] == server.url


def test_a_token_from_a_file_may_end_with_its_line() -> None:
    with serving(ABOUT) as server:
        connect(server.url, "secret\n")
    assert server.heard[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("token", ["t\u00f6k", "to ken", "a\nb", "a\x00b"])
def test_a_token_that_cannot_be_one_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(SettingsError, match="MIRRORSET_CVAT_TOKEN holds characters") as refusal:
        connect("http://127.0.0.1:1", token)
    assert token not in str(refusal.value)


def test_half_an_answer_and_a_list_that_is_none_are_the_servers_fault() -> None:
    half = Told(b'{"results": [', headers={"Content-Type": "application/json"})
    with serving(half, Told({"count": 1})) as server:
        cvat = Connection(server.url, "t")
        with pytest.raises(UnavailableError, match="GET /api/jobs with what is no whole JSON"):
            cvat.call("GET", "/api/jobs")
        with pytest.raises(UnavailableError, match="GET /api/jobs with no `results`"):
            list(cvat.pages("/api/jobs"))


def test_without_an_organisation_no_header_is_sent() -> None:
    with serving(ABOUT) as server:
        connect(server.url, "secret")
    assert "x-organization" not in server.heard[0].headers


def test_files_go_as_one_form_under_the_names_given() -> None:
    with serving(Told()) as server:
        files = [
            (f"client_files[{i}]", (f"{i}.jpg", bytes([i]) * 3, "image/jpeg")) for i in range(2)
        ]
        Connection(server.url, "t").call("POST", "/api/tasks/1/data/", files=files)
    body = server.heard[0].body
    assert b'name="client_files[0]"; filename="0.jpg"' in body
    assert b'name="client_files[1]"; filename="1.jpg"' in body
    assert b"\x01\x01\x01" in body


@pytest.mark.parametrize("trouble", [DROPPED, Told(status=502), Told(status=503), Told(status=429)])
def test_what_may_be_asked_twice_is_asked_again(trouble: Told | str) -> None:
    with serving(trouble, trouble, Told([1])) as server:
        assert Connection(server.url, "t").call("GET", "/api/x") == [1]
    assert server.calls == ["GET /api/x"] * 3


def test_the_pause_that_a_server_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", slept.append)
    with serving(Told(status=429, headers={"Retry-After": "7"}), Told([])) as server:
        Connection(server.url, "t").call("GET", "/api/x")
    assert slept == [7.0]


def test_a_500_is_believed_the_third_time() -> None:
    with (
        serving(Told(b"<h1>Server Error</h1>", 500)) as server,
        pytest.raises(AnswerError, match="answered GET /api/tasks/1 with 500") as error,
    ):
        Connection(server.url, "t").call("GET", "/api/tasks/1")
    assert error.value.status == 500
    assert len(server.heard) == 3


def test_what_makes_something_is_not_made_twice() -> None:
    with (
        serving(DROPPED) as server,
        pytest.raises(UnavailableError, match="run this again: it goes on where it was"),
    ):
        Connection(server.url, "t").call("POST", "/api/tasks", body={})
    assert len(server.heard) == 1


def test_appending_is_making_and_replacing_is_not() -> None:
    with serving(DROPPED, Told({})) as server, pytest.raises(UnavailableError):
        Connection(server.url, "t").call(
            "PATCH", "/api/jobs/1/annotations/", query={"action": "create"}, body={}
        )
    with serving(DROPPED, Told({"id": 1})) as server:
        Connection(server.url, "t").call("PATCH", "/api/jobs/1", body={"assignee": 2})
    assert len(server.heard) == 2


def test_what_was_made_before_the_line_dropped_is_found() -> None:
    with serving(DROPPED, Told({"results": [{"id": 5}]})) as server:
        cvat = Connection(server.url, "t")
        task = cvat.call(
            "POST", "/api/tasks", body={}, find=lambda: cvat.call("GET", "/api/x")["results"][0]
        )
    assert task == {"id": 5}
    assert server.calls == ["POST /api/tasks", "GET /api/x"]


def test_what_is_not_found_is_made_again() -> None:
    with serving(Told(status=502), Told({"id": 6}, 201)) as server:
        cvat = Connection(server.url, "t")
        assert cvat.call("POST", "/api/tasks", body={}, find=lambda: None) == {"id": 6}
    assert len(server.heard) == 2


def test_where_nobody_listens_making_is_tried_again_until_patience_ends() -> None:
    with serving(Told()) as server:
        pass
    with pytest.raises(UnavailableError, match=f"{server.url} cannot be reached") as error:
        Connection(server.url, "t", patience_s=0.1).call("POST", "/api/tasks", body={})
    assert "object at" not in str(error.value)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_server_that_is_down_is_warned_of_once_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = [DROPPED, DROPPED, Told(status=502), Told([]), Told(status=503), Told(status=503)]
    with serving(*answers, Told([])) as server:
        cvat = Connection(server.url, "t")
        cvat.call("GET", "/api/anything")
        (first,) = warnings(caplog)
        cvat.call("GET", "/api/anything")
    assert len(server.heard) == 7
    begins, ends = f"CVAT at {server.url} cannot be reached (", "); trying again for up to 60 s."
    assert first.startswith(begins)
    assert first.endswith(ends)
    assert len(first) > len(begins + ends)
    assert warnings(caplog)[1:] == [
        f"CVAT at {server.url} answers with 503; trying again for up to 60 s."
    ]


def test_whoever_has_little_patience_waits_for_no_answer() -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cvat = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", "t", patience_s=0.3)
        with pytest.raises(OverdueError):
            cvat.call("GET", "/api/anything")
    assert time.monotonic() - began < 10


def test_a_wait_of_a_moment_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with serving(DROPPED, Told([])) as server:
        Connection(server.url, "t", patience_s=3).call("GET", "/api/anything")
    with serving(Told(status=500), Told([])) as server:
        Connection(server.url, "t").call("GET", "/api/anything")
    assert len(server.heard) == 2
    assert warnings(caplog) == []


def test_where_patience_is_spent_the_error_says_so_by_its_kind() -> None:
    with (
        serving(Told(status=503)) as server,
        pytest.raises(OverdueError, match="answered GET /api/jobs with 503"),
    ):
        Connection(server.url, "t", patience_s=0.05).call("GET", "/api/jobs")


def test_a_deletion_that_was_done_before_the_line_dropped_is_done() -> None:
    with serving(DROPPED, Told({"detail": "No Task"}, 404)) as server:
        assert Connection(server.url, "t").call("DELETE", "/api/tasks/1") is None
    with (
        serving(Told({"detail": "No Task"}, 404)) as server,
        pytest.raises(AnswerError, match="No Task"),
    ):
        Connection(server.url, "t").call("DELETE", "/api/tasks/1")


def test_an_error_says_server_version_call_and_answer() -> None:
    with serving(ABOUT, Told({"name": ["This field may not be blank."]}, 400)) as server:
        cvat = connect(server.url, "t")
        with pytest.raises(AnswerError) as error:
            cvat.call("POST", "/api/tasks", body={})
    assert str(error.value) == (
        f"{server.url} (CVAT 2.54.1) answered POST /api/tasks with 400: "
        '{"name":["This field may not be blank."]}.'
    )
    assert error.value.answer == {"name": ["This field may not be blank."]}


def test_a_refused_token_is_a_setting() -> None:
    with (
        serving(Told({"detail": "Invalid token."}, 401)) as server,
        pytest.raises(SettingsError, match="MIRRORSET_CVAT_TOKEN"),
    ):
        Connection(server.url, "t").call("GET", "/api/tasks")


def test_a_conflict_is_an_answer_where_it_is_asked_for() -> None:
    with serving(Told({"rq_id": "x"}, 409)) as server:
        assert Connection(server.url, "t").call("POST", "/api/x", also=(409,)) == {"rq_id": "x"}


def test_pages_are_read_to_the_end_and_each_result_once() -> None:
    first = {"results": [{"id": 2}, {"id": 1}], "next": "http://inside:8080/api/x?page=2&x=1"}
    last = {"results": [{"id": 1}, {"id": 0}], "next": None}
    with serving(Told(first), Told(last)) as server:
        found = list(Connection(server.url, "t").pages("/api/x", {"x": 1}))
    assert [one["id"] for one in found] == [2, 1, 0]
    assert server.calls == ["GET /api/x?page_size=1000&x=1", "GET /api/x?page=2&x=1"]


@pytest.mark.parametrize("repeated", [{"results": [{"id": 1}]}, {"results": []}])
def test_pages_that_bring_nothing_new_have_an_end(repeated: dict[str, object]) -> None:
    first = Told({"results": [{"id": 1}], "next": "http://inside/api/x?page=2"})
    again = Told({**repeated, "next": "http://inside/api/x?page=3"})
    with (
        serving(first, again) as server,
        pytest.raises(AnswerError, match="GET /api/x with a page that brings nothing new"),
    ):
        list(Connection(server.url, "t").pages("/api/x"))
    assert len(server.heard) == 2


@pytest.mark.parametrize(
    "url",
    [
        *("", "cvat.example.org", "ftp://cvat.example.org", "http://"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:port", "http://[::1", "http://[nine]/"),
        *("http://cvat example.org", "http://cvat\u2100.org"),
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is no server's address: write https://"):
        connect(url, "t")


@pytest.mark.parametrize(
    "url", ["http://ann:hush@127.0.0.1/", "http://ann:hush@127.0.0.1:99999", "http://ann:hush@[::1"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="cvat_url holds a user or a password") as refusal:
        connect(url, "t")
    assert "hush" not in str(refusal.value)


def test_a_token_is_wanted() -> None:
    with pytest.raises(SettingsError, match="MIRRORSET_CVAT_TOKEN"):
        connect("https://cvat.example.org", "")


@pytest.mark.parametrize("slug", ["l\u00e4b", "\u5b9f", "la\nb"])
def test_an_organisation_that_no_server_can_be_told_is_a_setting(slug: str) -> None:
    with pytest.raises(SettingsError, match="holds characters that no slug has"):
        connect("http://127.0.0.1:1", "t", slug)


def test_what_is_no_cvat_is_said_to_be_none() -> None:
    with serving(Told(b"<html>\n <h1>Hi")) as server, pytest.raises(InputError) as error:
        connect(server.url, "t")
    assert str(error.value) == (
        f"{server.url} is no CVAT server: it answered GET /api/server/about with `<html> <h1>Hi`, "
        "which names no version of CVAT."
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Told(b"<html>"), "answered GET /api/jobs with no JSON object"),
        (Told({"detail": "No."}, 403), "answered GET /api/jobs with 403: may the token's owner"),
        (Told(b"<html>", 403), "answered GET /api/jobs with 403: may the token's owner"),
    ],
)
def test_what_one_call_is_answered_says_nothing_of_the_whole_server(
    answer: Told, told: str
) -> None:
    with serving(ABOUT, answer) as server:
        cvat = connect(server.url, "t")
        with pytest.raises(AnswerError, match=told) as error:
            list(cvat.pages("/api/jobs"))
    assert "(CVAT 2.54.1)" in str(error.value)


# --- versions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.54.0", "2.54.9"])
def test_the_known_version_is_taken_without_a_word(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Told({"version": version})) as server:
        assert connect(server.url, "t").requests == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.55.0", "newer than 2.54"),
        ("3.0.0", "newer than 2.54"),
        ("develop", "no version that is known here, as 2.54 is"),
    ],
)
def test_a_newer_version_is_warned_of_and_goes_on(
    version: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), serving(Told({"version": version})) as server:
        assert connect(server.url, "t").version == version
    assert f"CVAT {version}" in caplog.text
    assert said in caplog.text


def schema(*lacking: str) -> Told:
    """The recorded server's own schema, without some of its calls."""
    if not SCHEMA.exists():
        pytest.skip("needs ../shared/data/cvat/schema.yml, the recorded server's schema")
    text = SCHEMA.read_text(encoding="utf-8")
    for path in lacking:
        assert f"\n  {path}:\n" in text
        text = text.replace(f"\n  {path}:\n", f"\n  {path}-not-yet:\n")
    return Told(text.encode())


def test_an_older_version_that_has_all_calls_is_taken() -> None:
    with serving(Told({"version": "2.40.0"}), schema()) as server:
        assert connect(server.url, "t").version == "2.40.0"


def test_an_older_version_that_lacks_a_call_is_refused_by_name() -> None:
    with (
        serving(Told({"version": "2.14.3"}), schema("/api/requests/{id}")) as server,
        pytest.raises(InputError) as error,
    ):
        connect(server.url, "t")
    assert str(error.value) == (
        f"{server.url} (CVAT 2.14.3) has no `GET /api/requests/{{id}}`, which is needed here: "
        "update it to 2.54 or later."
    )


def test_an_older_version_that_does_not_say_its_calls_is_refused() -> None:
    with (
        serving(Told({"version": "1.7.0"}), Told(b"Not Found", 404)) as server,
        pytest.raises(InputError, match=r"1\.7\.0\) is older than 2\.54, and its GET /api"),
    ):
        connect(server.url, "t")
