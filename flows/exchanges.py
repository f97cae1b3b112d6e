"""Whom a workspace's settings name: its label schema, and what carries batches to people.

Without Prefect, so that what only looks starts at once.
"""

from typing import TYPE_CHECKING

from annotation.batches import BatchParams
from annotation.exchange import Exchange
from annotation.folder import FOLDER, FolderExchange
from annotation.prelabel import PrelabelParams
from annotation.pseudonyms import ANNOTATORS, Pseudonyms
from annotation.schema import LabelSchema, load_label_schema
from mirrorset.errors import SettingsError
from mirrorset.workspace import Workspace

if TYPE_CHECKING:
    from annotation.cvat.connection import Connection


def label_schema(workspace: Workspace) -> LabelSchema:
    """The label schema that params.yaml names."""
    return load_label_schema(workspace.params("prelabel", PrelabelParams).schema_name)


def exchange_with(workspace: Workspace, server: str, patience_s: float | None = None) -> Exchange:
    """What carries batches to `server`: "folder", or the address of the one that settings name.

    patience_s: how long a server that does not answer is asked again; None for the usual time.
    Raises SettingsError for another server, and as `annotation.cvat.connection.connect` does.
    """
    if server == FOLDER:
        return FolderExchange(workspace.exchange)
    settings = workspace.settings
    if server != server_of(workspace):
        raise SettingsError(
            f"Batches are on {server}, but cvat_url names another server or none: set "
            "MIRRORSET_CVAT_URL to that one to pull them."
        )
    from annotation.cvat.exchange import ServerExchange

    return ServerExchange(
        connection(workspace, patience_s),
        Pseudonyms(workspace.exchange / ANNOTATORS),
        workspace.params("annotate", BatchParams),
        assignees=settings.cvat_assignees,
        title=workspace.dataset.name,
    )


def connection(workspace: Workspace, patience_s: float | None = None) -> "Connection":
    """The CVAT server that settings name; raises SettingsError where they name none."""
    # CVAT's SDK takes most of a second to import.
    from annotation.cvat.connection import PATIENCE_S, connect

    settings = workspace.settings
    if not settings.cvat_url:
        raise SettingsError(
            f"No CVAT server is named: set cvat_url in {workspace.home / 'mirrorset.toml'}, and "
            "MIRRORSET_CVAT_TOKEN to an access token of it."
        )
    return connect(
        settings.cvat_url,
        settings.cvat_token.get_secret_value(),
        settings.cvat_organisation,
        PATIENCE_S if patience_s is None else patience_s,
    )


def server_of(workspace: Workspace) -> str:
    """Where new batches go: the address that settings name, or "folder"."""
    return workspace.settings.cvat_url.rstrip("/") or FOLDER
