"""The way to a Dask cluster: its scheduler's address, and what is said where none answers."""

from typing import Any

from mirrorset.errors import SettingsError, UnavailableError

_PATIENCE_S = 10


def connected(scheduler: str, patience_s: float = _PATIENCE_S) -> Any:
    """A `distributed.Client` of the cluster at `scheduler` ("tcp://…:8786"); close it after use.

    patience_s: how long an answer is waited for. Raises SettingsError where Dask is not installed,
    UnavailableError where no scheduler answers.
    """
    try:
        from distributed import Client  # noqa: PLC0415  (an extra)
    except ImportError:
        raise SettingsError(
            "A Dask scheduler is named, but Dask is not installed: install "
            "requirements-cluster.lock."
        ) from None
    try:
        return Client(scheduler, timeout=patience_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"No Dask scheduler answers at {scheduler}: start one (`dask scheduler`), or name none "
            f"(--cluster, dask_scheduler in mirrorset.toml: {error})."
        ) from error
