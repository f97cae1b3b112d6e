"""What ends a command, in words and exit codes."""

import httpx
import pytest

import flows.cli
from mirrorset.errors import UnavailableError


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


def test_anything_else_is_a_bug_with_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flows.cli, "app", lambda: {}["nothing"])
    with pytest.raises(SystemExit) as ended:
        flows.cli.main()
    assert ended.value.code == 70
    assert "This is a bug (KeyError: 'nothing')" in capsys.readouterr().err
