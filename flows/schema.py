"""Label schemas in CVAT: what applying one would change there, and applying it."""

from pathlib import Path

from annotation.cvat import project
from annotation.cvat.project import Applied, Difference
from annotation.schema import LabelSchema, load_label_schema
from flows.exchanges import connection, label_schema
from mirrorset.workspace import Workspace, open_workspace


def difference(home: Path, name: str | None = None) -> Difference:
    """Between the schema `name`, by itself the one that params.yaml names, and its project."""
    workspace = open_workspace(home)
    return project.difference(connection(workspace), _schema(workspace, name))


def apply(home: Path, name: str | None = None) -> Applied:
    """Bring the project of that schema up to it, its guide included; see `project.apply`."""
    workspace = open_workspace(home)
    return project.apply(connection(workspace), _schema(workspace, name))


def _schema(workspace: Workspace, name: str | None) -> LabelSchema:
    return load_label_schema(name) if name else label_schema(workspace)
