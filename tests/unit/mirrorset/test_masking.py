"""What is taken out of texts before they are written."""

import base64

import pytest

from mirrorset.masking import hide, mask_error, masked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql+psycopg://me:hunter2@db:5432/faces", "postgresql+psycopg://me:***@db:5432/faces"),
        ("s3://key:word@bucket/a", "s3://key:***@bucket/a"),
        ("https://:word@host/", "https://:***@host/"),
        ("Authorization: Token 0123abc", "Authorization: Token ***"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': 'Bearer ***'}"),
        ("GET /rest?api_key=0123&page=2", "GET /rest?api_key=***&page=2"),
        ("https://s3/x?X-Amz-Signature=0ab&y=1", "https://s3/x?X-Amz-Signature=***&y=1"),
        ("<GET https://api.example/?API_KEY=0123>", "<GET https://api.example/?API_KEY=***>"),
        ("client_secret=0123", "client_secret=***"),
        ('"access_token=0123"', '"access_token=***"'),
        ("https://ghp_0123@host/x and a@b", "https://***@host/x and a@b"),
        ("db://me:pa@ss@host/x", "db://me:***@host/x"),
    ],
)  # fmt: skip
def test_secrets_are_known_by_their_form(text: str, left: str) -> None:
    assert masked(text) == left
    assert masked(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a@b",
        "at 10:30 @ home",
        "mailto:a@b.example",
        "https://a.example/?monkey=3",
        '{"url":"http://host:80","by":"x@y"}',
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert masked(text) == text


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a/secret+of=aws")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    assert masked("with a/secret+of=aws and pnu_secret") == "with *** and ***"


def test_who_is_asked_as_is_known_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass%2Fword@proxy:3128")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:other-word")
    pair = base64.b64encode(b"admin:other-word").decode()
    assert masked(f"pass/word, pass%2Fword, other-word, {pair}") == "***, ***, ***, ***"


def test_secrets_that_settings_hold_are_known_also_quoted() -> None:
    hide("pass%2Fword")
    assert masked("pass%2Fword or pass/word") == "*** or ***"


def test_an_error_and_what_led_to_it_lose_them() -> None:
    hide("told-secret")
    error = RuntimeError("after told-secret")
    error.__cause__ = ValueError(["told-secret"])
    error.add_note("told-secret")
    mask_error(error)
    assert (str(error), str(error.__cause__)) == ("after ***", "['***']")
    assert error.__notes__ == ["***"]
