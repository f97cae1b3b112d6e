"""`mirrorset view`: reports in a browser."""

import webbrowser
from typing import Annotated

import typer

from flows.cli.app import HERE, Home, Json, app, show


@app.command()
def view(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    is_opened: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in this machine's browser.")
    ] = True,
    home: Home = HERE,
    is_json: Json = False,
) -> None:
    """Serve the workspace's reports to a browser on this machine, until Ctrl-C.

    `mirrorset report` makes them. Nothing but 127.0.0.1 is listened on.
    """
    from mirrorset.workspace import open_workspace
    from reports.view import view as serve

    def told(address: str) -> None:
        show({"address": address}, is_json, "Viewing until Ctrl-C")
        if is_opened:
            webbrowser.open(address)

    serve(open_workspace(home).home / "report", port, told)
