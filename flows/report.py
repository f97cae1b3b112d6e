"""Report: the current release, what was rejected and the parity verdicts, as one page."""

from pathlib import Path

from flows.engine import flow
from flows.release_state import current_version
from flows.snapshot import rejected_files
from mirrorset.workspace import open_workspace
from reports.page import Private, render


@flow(name="report")
def report(home: Path) -> Path:
    """Write report/index.html of the workspace; returns its path."""
    workspace = open_workspace(home)
    name, version = workspace.dataset.name, current_version(workspace)
    with workspace.locked():
        return render(
            workspace.release(name, version),
            rejected_files(workspace),
            sorted((workspace.parity / f"{name}-{version}").glob("comparison-*.json")),
            workspace.home / "report" / "index.html",
            f"{name} {version}",
            private=Private(workspace.snapshot, workspace.blobs),
        )
