"""A server of Prefect's, started once a session, for commands that would each start their own."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def _prefect_url() -> Iterator[str]:
    # Prefect reads its settings, those of ours too, when it is imported.
    import flows.engine  # noqa: F401, I001
    from prefect.server.api.server import SubprocessASGIServer

    with SubprocessASGIServer() as server:
        yield server.api_url


@pytest.fixture
def prefect(_prefect_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this test run on one server instead of each starting its own for 10 seconds.

    The embedded server is what the demo runs on, which passes this address by.
    """
    monkeypatch.setenv("PREFECT_API_URL", _prefect_url)
