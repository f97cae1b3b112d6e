"""The way to a Dask cluster: its scheduler's address, and what is said where none answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mirrorset.errors import SettingsError, UnavailableError

_PATIENCE_S = 10


def connected(scheduler: str, patience_s: float = _PATIENCE_S) -> Any:
    """A `distributed.Client` of the cluster at `scheduler` ("tcp://…:8786"); close it after use.

    patience_s: how long an answer is waited for. Raises SettingsError where Dask is not installed,
    UnavailableError where no scheduler answers.
    """
    try:
        from distributed import Client, Security  # noqa: PLC0415  (an extra)
        from distributed.comm.core import connect  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "A Dask scheduler is named, but Dask is not installed: install "
            "requirements-cluster.lock."
        ) from None

    async def greet() -> None:
        call = connect(scheduler, **Security().get_connection_args("client"))
        (await asyncio.wait_for(call, patience_s)).abort()

    try:
        # A client waits for ever for a greeting. This thread may have an event loop of its own.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, greet()).result()
        return Client(scheduler, timeout=patience_s, set_as_default=False)
    except (OSError, ValueError) as error:
        said = f" ({error})" if str(error) else ""
        raise UnavailableError(
            f"No Dask scheduler answers at {scheduler}{said}: start one (`dask scheduler`), or "
            "name another or none (--cluster, dask_scheduler in mirrorset.toml)."
        ) from error
