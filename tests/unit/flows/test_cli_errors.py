"""What ends a command, in words and exit codes, and what one prints."""

import socket

import httpx
import pytest

import flows.cli
from flows.cli.app import show
from flows.prefect_server import is_silence
from mirrorset.errors import InputError, UnavailableError


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("timed out"),
        httpx.ConnectError("All connection attempts failed"),
        RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server."),
    ],
)
def test_a_server_of_prefect_that_is_too_slow_is_no_bug(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(flows.cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        flows.cli.main()
    assert ended.value.code == UnavailableError.exit_code
    said = capsys.readouterr().err
    assert "did not answer in time" in said
    assert "bug" not in said


def test_prefects_own_word_for_a_server_that_is_away_is_known() -> None:
    """As its client says it: the first question to a server is for its version."""
    import flows.engine  # noqa: F401, I001
    from prefect.client.orchestration import SyncPrefectClient

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/api"
        with SyncPrefectClient(address) as client, pytest.raises(RuntimeError) as said:
            client.raise_for_api_version_mismatch()
    assert is_silence(said.value)
    assert not is_silence(RuntimeError("Failed to do something else"))


def test_anything_else_is_a_bug_with_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flows.cli, "app", lambda: {}["nothing"])
    with pytest.raises(SystemExit) as ended:
        flows.cli.main()
    assert ended.value.code == 70
    assert "This is a bug (KeyError: 'nothing')" in capsys.readouterr().err


def test_no_word_of_a_stranger_fakes_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    author = "Ann\x1b]0;pwned\x07\u202e\n  licence  CC0"
    show({"author": author, "licence": "CC BY 4.0"}, False, f"Receipt of {author}")
    shown = r"Ann\x1b]0;pwned\x07\u202e\n  licence  CC0"
    assert capsys.readouterr().out.splitlines() == [
        f"Receipt of {shown}",
        f"  author   {shown}",
        "  licence  CC BY 4.0",
    ]

    def fail() -> None:
        raise InputError(f"[b]{author}: s3://KEY:hunter2-planted@host/x is not there:\nmake it.")

    monkeypatch.setattr(flows.cli, "app", fail)
    with pytest.raises(SystemExit):
        flows.cli.main()
    said = capsys.readouterr().err
    assert said == (
        r"mirrorset: [b]Ann\x1b]0;pwned\x07\u202e licence CC0: s3://KEY:***@host/x is not there: "
        "make it.\n"
    )
