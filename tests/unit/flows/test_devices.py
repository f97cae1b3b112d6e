"""From runs that devices brought back to the table, the fallback order and the verdict."""

import json
from pathlib import Path

import pytest
import yaml
from fleet_records import gpu, key, write_run
from small_pack import make_pack

from flows.ingest import ingest_run
from flows.judging import judge_all, places, show_all
from mirrorset.workspace import Workspace, init
from parity.devices.fallback import Fallback
from parity.devices.records import DeviceTable
from parity.pack import Pack
from parity.plan import ParityParams

GATES = [{"metric": "tensor_max_abs", "output": "marker/points", "limit": 0.01}]
COUNT = 12


@pytest.fixture
def room(tmp_path: Path) -> tuple[Workspace, Pack]:
    """A workspace with a pack that a phone has been given, and gates."""
    workspace = init(tmp_path / "home")
    values = yaml.safe_load(workspace.params_file.read_text())
    values["parity"] = {"gates": GATES}
    workspace.params_file.write_text(yaml.safe_dump(values))
    lights = [60 + 5 * index for index in range(COUNT)]
    return workspace, make_pack(workspace.pack("faces", "1.0.0"), lights)


def judged(workspace: Workspace, pack: Pack) -> tuple[DeviceTable, Fallback]:
    params = workspace.params("parity", ParityParams)
    show_all(workspace, pack, judge_all(workspace, pack, params))
    kept = places(workspace, pack)
    return (
        DeviceTable.model_validate_json(kept.devices.read_bytes()),
        Fallback.model_validate_json(kept.fallback.read_bytes()),
    )


def test_what_came_back_is_judged_and_ordered(tmp_path: Path, room: tuple[Workspace, Pack]) -> None:
    workspace, pack = room
    ingest_run(workspace.home, write_run(tmp_path / "cpu", pack, key()), pack.path)
    wrong = write_run(tmp_path / "gpu", pack, gpu(), shift=1.0, ms=1.0)
    ingest_run(workspace.home, wrong, pack.path)
    table, fallback = judged(workspace, pack)
    assert [(row.standing, row.runs_on) for row in table.rows] == [
        ("pass", ("CPU",)), ("fail", ("GPU",)),
    ]  # fmt: skip
    assert table.rows[1].reasons == ("tensor_max_abs marker/points all: 1 exceeds 0.01",)
    assert [each.basis for each in fallback.entries] == ["device", "soc", "any_cpu"]
    assert fallback.entries[0].latency_ms == 10.0  # two nets
    counts = json.loads(places(workspace, pack).metrics.read_text())
    assert counts["lines"] == {"pass": 1, "fail": 1}
    page = places(workspace, pack).page.read_text()
    assert page.index(">✗ fail</span>") < page.index(">✓ pass</span>")


def test_a_run_on_another_pack_of_the_release_counts_where_the_pack_is_known(
    tmp_path: Path, room: tuple[Workspace, Pack]
) -> None:
    workspace, pack = room
    phone = make_pack(tmp_path / "phone", [60 + 5 * index for index in range(COUNT - 2)])
    ingest_run(workspace.home, write_run(tmp_path / "cpu", phone, key()), phone.path)
    table, _ = judged(workspace, pack)
    assert [row.standing for row in table.rows] == ["not_judged"]
    (workspace.private / "made-elsewhere.txt").write_text(f"{phone.path}\n")
    table, fallback = judged(workspace, pack)
    assert [(row.standing, row.images) for row in table.rows] == [("pass", COUNT - 2)]
    assert fallback.without_any_cpu == ""


def test_a_run_that_was_changed_is_a_line_with_the_reason(
    tmp_path: Path, room: tuple[Workspace, Pack]
) -> None:
    workspace, pack = room
    run = ingest_run(workspace.home, write_run(tmp_path / "cpu", pack, key()), pack.path).path
    (run / "nets/marker/points.npy").write_bytes(b"changed")
    table, _ = judged(workspace, pack)
    (row,) = table.rows
    assert row.standing == "not_judged"
    assert "points.npy is missing or was changed" in row.reasons[0]
