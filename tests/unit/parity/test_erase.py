"""A face leaves a pack without anything being run again; the rest is bit for bit as it was."""

import json
from pathlib import Path

import numpy as np
import pytest

from mirrorset.erasure import Gone
from mirrorset.files import write_records, write_text
from mirrorset.records import ModelRef, ParityKey, Reason, Rejected
from parity.arrays import array_file, write_array
from parity.erase import erase_from_pack, erase_pack, erase_run, erase_runs
from parity.models import DEFAULT_SPEC, load_spec
from parity.pack import file_sha256, open_pack, sealed
from parity.records import Latency, PackItem, PackRecord, RunRecord

IDS = ["aa" * 32, "bb" * 32, "cc" * 32]
# The image shard of each.
SHARDS = [0, 2, 2]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A sealed pack of three faces with arrays of noise."""
    folder, rng = tmp_path / "pack", np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    spec = load_spec(DEFAULT_SPEC)
    items = [
        PackItem(
            index=index,
            image_id=one,
            face_id="0",
            file=f"images/{one}.jpg",
            label_points=((1.0, 2.0),),
            interocular_px=50.0,
            origin="model",
            slices={},
        )
        for index, one in enumerate(IDS)
    ]
    for item in items:
        (folder / item.file).write_bytes(item.image_id.encode())
    crops = rng.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    write_array(folder / "crops", crops, SHARDS)
    write_array(folder / "transforms", rng.random((3, 2, 3)), SHARDS)
    for name in spec.outputs:
        write_array(folder / "reference" / name, rng.random((3, 5), dtype=np.float32), SHARDS)
    write_records(folder / "items.jsonl", items)
    left_out = Rejected(item_id="dd" * 32, step="pack", reason=Reason.NO_FACE)
    write_records(folder / "left_out.jsonl", [left_out])
    write_text(folder / "ATTRIBUTION.csv", "image_id,author\n" + "".join(f"{i},A\n" for i in IDS))
    files = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in folder.rglob("*")
        if path.is_file()
    }
    key = ParityKey(
        model_sha256="e" * 64, runtime="r", runtime_version="1", kernel="k", delegate="",
        device="d", threads=1,
    )  # fmt: skip
    record = PackRecord(
        release="faces", version="1.0.0", release_digest="f" * 64, split="test",
        review_state="unreviewed", item_count=3, left_out_count=1, spec=spec,
        model=ModelRef(name="m", sha256="e" * 64, licence="x", is_commercial_use_allowed=True),
        reference_key=key, files=dict(sorted(files.items())), digest="",
    )  # fmt: skip
    write_text(folder / "pack.json", sealed(record).model_dump_json(indent=2) + "\n")
    open_pack(folder)
    return folder


def test_rows_of_the_others_stay(pack: Path) -> None:
    before = open_pack(pack)
    crops, transforms = np.concatenate(before.crops), before.transforms.copy()
    outputs = {name: values.copy() for name, values in before.reference_outputs.items()}
    gone = Gone(frozenset({IDS[1], "dd" * 32}))
    erase_from_pack(pack, "1.0.1", "9" * 64, gone)
    after = open_pack(pack)
    assert [(one.index, one.image_id) for one in after.items] == [(0, IDS[0]), (1, IDS[2])]
    assert np.array_equal(np.concatenate(after.crops), crops[[0, 2]])
    assert np.array_equal(after.transforms, transforms[[0, 2]])
    for name, values in after.reference_outputs.items():
        assert np.array_equal(values, outputs[name][[0, 2]])
    assert (after.record.version, after.record.release_digest) == ("1.0.1", "9" * 64)
    assert (after.record.item_count, after.record.left_out_count) == (2, 0)
    for path in pack.rglob("*"):
        assert IDS[1] not in path.name
        assert path.is_dir() or not gone.is_in(path.read_bytes())


def test_only_files_of_its_shard_are_written(pack: Path) -> None:
    before = {path: path.read_bytes() for path in pack.rglob("*.npy")}
    erase_from_pack(pack, "1.0.1", "9" * 64, Gone(frozenset({IDS[2]})))
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert changed == {array_file(path.parent, 2) for path in before}
    erase_from_pack(pack, "1.0.2", "9" * 64, Gone(frozenset({IDS[1]})))
    assert set(pack.rglob("*.npy")) == before.keys() - changed
    erase_from_pack(pack, "1.0.3", "9" * 64, Gone(frozenset({IDS[0]})))
    assert open_pack(pack).transforms.shape == (0, 2, 3)


def test_a_pack_without_it_only_follows_its_release(pack: Path) -> None:
    before = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    erase_from_pack(pack, "1.0.1", "9" * 64, Gone(frozenset({"99" * 32})))
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert changed == ["pack.json"]
    assert open_pack(pack).record.version == "1.0.1"


def test_packs_and_runs_of_ones_own_are_removed_where_they_hold_it(pack: Path) -> None:
    assert erase_pack(pack, Gone(frozenset({"99" * 32}))) == []
    (listed,) = erase_pack(pack, Gone(frozenset({IDS[0]})), is_dry_run=True)
    assert pack.is_dir()
    assert erase_pack(pack, Gone(frozenset({IDS[0]}))) == [listed]
    assert not pack.exists()
    runs = pack.parent / "faces-1.0.0"
    (runs / "model-xnnpack-1").mkdir(parents=True)
    (runs / "comparison.json").write_text(json.dumps({}))
    (found,) = erase_runs(runs)
    assert (found.count, runs.exists()) == (2, False)
    assert erase_runs(runs) == []


def test_a_run_on_a_pack_of_the_release_goes_and_no_other_folder(tmp_path: Path) -> None:
    key = ParityKey(
        model_sha256="ab" * 32, runtime="litert", runtime_version="2", kernel="xnnpack",
        delegate="none", device="host", threads=1,
    )  # fmt: skip
    made = RunRecord(
        pack_digest="d", release="faces", version="1.0.0", model_file="m.tflite", key=key,
        latency=Latency(median_ms=1, mean_ms=1, p95_ms=1), outputs={},
    )  # fmt: skip
    run, other = tmp_path / "run", tmp_path / "other"
    write_text(run / "run.json", made.model_dump_json())
    write_text(other / "run.json", "{}")
    assert erase_run(run, {("faces", "2.0.0")}, is_dry_run=False) == []
    assert erase_run(other, {("faces", "1.0.0")}, is_dry_run=False) == []
    assert len(erase_run(run, {("faces", "1.0.0")}, is_dry_run=True)) == 1
    assert run.is_dir()
    assert len(erase_run(run, {("faces", "1.0.0")}, is_dry_run=False)) == 1
    assert not run.exists()
    assert other.is_dir()
