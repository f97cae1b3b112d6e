"""Keys, runs and comparisons of devices, told by hand."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mirrorset.records import ParityKey
from parity.logs.doubts import doubts_of
from parity.logs.records import BenchmarkRun, Delegation, Source, Timings
from parity.pack import Pack
from parity.records import (
    Comparison,
    Estimate,
    Gate,
    GateVerdict,
    Latency,
    NetComparison,
    NotRunnable,
    Outcome,
    RunNet,
    RunRecord,
)
from parity.run import reference_of
from parity.seals import checksums

PACK = "d" * 64
PIXEL = "Pixel 8, Android 15, Tensor G3"
FLOAT32, INT8 = "a" * 64, "b" * 64


def key(
    device: str = PIXEL, kernel: str = "xnnpack", sha256: str = FLOAT32, **more: Any
) -> ParityKey:
    """A key of LiteRT; its delegate is XNNPACK unless told otherwise."""
    told = {"delegate": "XNNPACK", "threads": 1, "runtime": "LiteRT", "runtime_version": "2.3.0"}
    return ParityKey.model_validate(
        {**told, "model_sha256": sha256, "kernel": kernel, "device": device, **more}
    )


def gpu(device: str = PIXEL, sha256: str = FLOAT32, share: float | None = 1.0) -> ParityKey:
    """A key of the GPU."""
    return key(device, "gpu_opencl", sha256, delegate="GPU", delegated_share=share)


def run(one: ParityKey, ms: float | None = None, pack: str = PACK, reason: str = "") -> RunRecord:
    """A run of the chain's one net; reason: why it cannot run."""
    latency = None if ms is None else Latency(median_ms=ms, mean_ms=ms, p95_ms=ms)
    ran = RunNet(key=one, model_file="m.tflite", latency=latency)
    stopped = NotRunnable(model_file="m.tflite", key=one, reason=reason)
    return RunRecord(
        pack_digest=pack, release="faces", version="1.0.0", review_state="reviewed",
        fed="tensors", image_ids=("1" * 64,), nets={} if reason else {"marker": ran},
        not_runnable={"marker": stopped} if reason else {}, files={},
    )  # fmt: skip


def comparison(one: ParityKey, outcome: Outcome | None, pack: str = PACK) -> Comparison:
    """A comparison with one gate of this outcome, or none."""
    gate = Gate(metric="nme_to_reference", limit=0.002)
    measured = None if outcome == "not_enough_evidence" else Estimate(value=1, low=1, high=1)
    said = GateVerdict(
        gate=gate,
        output="points",
        slice="all",
        count=40,
        measured=measured,
        verdict=outcome or "pass",
    )
    return Comparison(
        release="faces", version="1.0.0", pack_digest=pack, chain="small",
        review_state="reviewed", count=40, reference_count=40, candidate_count=40,
        nets=(NetComparison(net="marker", reference=key("here"), candidate=one),),
        measures=(), slices=(), figures=(), gates=(said,) if outcome else (),
    )  # fmt: skip


def log(
    sha256: str | None = FLOAT32,
    device: str = "Pixel 8",
    runs_on: str = "CPU",
    median_ms: float = 5.0,
    warm_up_ms: float | None = None,
    file: str = "bench.txt",
    **more: Any,
) -> BenchmarkRun:
    """A benchmark log, with the doubts that its numbers raise."""
    delegate = "XNNPACK" if runs_on == "CPU" else runs_on
    made = BenchmarkRun(
        run_id="0" * 16, sources=(Source(file=file, sha256="c" * 64),), tool="benchmark_model",
        model="m.tflite", model_mb=2.5, model_sha256=sha256, device=device,
        delegation=Delegation(delegate=delegate, runs_on=runs_on),
        warm_up=None if warm_up_ms is None else Timings(mean_ms=warm_up_ms),
        inference=Timings(median_ms=median_ms, mean_ms=median_ms),
    ).model_copy(update=more)  # fmt: skip
    return made.model_copy(update={"doubts": doubts_of(made)})


def write_run(
    folder: Path, pack: Pack, one: ParityKey, shift: ArrayLike = 0.0, ms: float = 5.0
) -> Path:
    """What a device would bring back of `pack`: the sealed outputs, `shift` added to them.

    shift: for all, or for each picture.
    """
    for net, output in pack.chain.outputs:
        (folder / "nets" / net).mkdir(parents=True, exist_ok=True)
        values = pack.reference_outputs[net][output]
        added = np.asarray(shift, np.float32).reshape(-1, *[1] * (values.ndim - 1))
        np.save(folder / f"nets/{net}/{output}.npy", values + added)
    took = Latency(median_ms=ms, mean_ms=ms, p95_ms=ms)
    nets = {net: RunNet(key=one, model_file="m.tflite", latency=took) for net in pack.chain.nets}
    files = checksums(folder, besides="run.json")
    told = {"fed": "tensors", "files": files, "nets": nets}
    record = reference_of(pack).record.model_copy(update=told)
    (folder / "run.json").write_text(record.model_dump_json())
    return folder
