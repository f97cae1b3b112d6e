"""What a Prefect server keeps of an image goes with it; what it keeps of others stays."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from mirrorset.erasure import Gone
from mirrorset.errors import InputError

# The server's database may be older than this test.
_OWN = secrets.token_hex(8)
_GONE = Gone(
    frozenset({secrets.token_hex(32)}),
    items=frozenset({f"gallery:p/{_OWN}"}),
    addresses=frozenset({f"https://gallery.example/ä-{_OWN}.html"}),
    authors=frozenset({f"Ann O'Nym {_OWN}", "Bo"}),
)
_OTHER = secrets.token_hex(32)


def everything() -> dict[str, list[Any]]:
    """All that clients can read, by kind and as text."""
    from prefect.client.orchestration import get_client

    from flows.prefect_runs import _pages

    with get_client(sync_client=True) as client:
        kinds: dict[str, Callable[..., list[Any]]] = {
            "runs": client.read_flow_runs,
            "tasks": client.read_task_runs,
            "logs": client.read_logs,
            "artifacts": client.read_artifacts,
        }
        found = {name: list(_pages(read)) for name, read in kinds.items()}
        states = [client.read_flow_run_states(run.id) for run in found["runs"]]
    return {
        **{name: [one.model_dump_json() for one in kept] for name, kept in found.items()},
        "states": [one.model_dump_json() for kept in states for one in kept],
    }


def told(kept: dict[str, list[Any]]) -> dict[str, int]:
    """How many of each kind mention what is gone."""
    counts = {
        name: sum(_GONE.is_told_in(one.encode()) for one in ones) for name, ones in kept.items()
    }
    return {name: count for name, count in counts.items() if count}


def test_all_that_names_an_image_goes(prefect: None) -> None:
    from prefect import get_run_logger
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    from flows import prefect_runs
    from flows.engine import flow, task

    @task(name="look")
    def look(at: str) -> None:
        raise InputError(f"{at} cannot be read.")

    @flow(name="naming")
    def naming(images: tuple[str, ...], fault: str = "", said: str = "", shown: str = "") -> None:
        if said:
            get_run_logger().warning(said)
        if shown:
            create_markdown_artifact(shown, key="naming-shown")
            create_table_artifact([{"image": shown}], key="naming-table")
        if fault:
            look(fault)

    image_id = next(iter(_GONE.image_ids))
    for given in (
        {"images": (image_id[:8],)},
        {"images": (), "fault": image_id},
        {"images": (), "said": f"https://gallery.example/ä-{_OWN}.html is no more."},
        {"images": (), "said": f"By Ann O'Nym {_OWN}."},
        {"images": (), "shown": f"gallery:p/{_OWN}"},
        {"images": (_OTHER,), "said": f"Bob{_OWN}, not Bo", "shown": _OTHER},
    ):
        naming(**given, return_state=True)
    # Logs and tasks come there later.
    kinds = {"runs", "tasks", "logs", "artifacts", "states"}
    until(lambda: told(everything()).keys() == kinds)
    until(lambda: any(f"Bob{_OWN}" in one for one in everything()["logs"]))
    before = everything()

    found, unreached = prefect_runs.erase(_GONE, is_dry_run=True)
    assert unreached == []
    assert {one.name: one.count for one in found} == {"runs": 5, "artifacts": 2}
    assert told(everything()) == told(before)
    assert prefect_runs.erase(_GONE) == (found, [])
    assert not told(everything())
    after = everything()
    assert len(after["runs"]) == len(before["runs"]) - 5
    assert len(after["artifacts"]) == len(before["artifacts"]) - 2
    assert any(_OTHER in one for one in after["artifacts"])
    assert prefect_runs.erase(_GONE) == ([], [])


def test_a_server_that_is_gone_is_named(prefect: None) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import prefect_runs

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        found, (unreached,) = prefect_runs.erase(_GONE)
    assert found == []
    assert (unreached.place, unreached.name) == ("Prefect", "runs")


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, told(everything())
        time.sleep(0.3)
