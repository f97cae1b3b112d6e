"""`mirrorset serve` as a command that ends: its runs crawl, pre-label and push; then it is stopped.

    python served.py --home DIR --json

Its Prefect server is its own, with the database beside the workspace.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

_MIRRORSET = Path(sys.executable).with_name("mirrorset")
#: From its beginning; less than a struck command may take.
_PATIENCE_S = 200
_ENDS_WITHIN_S = 40
_LOOK_EVERY_S = 0.5
_UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED")


class NotDoneError(Exception):
    """In words, why it has to be run again."""


def main() -> int:
    """Serve until all is pushed; serve's own exit code, 4 where a run or serve was lost."""
    parser = argparse.ArgumentParser(prog="served", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="as every command has it")
    home = parser.parse_args().home
    env = os.environ | {"PREFECT_HOME": str(home.with_name("prefect"))}
    env.pop("PREFECT_API_URL", None)
    until = time.monotonic() + _PATIENCE_S
    command = [_MIRRORSET, "serve", "--home", home, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as serve:
        told = _told(serve)
        if told is None:
            # Itself it says why, unless it was killed.
            print("mirrorset: serve has ended before all was ready", file=sys.stderr)
            return max(4, serve.wait())
        try:
            _all_steps(told, serve, until)
        except NotDoneError as error:
            print(f"mirrorset: {error}", file=sys.stderr)
            _stop(serve)
            return 4
        return _stop(serve)


def _told(serve: "subprocess.Popen[str]") -> dict[str, Any] | None:
    """What serve says once all is ready; None where it ends before."""
    lines = []
    while (line := serve.stdout.readline()) and line != "}\n":
        lines.append(line)
    return json.loads("".join([*lines, line])) if line else None


def _all_steps(told: dict[str, Any], serve: "subprocess.Popen[str]", until: float) -> None:
    asked = Asking(told["api_url"], serve, until)
    before = {one["id"] for one in asked.runs() if one["state_type"] not in _UNFINISHED}
    for wanted in ("scheduled-crawl/", "scheduled-push/"):
        for name in [one for one in told["deployments"] if one.startswith(wanted)]:
            asked.start(name)
        # Pre-labelling follows a crawl before the crawl's run has ended.
        while True:
            runs = [one for one in asked.runs() if one["id"] not in before]
            for one in runs:
                if one["state_type"] in ("FAILED", "CRASHED", "CANCELLED"):
                    raise NotDoneError(f"{one['name']} is {one['state_name']}: {one['state']}")
            left = [one for one in runs if one["state_type"] in _UNFINISHED]
            if not left:
                break
            if time.monotonic() > until:
                said = [f"{one['name']}: {one['state_name']}" for one in left]
                raise NotDoneError(f"not done in {_PATIENCE_S} s: {said}")
            time.sleep(_LOOK_EVERY_S)


class Asking:
    """What is asked of Prefect's server, again where it has no time; NotDoneError at the end."""

    def __init__(self, url: str, serve: "subprocess.Popen[str]", until: float) -> None:
        self._api, self._serve, self._until = f"{url}/", serve, until

    def start(self, name: str) -> None:
        """Start a run of a deployment."""
        deployment = self._answer("GET", f"deployments/name/{name}")["id"]
        once = {"idempotency_key": secrets.token_hex(8)}
        self._answer("POST", f"deployments/{deployment}/create_flow_run", once)

    def runs(self) -> list[dict[str, Any]]:
        """All runs of deployments; the flows that they call are runs, too."""
        wanted = {"flow_runs": {"deployment_id": {"is_null_": False}}}
        found: list[dict[str, Any]] = self._answer("POST", "flow_runs/filter", wanted)
        return found

    def _answer(self, method: str, path: str, given: Any = None) -> Any:
        while self._serve.poll() is None:
            try:
                said = httpx.request(method, f"{self._api}{path}", json=given, timeout=20)
                return said.raise_for_status().json()
            except httpx.HTTPError as error:
                if time.monotonic() > self._until:
                    raise NotDoneError(f"not done in {_PATIENCE_S} s: {error}") from error
                time.sleep(_LOOK_EVERY_S)
        raise NotDoneError("serve has ended")


def _stop(serve: "subprocess.Popen[str]") -> int:
    """Stop it as a person does; its exit code, or 4 where something else had killed it."""
    was_running = serve.poll() is None
    serve.send_signal(signal.SIGTERM)
    try:
        code = serve.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        print(f"mirrorset serve does not stop in {_ENDS_WITHIN_S} s", file=sys.stderr)
        raise
    return code if was_running and code >= 0 else max(4, code)


if __name__ == "__main__":
    sys.exit(main())
