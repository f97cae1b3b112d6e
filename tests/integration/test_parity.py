"""From a release of real portraits to verdicts, with the real model on its real kernels."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from portraits import make_release, portraits_in
from rich.console import Console
from typer.testing import CliRunner

from faces.registry import fetch, load_registry
from flows.cli import app
from mirrorset.errors import GateError, InputError, IntegrityError, SettingsError
from mirrorset.files import read_records
from mirrorset.geometry import transform
from mirrorset.records import (
    Rejected,
)
from parity.arrays import array_files
from parity.chain import CHAINS, DEFAULT_CHAIN
from parity.compare import compare, read_comparison, write_comparison
from parity.gates import load_gates
from parity.kernels import Kernel
from parity.pack import Pack, PackParams, open_pack, seal
from parity.records import Gate
from parity.run import RunResult, open_run, reference_of, run
from parity.table import render

Halves = NDArray[np.uint16]

COUNT = 12


@pytest.fixture(scope="module")
def portraits(shared_data: Path) -> Path:
    return shared_data / "photos" / "frl_london" / "neutral_front"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default chain without the tip of the nose, which the human labels lack."""
    return str(without_nose(DEFAULT_CHAIN, tmp_path_factory.mktemp("chain")))


def without_nose(name: str, folder: Path) -> Path:
    """The chain of that name in `folder`, holding no model to the tip of the nose."""
    values = yaml.safe_load((CHAINS / f"{name}.yaml").read_text())
    del values["truth"]["label_points"][30]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def release(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(
        portraits_in(portraits, COUNT, unlabelled=1), tmp_path_factory.mktemp("work"), "human"
    )


@pytest.fixture(scope="module")
def pack(
    release: Path, chain: str, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Pack:
    out = tmp_path_factory.mktemp("packs") / "faces"
    return open_pack(seal(release, out, PackParams(chain=chain), model_cache))


@pytest.fixture(scope="module")
def model(model_cache: Path) -> Path:
    return fetch(load_registry()["face_landmarks_detector"], model_cache)


@pytest.fixture(scope="module")
def xnnpack(pack: Pack, model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_on(pack, model, "xnnpack", tmp_path_factory.mktemp("runs") / "xnnpack")


@pytest.fixture(scope="module")
def coarse_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with the mantissas of its half-precision weights cut from ten bits to seven."""
    path = tmp_path_factory.mktemp("coarse") / "coarse.tflite"
    path.write_bytes(with_weights(model, lambda weights: weights & 0xFFF8))
    return path


def run_on(pack: Pack, model: Path, kernel: Kernel, out: Path) -> RunResult:
    """The model on the pack of one net, on one thread."""
    return run(pack, {"landmarks": model}, kernel, 1, out)


def with_weights(model: Path, change: Callable[[Halves], Halves]) -> bytes:
    """The model file with its half-precision weights, as their bits, changed."""
    content = bytearray(model.read_bytes())
    graph = schema.Model.GetRootAs(content, 0)
    for index in range(graph.BuffersLength()):
        data = graph.Buffers(index).DataAsNumpy()
        if isinstance(data, np.ndarray) and data.size > 64 and data.size % 2 == 0:
            weights = data.view(np.uint16)
            weights[:] = change(weights)
    return bytes(content)


def test_pack_holds_what_the_model_sees_and_what_people_said(pack: Pack, release: Path) -> None:
    assert len(pack.items) == COUNT
    assert pack.record.review_state == "reviewed"
    assert np.concatenate(pack.pixels["landmarks"]).shape == (COUNT, 256, 256, 3)
    assert pack.reference_outputs["landmarks"]["points"].shape[0] == COUNT
    left_out = list(read_records(pack.path / "left_out.jsonl", Rejected))
    assert [rejected.reason for rejected in left_out] == ["no_face"]
    for item in pack.items:
        # The outer eye corners lie level, left of right, in the upper half of the crop.
        points = dict(zip(pack.chain.truth.label_points, item.label_points, strict=True))
        corners = transform([points[36], points[45]], pack.transforms["landmarks"][item.index])
        assert corners[0, 1] == pytest.approx(corners[1, 1], abs=1e-6)
        assert corners[0, 0] < 128 < corners[1, 0]
        assert (pack.path / item.file).stat().st_size > 10_000
    attribution = (pack.path / "ATTRIBUTION.csv").read_text()
    assert attribution.count("CC-BY 4.0") == COUNT
    # No formula for a spreadsheet.
    assert attribution.count(",'=DeBruine and Jones,") == COUNT


def test_crops_are_upright_faces_that_the_model_finds_where_people_do(
    pack: Pack, xnnpack: RunResult
) -> None:
    nme = compare(pack, reference_of(pack), xnnpack, ()).estimate("reference_nme")
    assert nme is not None
    assert nme.high < 0.04


def test_kernels_agree_on_real_portraits(pack: Pack, xnnpack: RunResult, tmp_path: Path) -> None:
    comparison = compare(pack, reference_of(pack), xnnpack, load_gates())
    farthest = comparison.estimate("tensor_max_abs", "landmarks/points")
    alike = comparison.estimate("tensor_cosine", "landmarks/points")
    assert farthest is not None
    assert 0 < farthest.value < 2e-3
    assert alike is not None
    assert alike.value > 0.999999
    nme = comparison.estimate("nme_to_reference")
    assert nme is not None
    assert 0 < nme.high < 1e-4
    assert not comparison.has_failed
    # Twelve images without a flip do not say that fewer than two in a hundred flip.
    assert {one.gate.metric: one.verdict for one in comparison.gates} == {
        "tensor_max_abs": "pass",
        "nme_to_reference": "pass",
        "nme_increase": "pass",
        "flip_share": "not_enough_evidence",
    }
    (net,) = comparison.nets
    assert net.candidate.delegated_share == 1.0
    assert net.candidate_latency is not None
    write_comparison(tmp_path / "comparison.json", comparison)
    assert read_comparison(tmp_path / "comparison.json") == comparison


def test_coarse_weights_fail_the_gates(pack: Pack, coarse_model: Path, tmp_path: Path) -> None:
    candidate = run(pack, {"landmarks": coarse_model}, "xnnpack", 2, tmp_path / "run")
    comparison = compare(pack, reference_of(pack), candidate, load_gates())
    assert comparison.has_failed
    failed = {verdict.gate.metric for verdict in comparison.gates if verdict.verdict == "fail"}
    # What is added to so few labels' NME is beyond its limit, but not for certain.
    assert failed == {"tensor_max_abs", "nme_to_reference"}
    nme = comparison.estimate("nme_to_reference")
    assert nme is not None
    assert 0.003 < nme.value < 0.02
    assert comparison.nets[0].candidate.model_sha256 != comparison.nets[0].reference.model_sha256
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render(comparison))
    assert "FAIL" in capture.get()


def test_a_model_that_gives_no_numbers_fails_every_gate(
    pack: Pack, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(with_weights(model, lambda weights: np.full_like(weights, 0x7E00)))
    candidate = run_on(pack, broken, "xnnpack", tmp_path / "run")
    assert np.isnan(candidate.outputs["landmarks"]["points"]).all()
    comparison = compare(pack, reference_of(pack), open_run(tmp_path / "run"), load_gates())
    assert {verdict.verdict for verdict in comparison.gates} == {"fail"}


def test_a_run_on_shifted_crops_fails_the_gates(
    pack: Pack, model: Path, xnnpack: RunResult, tmp_path: Path
) -> None:
    copy = tmp_path / "pack"
    shutil.copytree(pack.path, copy)
    for file in array_files(copy / "nets/landmarks/inputs"):
        np.save(file, np.roll(np.load(file), 12, axis=2))
    shifted = Pack(copy, pack.record, pack.items)
    candidate = run_on(shifted, model, "xnnpack", tmp_path / "run")
    comparison = compare(pack, xnnpack, candidate, load_gates())
    verdicts = {verdict.gate.metric: verdict.verdict for verdict in comparison.gates}
    assert verdicts["nme_to_reference"] == "fail"
    assert comparison.estimate("latency_ratio") is not None


def test_few_images_are_not_enough_evidence(pack: Pack, coarse_model: Path, tmp_path: Path) -> None:
    candidate = run_on(pack, coarse_model, "xnnpack", tmp_path / "run")
    gate = Gate(metric="nme_to_reference", limit=1e-9, minimum_count=COUNT + 1)
    comparison = compare(pack, reference_of(pack), candidate, [gate])
    assert [verdict.verdict for verdict in comparison.gates] == ["not_enough_evidence"]
    assert not comparison.has_failed


def test_unreviewed_labels_are_refused_or_declared(
    portraits: Path, chain: str, model: Path, model_cache: Path, tmp_path: Path
) -> None:
    release = make_release(portraits_in(portraits, 2), tmp_path / "work", "model")
    with pytest.raises(InputError, match="2 of the 2 faces to test have labels that no person"):
        seal(release, tmp_path / "pack", PackParams(chain=chain), model_cache)
    params = PackParams(chain=chain, is_unreviewed=True)
    pack = open_pack(seal(release, tmp_path / "pack", params, model_cache))
    assert pack.record.review_state == "unreviewed"
    run_on(pack, model, "xnnpack", tmp_path / "run")
    assert open_run(tmp_path / "run").record.review_state == "unreviewed"
    assert {item.origin for item in pack.items} == {"model"}


def test_a_split_without_a_face_gives_a_pack_that_holds_none(
    portraits: Path, release: Path, pack: Pack, model: Path, model_cache: Path, tmp_path: Path
) -> None:
    unlabelled = make_release(portraits_in(portraits, 0, unlabelled=1), tmp_path / "work", "model")
    for source, split, left_out in ((release, "val", 0), (unlabelled, "test", 1)):
        params = PackParams.model_validate({"split": split})
        empty = open_pack(seal(source, tmp_path / split, params, model_cache))
        assert empty.items == ()
        assert empty.record.review_state == "unreviewed"
        assert (empty.record.item_count, empty.record.left_out_count) == (0, left_out)
        seen = pack.pixels["landmarks"][0]
        assert [each.shape for each in empty.pixels["landmarks"]] == [(0, *seen.shape[1:])]
        assert empty.transforms["landmarks"].shape == (0, 2, 3)
        for name, values in pack.reference_outputs["landmarks"].items():
            assert empty.reference_outputs["landmarks"][name].shape == (0, *values.shape[1:])
        for name, values in pack.rule_values.items():
            assert empty.rule_values[name].shape == (0, *values.shape[1:])
            assert empty.rule_values[name].dtype == values.dtype
        assert empty.record.nets == pack.record.nets
        assert empty.record.rules == pack.record.rules
        with pytest.raises(InputError, match=f"holds no face: .* the split {split}"):
            run_on(empty, model, "xnnpack", tmp_path / "run")
        with pytest.raises(InputError, match="holds no face"):
            compare(empty, reference_of(empty), reference_of(empty), load_gates())
    assert not (tmp_path / "run").exists()


def test_sealing_again_gives_the_same_bytes(
    release: Path, chain: str, pack: Pack, model_cache: Path, tmp_path: Path
) -> None:
    again = open_pack(seal(release, tmp_path / "pack", PackParams(chain=chain), model_cache))
    assert again.record == pack.record
    assert folder_sha256(again.path) == folder_sha256(pack.path)


def test_all_processors_say_the_same_without_times(
    pack: Pack, model: Path, xnnpack: RunResult, tmp_path: Path
) -> None:
    untimed = run(pack, {"landmarks": model}, "xnnpack", 1, tmp_path / "run", is_timed=False)
    for name, values in xnnpack.outputs["landmarks"].items():
        np.testing.assert_array_equal(untimed.outputs["landmarks"][name], values)
    assert untimed.record.nets["landmarks"].latency is None
    assert xnnpack.record.nets["landmarks"].latency is not None


def test_a_run_read_back_is_the_run(pack: Pack, model: Path, tmp_path: Path) -> None:
    written = run_on(pack, model, "optimised", tmp_path / "run")
    read = open_run(tmp_path / "run")
    assert read.record == written.record
    for name, values in written.outputs["landmarks"].items():
        np.testing.assert_array_equal(read.outputs["landmarks"][name], values)
    (tmp_path / "run/nets/landmarks/points.npy").write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match=r"points\.npy"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize(
    "name",
    [
        "nets/landmarks/inputs/00000.npy",
        "nets/landmarks/values.npy",
        "nets/landmarks/reference/points/00000.npy",
        "rules/points/00000.npy",
        "items.jsonl",
        "slices.csv",
    ],
)
def test_a_damaged_pack_is_detected(pack: Pack, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "pack"
    shutil.copytree(pack.path, copy)
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=Path(name).name):
        open_pack(copy)


def test_a_pack_record_edited_by_hand_is_detected(pack: Pack, tmp_path: Path) -> None:
    copy = tmp_path / "pack"
    shutil.copytree(pack.path, copy)
    text = (copy / "pack.json").read_text()
    (copy / "pack.json").write_text(text.replace('"reviewed"', '"unreviewed"'))
    with pytest.raises(IntegrityError, match=r"pack\.json"):
        open_pack(copy)


def test_wrong_inputs_are_said_in_one_sentence(
    pack: Pack, model: Path, release: Path, model_cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no pack"):
        open_pack(tmp_path)
    with pytest.raises(InputError, match="no run"):
        open_run(tmp_path)
    with pytest.raises(SettingsError, match="threads"):
        run(pack, {"landmarks": model}, "xnnpack", 0, tmp_path / "run")
    with pytest.raises(InputError, match="exists and is no run"):
        run_on(pack, model, "xnnpack", pack.path)
    with pytest.raises(InputError, match="exists and is no pack"):
        seal(release, tmp_path, PackParams(), model_cache)
    with pytest.raises(InputError, match="does not exist"):
        run_on(pack, tmp_path / "absent.tflite", "reference", tmp_path / "run")


def test_a_file_that_is_no_model_cannot_run_and_fails(pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "no.tflite").write_bytes(b"no model")
    ran = run_on(pack, tmp_path / "no.tflite", "reference", tmp_path / "run")
    assert ran.outputs == {}
    assert ran.record.not_runnable["landmarks"].model_file == "no.tflite"
    comparison = compare(pack, reference_of(pack), open_run(tmp_path / "run"), load_gates())
    assert comparison.has_failed
    assert {verdict.verdict for verdict in comparison.gates} == {"not_enough_evidence"}
    words = ["parity", "run", "--pack", str(pack.path), "--model", str(tmp_path / "no.tflite")]
    ended = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "again"), "--untimed"])
    assert isinstance(ended.exception, GateError)
    assert "No model ran (landmarks: " in str(ended.exception)


def test_another_models_shape_is_refused(pack: Pack, model_cache: Path, tmp_path: Path) -> None:
    mask_model = fetch(load_registry()["selfie_segmentation"], model_cache)
    with pytest.raises(InputError, match="1 outputs, not 3"):
        run_on(pack, mask_model, "xnnpack", tmp_path / "run")


def test_runs_of_another_pack_are_refused(pack: Pack, xnnpack: RunResult) -> None:
    record = xnnpack.record.model_copy(update={"pack_digest": "0" * 64})
    foreign = replace(xnnpack, record=record)
    with pytest.raises(InputError, match="another pack"):
        compare(pack, foreign, xnnpack, ())


def test_a_killed_run_leaves_nothing_half_done(
    release: Path, chain: str, pack: Pack, model_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    code = (
        "import sys; from pathlib import Path; from parity.pack import PackParams, seal\n"
        "release, out, chain, cache = sys.argv[1:]\n"
        "seal(Path(release), Path(out), PackParams(chain=chain), Path(cache))"
    )
    arguments = [sys.executable, "-c", code, *map(str, (release, out, chain, model_cache))]
    process = subprocess.Popen(arguments)
    deadline_s = time.monotonic() + 60
    while not (tmp_path / ".pack.part" / "left_out.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    seal(release, out, PackParams(chain=chain), model_cache)
    assert open_pack(out).record == pack.record
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def test_a_run_killed_while_it_is_kept_leaves_nothing_or_the_run_before(
    pack: Pack, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    # Its whole process group dies once the outputs are on the disk.
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from parity.pack import open_pack; from parity.run import run\n"
        "from parity import run as running\n"
        "running.RunRecord = lambda **_: os.killpg(0, signal.SIGKILL)\n"
        "pack, model, out = map(Path, sys.argv[1:])\n"
        "run(open_pack(pack), {'landmarks': model}, 'xnnpack', 1, out)"
    )
    arguments = [sys.executable, "-c", code, *map(str, (pack.path, model, out))]

    def killed() -> None:
        done = subprocess.run(arguments, start_new_session=True, check=False)
        assert done.returncode == -signal.SIGKILL
        assert (tmp_path / ".run.part/nets/landmarks/points.npy").is_file()

    killed()
    with pytest.raises(InputError, match="no run"):
        open_run(out)
    whole = run_on(pack, model, "optimised", out)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    killed()
    assert open_run(out).record == whole.record


def test_the_library_writes_nothing_on_the_screen(pack: Pack, model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from parity.pack import open_pack; from parity.run import run\n"
        "pack, model, out = map(Path, sys.argv[1:])\n"
        "run(open_pack(pack), {'landmarks': model}, 'xnnpack', 1, out)"
    )
    arguments = [sys.executable, "-c", code, *map(str, (pack.path, model, tmp_path / "run"))]
    done = subprocess.run(arguments, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def folder_sha256(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
