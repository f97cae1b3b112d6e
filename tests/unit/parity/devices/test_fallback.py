"""The order that an app ships: what may be in it, where it fits, and what comes first."""

from pathlib import Path

import pytest
from fleet_records import FLOAT32, INT8, PACK, PIXEL, comparison, gpu, key, log, run
from small_pack import make_pack

from mirrorset.records import ParityKey
from parity.devices.fallback import Fallback, fallback_of
from parity.devices.rows import Evidence, table_of
from parity.logs.records import BenchmarkRun
from parity.records import Outcome, PackRecord

GALAXY = "Galaxy S24, Android 14, Exynos 2400"
PIXEL_PRO = "Pixel 8 Pro, Android 15, Tensor G3"
LAPTOP = "AMD EPYC, x86_64"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> PackRecord:
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", [200]).record


def order(
    pack: PackRecord,
    *said: tuple[ParityKey, Outcome, float | None],
    benchmarks: tuple[BenchmarkRun, ...] = (),
    sizes: dict[str, int] | None = None,
    nets: tuple[str, ...] = ("marker",),
) -> Fallback:
    """Of runs with this verdict and time."""
    runs = {str(number): run(one, ms) for number, (one, _, ms) in enumerate(said)}
    comparisons = {
        str(number): comparison(one, outcome) for number, (one, outcome, _) in enumerate(said)
    }
    evidence = Evidence(runs, comparisons, frozenset([PACK]), benchmarks, sizes or {})
    return fallback_of(table_of(pack, evidence), nets)


def told(fallback: Fallback) -> list[tuple[str, str]]:
    """Basis and kernel of each entry."""
    return [(each.basis, each.nets["marker"].kernel) for each in fallback.entries]


def test_without_a_pass_there_is_nothing_and_a_reason(pack: PackRecord) -> None:
    empty = order(pack)
    assert (empty.entries, "whole chain" in empty.without_any_cpu) == ((), True)
    failed = order(pack, (key(), "fail", 1.0), (gpu(), "not_enough_evidence", 1.0))
    assert (failed.entries, "Nothing passed" in failed.without_any_cpu) == ((), True)


def test_device_then_chip_then_any_cpu(pack: PackRecord) -> None:
    found = order(pack, (key(), "pass", 8.0), (gpu(), "pass", 2.0))
    assert told(found) == [
        ("device", "gpu_opencl"), ("device", "xnnpack"),
        ("soc", "gpu_opencl"), ("soc", "xnnpack"), ("any_cpu", "xnnpack"),
    ]  # fmt: skip
    assert found.without_any_cpu == ""
    matches = [each.match for each in found.entries]
    assert (matches[0].device, matches[0].soc, matches[0].delegates) == ("Pixel 8", None, ("GPU",))
    assert (matches[2].device, matches[2].soc) == (None, "Tensor G3")
    assert matches[-1].fits("anything", "", ())


def test_an_app_takes_what_fits_where_it_is(pack: PackRecord) -> None:
    found = order(pack, (key(), "pass", 8.0), (gpu(), "pass", 2.0))

    def kernels(device: str, soc: str, *delegates: str) -> list[str]:
        fitting = found.fitting(device, soc, delegates)
        return [each.nets["marker"].kernel for each in fitting]

    assert kernels("pixel 8", "", "gpu")[0] == "gpu_opencl"
    assert kernels("Pixel 8", "")[0] == "xnnpack"
    assert kernels("Pixel 8 Pro", "Tensor G3", "GPU")[0] == "gpu_opencl"
    assert kernels("Galaxy S24", "Exynos 2400", "GPU") == ["xnnpack"]


def test_a_failure_on_a_device_takes_its_chip_and_any_cpu_away(pack: PackRecord) -> None:
    found = order(pack, (key(), "pass", 8.0), (key(PIXEL_PRO), "fail", 8.0))
    assert told(found) == [("device", "xnnpack")]
    assert "failed on another" in found.without_any_cpu
    other = order(pack, (key(), "pass", 8.0), (key(GALAXY), "fail", 8.0))
    assert told(other) == [("device", "xnnpack"), ("soc", "xnnpack")]
    missing = order(pack, (key(), "pass", 8.0), (key(GALAXY), "not_enough_evidence", 8.0))
    assert missing.entries[-1].basis == "any_cpu"
    assert missing.entries[-1].judged_on == (PIXEL,)


def test_half_precision_and_accelerators_are_not_for_any_cpu(pack: PackRecord) -> None:
    found = order(pack, (key(LAPTOP, "xnnpack_fp16"), "pass", 1.0), (gpu(), "pass", 1.0))
    assert {each.basis for each in found.entries} == {"device", "soc"}
    assert found.without_any_cpu != ""


def test_an_accelerator_that_took_no_node_is_not_shipped(pack: PackRecord) -> None:
    found = order(pack, (gpu(share=0.0), "pass", 1.0), (key(), "pass", 8.0))
    assert {each.nets["marker"].kernel for each in found.entries} == {"xnnpack"}


def test_a_part_of_the_chain_is_not_shipped(pack: PackRecord) -> None:
    assert order(pack, (key(), "pass", 8.0), nets=("finder", "marker")).entries == ()


def test_believable_times_come_first_then_the_faster_then_the_smaller(pack: PackRecord) -> None:
    untimed = key(LAPTOP, "optimised"), "pass", None
    fast = key(LAPTOP, "xnnpack"), "pass", 2.0
    slow = key(LAPTOP, "reference"), "pass", 20.0
    found = order(pack, untimed, slow, fast)
    kernels = [each.nets["marker"].kernel for each in found.entries if each.basis == "device"]
    assert kernels == ["xnnpack", "reference", "optimised"]
    # 8.01 and 8.04 ms are the same at two digits.
    sizes = {FLOAT32: 2000, INT8: 1000}
    small, large = key(LAPTOP, sha256=INT8), key(LAPTOP)
    tied = order(pack, (large, "pass", 8.01), (small, "pass", 8.04), sizes=sizes)
    assert tied.entries[0].nets["marker"].model_sha256 == INT8
    apart = order(pack, (large, "pass", 7.0), (small, "pass", 8.0), sizes=sizes)
    assert apart.entries[0].nets["marker"].model_sha256 == FLOAT32


def test_a_doubted_time_brings_nothing_to_the_front(pack: PackRecord) -> None:
    queued = log(runs_on="GPU", median_ms=0.2, warm_up_ms=40.0)
    found = order(pack, (gpu(), "pass", None), (key(), "pass", 8.0), benchmarks=(queued,))
    assert found.entries[0].nets["marker"].kernel == "xnnpack"
    shown = next(each for each in found.entries if each.nets["marker"].kernel == "gpu_opencl")
    assert shown.latency_ms is None


def test_for_any_cpu_the_slowest_pass_tells_the_time(pack: PackRecord) -> None:
    found = order(pack, (key(LAPTOP), "pass", 2.0), (key(), "pass", 9.0))
    assert found.entries[-1].latency_ms == 9.0
    assert found.entries[-1].judged_on == (LAPTOP, PIXEL)


def test_times_on_other_devices_do_not_tell_which_is_faster(pack: PackRecord) -> None:
    """The float file is the faster one where both ran, and slow on a phone that it passed on."""
    alike = [(key(LAPTOP), "pass", 2.0), (key(LAPTOP, sha256=INT8), "pass", 3.0)]
    found = order(pack, *alike, (key(), "pass", 9.0))  # type: ignore[arg-type]
    first, second = found.entries[-2:]
    assert [each.nets["marker"].model_sha256 for each in (first, second)] == [FLOAT32, INT8]
    assert (first.latency_ms, second.latency_ms) == (9.0, 3.0)
    # Where no device ran both, what passed on more goes first.
    apart = order(pack, (key(LAPTOP, sha256=INT8), "pass", 3.0), (key(), "pass", 9.0),
                  (key(GALAXY), "pass", 9.0))  # fmt: skip
    assert apart.entries[-2].nets["marker"].model_sha256 == FLOAT32


def test_the_order_is_the_same_whatever_came_first(pack: PackRecord) -> None:
    said = [(key(), "pass", 8.0), (gpu(), "pass", 8.0), (key(LAPTOP), "pass", None)]
    assert order(pack, *said) == order(pack, *reversed(said))  # type: ignore[arg-type]


def test_it_is_read_back_as_it_was_written(pack: PackRecord, tmp_path: Path) -> None:
    found = order(pack, (key(), "pass", 8.0))
    assert Fallback.model_validate_json(found.model_dump_json()) == found
