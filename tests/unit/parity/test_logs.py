"""Logs of benchmark tools: the real ones by their numbers, every prefix and wording, and none that
breaks the reader.
"""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from mirrorset.errors import InputError
from parity.logs.delegates import delegation_of
from parity.logs.lines import decode, parse, runs_in
from parity.logs.read import of_model, read_log, runs_of, united
from parity.logs.records import BenchmarkRun, Delegation
from parity.logs.store import keep_runs, kept_runs
from parity.logs.table import render

RUN = """STARTING!
Log parameter values verbosely: [0]
Num threads: [2]
Graph: [/data/local/tmp/{model}.tflite]
Use gpu: [1]
Created TensorFlow Lite delegate for GPU.
Replacing 90 out of 100 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 4 partitions.
Created TensorFlow Lite XNNPACK delegate for CPU.
Replacing 8 out of 11 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 5 partitions.
The input model file size (MB): 1.25
Initialized session in 12.5ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds.
count=90 first=9000 curr=5100 min=5000 max=9000 avg=5400 std=300
Running benchmark for at least 50 iterations and at least 1 seconds.
count=200 first=5200 curr=5000 min=4900 max=6100 avg={avg} std=90 p5=4950 median=5080 p95=5600
Inference timings in us: Init: 12500, First inference: 9000, Warmup (avg): 5400, \
Inference (avg): {avg}
Peak memory footprint (MB): init=0 overall=0
"""


@pytest.fixture(scope="session")
def logs(shared_data: Path) -> Path:
    return shared_data / "device_logs"


def only(path: Path) -> BenchmarkRun:
    (run,) = read_log(path)
    return run


def written(folder: Path, text: str | bytes, name: str = "log.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# file: (model, MB, threads, init, first, warm-up mean, count, mean, median, p95)
NUMBERS = {
    "s01_android_cpu_xnnpack_logcat_v_time.txt": (
        ("face.tflite", 2.4396, 4, 39.2, 1732, 1732, 20, 1712.31, 1709, 1801),
        Delegation(
            delegate="XNNPACK",
            nodes=208,
            all_nodes=210,
            share=0.990476,
            partitions=3,
            runs_on="CPU",
        ),
    ),
    "s02_linux_arm64_gpu_info_prefix.txt": (
        ("face_int8.tflite", 0.7695, None, 912.41, 61.2, 56.012, 50, 55.246, 55.15, 56.62),
        Delegation(delegate="GPU", share=1.0, runs_on="GPU"),
    ),
    "s03_android_nnapi_partial_no_prefix.txt": (
        ("face_int8.tflite", 0.769536, 4, 201.2, 18.1, 16.3325, 62, 16.1013, None, None),
        Delegation(delegate="NNAPI", partitions=7, runs_on="NNAPI"),
    ),
    "s06_coreml_delegate_mac_ios.txt": (
        ("face.tflite", 2.4396, None, 130.4, 2.1, 1.2102, 410, 1.1504, None, None),
        Delegation(
            delegate="CoreML",
            nodes=201,
            all_nodes=210,
            share=0.957143,
            partitions=4,
            runs_on="CoreML",
        ),
    ),
    "s09_qnn_external_delegate_zero_nodes.txt": (
        ("face_int8.tflite", None, None, 21, 9, 8.1, None, 8.0505, None, None),
        Delegation(delegate="QNN", nodes=0, all_nodes=99, share=0.0, partitions=0, runs_on="CPU"),
    ),
    "s10_litert2_benchmark_model.txt": (
        ("face.tflite", None, None, 410.2, 12.04, 2.04, 50, 1.7124, 1.71, 1.79),
        Delegation(
            delegate="GPU", nodes=210, all_nodes=210, share=1.0, partitions=1, runs_on="GPU"
        ),
    ),
    "local_litert_benchmark_cpu.txt": (
        ("fd_lm.tflite", 2.443, 1, 7.93, 1.04, 0.88, 20, 0.78, 0.77, 0.82),
        Delegation(delegate="XNNPACK", share=1.0, runs_on="CPU"),
    ),
    "local_litert_benchmark_gpu_swiftshader.txt": (
        ("fd_lm.tflite", 2.443, 1, 383.64, 1.8, 1.09, 10, 0.19, 0.18, 0.25),
        Delegation(delegate="GPU", runs_on="GPU"),
    ),
    "local_lb.json": (
        ("fd_lm.tflite", 2.443, 1, 7.93, 1.04, 0.88, 20, 0.78, 0.77, 0.82),
        Delegation(delegate="XNNPACK", share=1.0, runs_on="CPU"),
    ),
    "local_lb_gpu.json": (
        ("fd_lm.tflite", 2.443, 1, 383.64, 1.8, 1.09, 10, 0.19, 0.18, 0.25),
        Delegation(delegate="GPU"),
    ),
}
FAILED = {
    "s05_android_nnapi_op_failed.txt": (
        "NN API returned error ANEURALNETWORKS_OP_FAILED at line 3600 while completing NNAPI "
        "compilation."
    ),
    "s08_ios_app_duplicate_lines.txt": (
        "The log ends before the timed runs: the tool was stopped or crashed."
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_real_logs_give_their_numbers(logs: Path, name: str) -> None:
    run = only(logs / name)
    assert run.failure == ""
    assert run.inference is not None
    assert run.warm_up is not None
    measured = (
        run.model,
        run.model_mb,
        run.threads,
        run.init_ms,
        run.first_inference_ms,
        run.warm_up.mean_ms,
        run.inference.count,
        run.inference.mean_ms,
        run.inference.median_ms,
        run.inference.p95_ms,
    )
    assert (measured, run.delegation) == NUMBERS[name]


@pytest.mark.parametrize("name", FAILED)
def test_a_real_run_without_timings_has_failed(logs: Path, name: str) -> None:
    run = only(logs / name)
    assert (run.failure, run.inference, run.delegation.runs_on) == (FAILED[name], None, "")
    assert not run.is_believable


def test_every_real_log_is_looked_at(logs: Path) -> None:
    assert {path.name for path in logs.iterdir()} == {*NUMBERS, *FAILED}


def test_real_logs_give_memory_and_all_statistics(logs: Path) -> None:
    first = only(logs / "s01_android_cpu_xnnpack_logcat_v_time.txt")
    assert (first.memory.init_mib, first.memory.overall_mib) == (21.5, 37)
    litert = only(logs / "s10_litert2_benchmark_model.txt")
    assert (litert.memory.init_mib, litert.memory.overall_mib) == (41.74, 45.1)
    assert litert.memory.peak_mib is None
    assert litert.inference is not None
    took = litert.inference
    assert (took.min_ms, took.max_ms, took.std_ms, took.p5_ms) == (1.65, 1.9, 0.031, 1.66)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("local_litert_benchmark_cpu.txt", "local_lb.json"),
        ("local_litert_benchmark_gpu_swiftshader.txt", "local_lb_gpu.json"),
    ],
)
def test_text_and_json_of_one_run_are_one_run(logs: Path, text: str, answer: str) -> None:
    printed, wrote = only(logs / text), only(logs / answer)
    assert printed.run_id == wrote.run_id
    same = {"inference", "warm_up", "init_ms", "first_inference_ms", "model", "model_mb", "threads"}
    assert printed.model_dump(include=same) == wrote.model_dump(include=same)
    for told in ([printed, wrote], [wrote, printed]):
        (run,) = united(told)
        assert len(run.sources) == 2
        assert run.model_dump(exclude={"sources"}) == printed.model_dump(exclude={"sources"})


def test_times_without_the_work_are_flagged(logs: Path) -> None:
    run = only(logs / "local_litert_benchmark_gpu_swiftshader.txt")
    assert [doubt.kind for doubt in run.doubts] == ["asynchronous", "software"]
    assert "0.19 ms on GPU are under a third of warm-up's 1.09 ms" in run.doubts[0].detail
    assert "SwiftShader" in run.doubts[1].detail
    assert not run.is_believable


def test_what_the_log_does_not_prove_is_said(logs: Path) -> None:
    kinds = {
        name: [doubt.kind for doubt in only(logs / name).doubts] for name in (*NUMBERS, *FAILED)
    }
    assert {name: each for name, each in kinds.items() if each} == {
        "s03_android_nnapi_partial_no_prefix.txt": ["profiled"],
        "local_lb_gpu.json": ["asynchronous", "unproven"],
        "local_litert_benchmark_gpu_swiftshader.txt": ["asynchronous", "software"],
    }


# --- prefixes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "level", "process"),
    [
        ("", "", ""),
        ("INFO: ", "I", ""),
        ("ERROR: ", "E", ""),
        ("05-11 09:10:01.100 I/tflite  ( 4100): ", "I", "4100"),
        ("2026-05-11 09:10:01.100 W/tflite(4100): ", "W", "4100"),
        ("07-14 13:14:52.190 22838 22840 I tflite  : ", "I", "22838"),
        ("07-14 13:14:52.190 u0_a12 22838 22840 E tflite  : ", "E", "22838"),
        ("I/tflite  ( 4100): ", "I", "4100"),
        ("I tflite  : ", "I", ""),
        ("05-11 09:10:01.100 I/tflite  ( 4100): ERROR: ", "E", "4100"),
        ("2026-11-22 13:26:57 INFO benchmark_litert_model: ", "I", ""),
        ("INFO: [./litert/tools/benchmark_litert_model.h:92] ", "I", ""),
        ("I0000 00:00:1795354083.433913    2095 environment.cc:532] ", "I", ""),
        ("2026-05-11 10:00:37.676 benchmark_model[1000:100000] ", "", ""),
        ("\x1b[32mINFO: \x1b[0m", "I", ""),
    ],
)
def test_prefixes_are_taken_off(prefix: str, level: str, process: str) -> None:
    message = "Inference timings in us: Init: 1, First inference: 2"
    line = parse(f"{prefix}{message}\r\n")
    assert (line.message, line.level, line.process) == (message, level, process)


def prefixed(text: str, prefix: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in text.splitlines())


def facts(run: BenchmarkRun) -> dict[str, object]:
    return run.model_dump(exclude={"sources", "run_id"})


@pytest.mark.parametrize(
    "prefix",
    [
        "INFO: ",
        "05-11 09:10:01.100 I/tflite  ( 4100): ",
        "07-14 13:14:52.190 22838 22840 I tflite  : ",
        "07-14 13:14:52.190 22838 22840 I tflite  : INFO: ",
    ],
)
def test_a_prefix_changes_nothing(tmp_path: Path, prefix: str) -> None:
    text = RUN.format(model="face", avg="5100.5")
    plain = only(written(tmp_path, text))
    again = only(written(tmp_path, prefixed(text, prefix)))
    assert (again.run_id, facts(again)) == (plain.run_id, facts(plain))
    assert plain.delegation == Delegation(
        delegate="GPU", nodes=90, all_nodes=100, share=0.9, partitions=4, runs_on="GPU"
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_encoding_changes_nothing(tmp_path: Path, encoding: str) -> None:
    text = RUN.format(model="face", avg="5100.5").replace("\n", "\r\n")
    plain, again = only(written(tmp_path, text)), written(tmp_path, text.encode(encoding))
    assert facts(only(again)) == facts(plain)


def test_lines_that_ios_prints_twice_count_once(tmp_path: Path) -> None:
    text = RUN.format(model="face", avg="5100.5")
    plain = only(written(tmp_path, text))
    side_by_side = "".join(f"{line}\nINFO: {line}\n" for line in text.splitlines())
    assert facts(only(written(tmp_path, side_by_side))) == facts(plain)
    in_blocks = only(written(tmp_path, text + prefixed(text, "INFO: ")))
    assert facts(in_blocks) == facts(plain)


# --- several runs -----------------------------------------------------------------------------


def test_runs_in_one_file_are_told_apart(tmp_path: Path) -> None:
    failed = "STARTING!\nGraph: [/x/int8.tflite]\nERROR: Failed to load model /x/int8.tflite\n"
    texts = [RUN.format(model="a", avg="5000"), failed, RUN.format(model="b", avg="6000")]
    found = read_log(written(tmp_path, "".join(texts)))
    assert [(run.model, run.failure) for run in found] == [
        ("a.tflite", ""),
        ("int8.tflite", "Failed to load model /x/int8.tflite."),
        ("b.tflite", ""),
    ]
    assert [run.inference.mean_ms for run in found if run.inference] == [5, 6]


def test_a_run_that_crashed_ends_where_the_next_begins(tmp_path: Path) -> None:
    cut = RUN.format(model="a", avg="5000").partition("Inference timings")[0]
    first, second = read_log(written(tmp_path, cut + RUN.format(model="a", avg="6000")))
    assert first.failure.startswith("The log ends before the timed runs")
    assert second.inference is not None
    assert second.inference.mean_ms == 6


def test_processes_that_logcat_interleaves_are_told_apart(tmp_path: Path) -> None:
    one = prefixed(RUN.format(model="a", avg="5000"), "07-14 13:14:52.190 111 111 I tflite  : ")
    two = prefixed(RUN.format(model="b", avg="6000"), "07-14 13:14:52.190 222 222 I tflite  : ")
    noise = "07-14 13:14:52.190 333 333 E WifiHAL : Failed to scan\n--------- beginning of main\n"
    mixed = "".join(
        a + noise + b for a, b in zip(one.splitlines(True), two.splitlines(True), strict=True)
    )
    found = read_log(written(tmp_path, mixed))
    assert [run.model for run in found] == ["a.tflite", "b.tflite"]
    assert all(run.errors == () for run in found)


def test_nothing_but_summaries_are_runs_too(tmp_path: Path) -> None:
    line = "... Inference timings in us: Init: 1000, First inference: 9000, Inference (avg): {}\n"
    grepped = "".join(line.format(avg).removeprefix("... ") for avg in (5000, 6000))
    assert [
        run.inference.mean_ms for run in read_log(written(tmp_path, grepped)) if run.inference
    ] == [5, 6]


# --- delegates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "delegation"),
    [
        ([], Delegation(runs_on="CPU")),
        (
            ["INFO: Created TensorFlow Lite XNNPACK delegate for CPU."],
            Delegation(delegate="XNNPACK", runs_on="CPU"),
        ),
        (["Use gpu: [1]"], Delegation(delegate="GPU")),
        (["Use gpu: [0]", "Use NNAPI: [0]"], Delegation(runs_on="CPU")),
        (
            ["Hexagon delegate: 41 nodes delegated out of 315 nodes with 46 partitions."],
            Delegation(
                delegate="Hexagon",
                nodes=41,
                all_nodes=315,
                share=0.130159,
                partitions=46,
                runs_on="Hexagon",
            ),
        ),
        (
            ["Hexagon delegate: 3 nodes delegated out of 4 nodes."],
            Delegation(delegate="Hexagon", nodes=3, all_nodes=4, share=0.75, runs_on="Hexagon"),
        ),
        (
            ["[Qnn Delegate] QNN delegate: 47 nodes delegated out of 47 nodes with 1 partitions"],
            Delegation(
                delegate="QNN", nodes=47, all_nodes=47, share=1, partitions=1, runs_on="QNN"
            ),
        ),
        (
            ["NeutronDelegate: 1 nodes delegated out of 1 nodes with 1 partitions."],
            Delegation(
                delegate="Neutron", nodes=1, all_nodes=1, share=1, partitions=1, runs_on="Neutron"
            ),
        ),
        (
            ["Replacing 5 node(s) with delegate (TfLiteNnapiDelegate) node."],
            Delegation(delegate="NNAPI", nodes=5, runs_on="NNAPI"),
        ),
        (
            [
                "Replacing 7 out of 7 node(s) with delegate (LITERT_CL) node, yielding 1 "
                "partitions for subgraph 0 (decode).",
                "Replacing 3 out of 5 node(s) with delegate (LITERT_CL) node, yielding 2 "
                "partitions for subgraph 1 (draft).",
            ],
            Delegation(
                delegate="GPU", nodes=10, all_nodes=12, share=0.833333, partitions=3, runs_on="GPU"
            ),
        ),
        (
            [
                "External delegate path: [/usr/lib/libvx_delegate.so]",
                "EXTERNAL delegate created.",
                "Explicitly applied EXTERNAL delegate, and the model graph will be completely "
                "executed by the delegate.",
            ],
            Delegation(delegate="vx", share=1, runs_on="vx"),
        ),
        (
            [
                "GPU delegate created.",
                "Though GPU delegate is explicitly applied, the model graph will not be executed "
                "by the delegate.",
            ],
            Delegation(delegate="GPU", nodes=0, share=0, runs_on="CPU"),
        ),
        (
            [
                "NNAPI delegate created.",
                "Replacing 90 out of 100 node(s) with delegate (TfLiteNnapiDelegate) node, "
                "yielding 3 partitions.",
                "ERROR: Restored original execution plan after delegate application failure.",
            ],
            Delegation(delegate="NNAPI", nodes=0, share=0, runs_on="CPU"),
        ),
        (
            [
                "Accelerators:    NPU | CPU",
                "WARNING: [npu_registry.cc:34] NPU accelerator could not be loaded and registered",
                "Fully accelerated: True",
            ],
            Delegation(delegate="NPU", nodes=0, share=0, runs_on="CPU"),
        ),
        (
            ["Accelerators:    GPU", "Fully accelerated: True"],
            Delegation(delegate="GPU", share=1, runs_on="GPU"),
        ),
    ],
)
def test_who_ran_the_model(lines: list[str], delegation: Delegation) -> None:
    assert delegation_of(map(parse, lines)) == delegation


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "failure"),
    [
        ("2.7e+06", ""),
        ("1e999", "The log ends"),
        ("nan", "The log ends"),
        ("0", "The mean time is 0.0 ms"),
        ("-5", "The mean time is -0.005 ms"),
    ],
)
def test_a_mean_must_be_a_time(tmp_path: Path, mean: str, failure: str) -> None:
    line = f"Inference timings in us: Init: 1, First inference: 2, Inference (avg): {mean}"
    run = only(written(tmp_path, line))
    assert run.failure.startswith(failure)
    assert bool(run.failure) == bool(failure)
    if not failure:
        assert run.inference is not None
        assert run.inference.mean_ms == 2700


def test_statistics_that_contradict_each_other_are_doubted(tmp_path: Path) -> None:
    text = RUN.format(model="face", avg="5100.5").replace("median=5080", "median=9080")
    run = only(written(tmp_path, text))
    assert [doubt.kind for doubt in run.doubts] == ["contradictory"]
    assert run.doubts[0].detail == "Of the timed runs, median is 9.08 ms and p95 is 5.6 ms."


def test_timings_after_benchmarking_failed_are_none(tmp_path: Path) -> None:
    text = RUN.format(model="face", avg="5100.5") + "Benchmarking failed.\n"
    run = only(written(tmp_path, text))
    assert (run.failure, run.inference) == ("Benchmarking failed.", None)


# --- what is no log ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "empty.txt", "holds no benchmark run"),
        (b"hello\n", "other.txt", "holds no benchmark run"),
        (b"\0" * 5000, "zeros.bin", "holds no benchmark run"),
        (b"{", "cut.json", "is JSON of no benchmark run (the file: Invalid JSON"),
        (b'{"model": "a"}', "other.json", "is JSON of no benchmark run (LitertAnswer.latency"),
        (
            b'{"model": "a", "latency": {"avg_ms": 1, "num_warmup_runs": -1}}',
            "negative.json",
            "latency.num_warmup_runs: Input should be greater than or equal to 0",
        ),
        (b"[" * 100_000, "deep.json", "holds no benchmark run"),
        (b"{" * 100_000, "deeper.json", "is JSON of no benchmark run"),
    ],
)
def test_what_is_no_log_is_said_in_a_sentence(
    tmp_path: Path, content: bytes, name: str, words: str
) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        read_log(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match="is no file"):
            read_log(path)


# --- what is kept -----------------------------------------------------------------------------


def test_runs_are_kept_once(tmp_path: Path, logs: Path) -> None:
    folder = tmp_path / "benchmarks"
    runs = united(run for path in sorted(logs.iterdir()) for run in read_log(path))
    first = keep_runs(folder, runs)
    assert (first.new, first.extended, first.known) == (10, 0, 0)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = keep_runs(folder, runs)
    assert (again.new, again.extended, again.known) == (0, 0, 10)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert sorted(kept_runs(folder), key=lambda run: run.run_id) == sorted(
        runs, key=lambda run: run.run_id
    )


def test_a_second_account_completes_the_first(tmp_path: Path, logs: Path) -> None:
    wrote = read_log(logs / "local_lb_gpu.json")
    named = [run.model_copy(update={"device": "a server"}) for run in wrote]
    assert keep_runs(tmp_path, named).new == 1
    kept = keep_runs(tmp_path, read_log(logs / "local_litert_benchmark_gpu_swiftshader.txt"))
    (run,) = kept.runs
    assert (kept.extended, run.device, run.delegation.runs_on) == (1, "a server", "GPU")
    assert [doubt.kind for doubt in run.doubts] == ["asynchronous", "software"]
    assert kept_runs(tmp_path) == (run,)


def test_a_kept_run_that_was_changed_is_an_error(tmp_path: Path, logs: Path) -> None:
    (run,) = keep_runs(tmp_path, read_log(logs / "local_lb.json")).runs
    written(tmp_path, "{}", f"{run.run_id}.json")
    with pytest.raises(InputError, match="remove it and ingest its log again"):
        kept_runs(tmp_path)


def test_a_run_is_of_the_model_with_its_size(tmp_path: Path) -> None:
    run = only(written(tmp_path, RUN.format(model="face", avg="5000")))
    model = written(tmp_path, b"x" * 1_250_000, "face.tflite")
    assert of_model(run, model).model_sha256 is not None
    with pytest.raises(InputError, match=r"has 1\.30 MB and log\.txt is of a model with 1\.25 MB"):
        of_model(run, written(tmp_path, b"x" * 1_300_000, "other.tflite"))


def test_the_table_names_what_failed_and_what_is_doubted(logs: Path) -> None:
    console = Console(width=80, record=True)
    console.print(render(run for path in sorted(logs.iterdir()) for run in read_log(path)))
    text = console.export_text()
    assert "FAILED" in text
    assert "s05_android_nnapi_op_failed.txt: NN API returned" in text
    assert "CPU, not QNN" in text
    assert "0/99" in text
    assert "under a third of warm-up's" in text


def test_the_table_takes_any_name(tmp_path: Path) -> None:
    for name in ("[bold]x[/]", "[/]", "a" * 1900, "\x1b]0;title\x07", "漢字" * 100):
        runs = read_log(written(tmp_path, RUN.format(model=name, avg="5000")))
        console = Console(width=240, record=True)
        console.print(render(runs))
        assert "90/100" in console.export_text()


# --- anything at all --------------------------------------------------------------------------


def survives(content: bytes) -> None:
    """What is read from the bytes can be kept; or they are refused with an error of ours."""
    try:
        runs = runs_of(content, Path("fuzz.txt"))
    except InputError:
        return
    for run in runs:
        assert BenchmarkRun.model_validate_json(run.model_dump_json()) == run
        assert bool(run.failure) == (run.inference is None)


@given(content=st.binary(max_size=400))
@example(content=b"\xff\xfe")
@example(content=b"STARTING!\n" + b"9" * 3_000_000)
@example(content=b"count=" + b"1" * 100_000 + b"\nInference timings in us: Init: 1")
@example(content=("Replacing " + "9" * 5000 + " node(s) with delegate (X) node").encode())
@example(content=b"Num threads: [" + b"9" * 6000 + b"]\nSTARTING!")
def test_no_bytes_break_the_reader(content: bytes) -> None:
    survives(content)


WORDS = st.sampled_from(
    [
        "count=",
        "avg=",
        "1e999",
        "-1",
        "nan",
        "\0",
        "\n",
        "STARTING!\n",
        "Inference timings in us: Init: 1, First inference: 1, Inference (avg): 1\n",
        "Graph: [",
        "0 nodes delegated out of 0 nodes",
        "INFO: ",
        "I/tflite(1): ",
        "é",
        "\ud800",
        "١٢٣",
        "Use gpu: [1]\n",
    ]
)


@given(data=st.data())
def test_no_mutation_of_a_real_log_breaks_the_reader(logs: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(logs.iterdir())))
    text = path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 200)))
        text = text[:start] + data.draw(WORDS | st.text(max_size=8)) + text[end:]
    encoding = data.draw(st.sampled_from(["utf-8", "utf-16", "latin-1", "cp1252"]))
    survives(text.encode(encoding, errors="replace"))


@given(data=st.data())
def test_no_mutation_of_real_json_breaks_the_reader(logs: Path, data: st.DataObject) -> None:
    answer = json.loads((logs / "local_lb_gpu.json").read_text())
    values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    values |= st.lists(st.text(max_size=3), max_size=3)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.sampled_from([answer, answer["latency"]]))
        if isinstance(where, dict):
            where[data.draw(st.sampled_from(sorted(where)))] = data.draw(values)
        if not isinstance(answer["latency"], dict):
            break
    survives(json.dumps(answer).encode(errors="replace"))


def test_decoding_never_fails() -> None:
    for content in (
        b"\xff\xfe\x00",
        b"\xfe\xff\xd8\x00",
        b"a\0b\0c",
        b"\0a\0b\0",
        b"\xef\xbb\xbf\xff",
    ):
        assert isinstance(decode(content), str)
        assert list(runs_in(decode(content))) == []
