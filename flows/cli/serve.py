"""`mirrorset serve`: all deployments of a workspace, on schedule, on this machine."""

import os
import sys
from typing import Annotated

import typer

from flows.cli.app import HERE, Home, Json, app, show
from mirrorset.terminal import echo


@app.command()
def serve(
    is_prefect_yaml: Annotated[
        bool,
        typer.Option(
            "--prefect-yaml",
            help="Print these deployments as a prefect.yaml, for workers of a Prefect server, and "
            "serve nothing.",
        ),
    ] = False,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Run the workspace's deployments on the schedules of params.yaml (`serve:`), until Ctrl-C.

    Uses the Prefect server that PREFECT_API_URL names, or starts one of its own and says where its
    UI is. Where cvat_webhook_secret is set, CVAT's deliveries are listened for, too.
    """
    if is_prefect_yaml:
        from flows.serving.prefect_yaml import prefect_yaml
        from mirrorset.workspace import open_workspace

        echo(*prefect_yaml(open_workspace(home)).splitlines())
        return
    from flows.serve import Serving
    from flows.serve import serve as run

    def told(serving: Serving) -> None:
        show(serving, is_json, "Serving until Ctrl-C")
        sys.stdout.flush()

    run(home, told)
    echo("mirrorset: Stopped; start it again to go on where it was.", is_error=True)
    # Prefect's threads would be waited for, and may wait for a server that is gone.
    os._exit(0)
