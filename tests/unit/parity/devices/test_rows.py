"""The device table: every rule of docs/devices.md that says what a line is and holds."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from fleet_records import FLOAT32, INT8, PACK, PIXEL, comparison, gpu, key, log, run
from small_pack import make_pack

from parity.devices.records import DeviceRow, Standing, device_name
from parity.devices.rows import Evidence, table_of
from parity.logs.records import BenchmarkRun
from parity.records import Comparison, Outcome, PackRecord, RunRecord


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> PackRecord:
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", [200]).record


def rows(
    pack: PackRecord,
    runs: Mapping[str, RunRecord] | None = None,
    comparisons: Mapping[str, Comparison] | None = None,
    benchmarks: tuple[BenchmarkRun, ...] = (),
    **more: object,
) -> tuple[DeviceRow, ...]:
    evidence = Evidence(runs or {}, comparisons or {}, frozenset([PACK]), benchmarks, **more)  # type: ignore[arg-type]
    return table_of(pack, evidence).rows


def test_nothing_known_is_an_empty_table(pack: PackRecord) -> None:
    assert rows(pack) == ()


@pytest.mark.parametrize("outcome", ["pass", "fail", "not_enough_evidence"])
def test_a_run_has_the_verdict_of_its_comparison(pack: PackRecord, outcome: Outcome) -> None:
    (row,) = rows(pack, {"a": run(key(), 4.0)}, {"a": comparison(key(), outcome)})
    assert (row.standing, row.images, row.device) == (outcome, 40, PIXEL)
    assert (row.latency_ms, row.is_believable, row.runs_on) == (4.0, True, ("CPU",))
    assert bool(row.reasons) == (outcome != "pass")


def test_a_comparison_without_gates_is_no_pass(pack: PackRecord) -> None:
    (row,) = rows(pack, {}, {"a": comparison(key(), None)})
    assert (row.standing, row.reasons) == ("not_enough_evidence", ("no gate was set",))


def test_of_several_comparisons_the_worst_holds(pack: PackRecord) -> None:
    said = {name: comparison(key(), name) for name in ("pass", "fail", "not_enough_evidence")}
    (row,) = rows(pack, {}, said)  # type: ignore[arg-type]
    assert row.standing == "fail"


def test_a_delegate_that_took_no_node_once_is_not_counted_on(pack: PackRecord) -> None:
    (row,) = rows(pack, {"a": run(gpu(share=1.0), 4.0), "b": run(gpu(share=0.0), 4.0)})
    (net,) = row.nets
    assert (net.delegated_share, net.runs_on, net.has_refused) == (0.0, "CPU", True)


def test_a_device_is_the_same_however_it_is_spelled(pack: PackRecord) -> None:
    other = key("pixel 8,Android 15 , Tensor  G3")
    (row,) = rows(pack, {"a": run(key(), 4.0), "b": run(other, 4.0)})
    assert row.device == PIXEL


def test_what_steers_a_terminal_is_no_part_of_a_name() -> None:
    assert key("Pixel\x1b[31m 8").device == "Pixel [31m 8"


def test_what_cannot_run_or_was_not_judged_is_a_line(pack: PackRecord) -> None:
    found = rows(pack, {"a": run(gpu(), reason="no OpenCL"), "b": run(key(), 4.0)})
    standings: dict[Standing, DeviceRow] = {row.standing: row for row in found}
    assert standings["not_runnable"].reasons == ("marker cannot run: no OpenCL",)
    assert "compared with nothing" in standings["not_judged"].reasons[0]


def test_why_a_run_could_not_be_compared_is_told(pack: PackRecord) -> None:
    (row,) = rows(pack, {"a": run(key())}, unjudged={"a": "It was changed."})
    assert (row.standing, row.reasons) == ("not_judged", ("It was changed",))


def test_the_reference_is_held_against_nothing(pack: PackRecord) -> None:
    (row,) = rows(pack, {"a": run(key(kernel="reference"))}, reference="a")
    assert (row.standing, "reference" in row.reasons[0]) == ("not_judged", True)


def test_another_pack_counts_only_where_there_is_none_of_this_one(pack: PackRecord) -> None:
    old = "e" * 64
    known = {"old": run(key(), 1.0, pack=old)}, {"old": comparison(key(), "pass", pack=old)}
    (row,) = rows(pack, *known)
    assert (row.standing, "another release" in row.reasons[0]) == ("not_judged", True)
    runs, comparisons = known
    runs["new"], comparisons["new"] = run(key(), 4.0), comparison(key(), "fail")
    (row,) = rows(pack, runs, comparisons)
    assert (row.standing, row.latency_ms, row.evidence) == ("fail", 4.0, ("new",))


def test_a_delegate_that_took_no_node_is_the_cpu(pack: PackRecord) -> None:
    (row,) = rows(pack, {"a": run(gpu(share=0.0), 4.0)})
    assert (row.runs_on, row.nets[0].has_refused) == (("CPU",), True)


def test_a_log_belongs_to_the_line_of_its_file_device_and_delegate(pack: PackRecord) -> None:
    runs = {"a": run(key(), 4.0)}
    (row,) = rows(pack, runs, benchmarks=(log(median_ms=6.0),))
    assert (row.latency_ms, row.size_bytes) == (6.0, 2_500_000)
    assert row.evidence == ("a", "bench.txt")
    assert row.nets[0].time is not None
    assert row.nets[0].time.source == "log"
    others = (
        log(sha256=INT8), log(device="Pixel 9"), log(runs_on="GPU"), log(threads=4),
        log(sha256=None), log(device=""),
    )  # fmt: skip
    for other in others:
        found = rows(pack, runs, benchmarks=(other,))
        assert len(found) == 2
        alone = next(row for row in found if row.nets[0].net == "")
        assert alone.standing == "not_judged"
        assert alone.reasons


def test_of_several_logs_the_slowest_believable_counts(pack: PackRecord) -> None:
    logs = (log(median_ms=3.0), log(median_ms=5.0, file="b.txt"), log(median_ms=4.0))
    (row,) = rows(pack, {"a": run(key(), 9.0)}, benchmarks=logs)
    assert row.latency_ms == 5.0


def test_a_time_that_is_doubted_gives_way_to_the_runs_own(pack: PackRecord) -> None:
    queued = log(runs_on="GPU", median_ms=0.2, warm_up_ms=40.0)
    (row,) = rows(pack, {"a": run(gpu(), 9.0)}, benchmarks=(queued,))
    assert (row.latency_ms, row.is_believable) == (9.0, True)
    (row,) = rows(pack, {"a": run(gpu())}, benchmarks=(queued,))
    assert (row.latency_ms, row.is_believable) == (0.2, False)
    assert row.nets[0].time is not None
    assert "queued" in row.nets[0].time.doubt


@pytest.mark.parametrize(("one", "is_believable"), [(gpu(), False), (key(), True)])
def test_an_accelerator_cannot_be_faster_than_its_start(
    pack: PackRecord, one: object, is_believable: bool
) -> None:
    (row,) = rows(pack, {"a": run(one, 0.01)})  # type: ignore[arg-type]
    assert row.is_believable is is_believable


def test_a_benchmark_that_failed_is_a_line(pack: PackRecord) -> None:
    failed = log(runs_on="NNAPI", failure="Op 3 failed.", inference=None)
    (row,) = rows(pack, benchmarks=(failed,))
    assert (row.standing, row.reasons) == ("benchmark_failed", ("Op 3 failed",))
    assert row.latency_ms is None


def test_sizes_are_of_the_files_where_these_are_known(pack: PackRecord) -> None:
    known = {FLOAT32: 123}
    (row,) = rows(pack, {"a": run(key())}, benchmarks=(log(),), sizes=known)
    assert row.size_bytes == 123
    (row,) = rows(pack, {"a": run(key())})
    assert row.size_bytes is None


def test_the_parts_of_a_devices_name(tmp_path: Path) -> None:
    whole = device_name(PIXEL)
    assert (whole.model, whole.system, whole.soc) == ("Pixel 8", "Android 15", "Tensor G3")
    here = device_name("AMD EPYC, x86_64")
    assert (here.model, here.soc) == ("AMD EPYC", "")
    assert device_name("").model == ""
