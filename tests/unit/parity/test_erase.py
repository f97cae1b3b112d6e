"""A face leaves a pack without anything being run again; the rest is bit for bit as it was."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from small_pack import key, make_pack

from mirrorset.erasure import Gone
from mirrorset.files import write_text
from parity.arrays import array_file
from parity.erase import erase_from_pack, erase_pack, erase_run, erase_runs
from parity.pack import open_pack
from parity.records import RunNet, RunRecord
from parity.tar import tar_of, write_tar

IDS = ["01" * 32, "02" * 32, "03" * 32]
# The image shard of each.
SHARDS = [0, 2, 2]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A sealed pack of three faces, the first of which is the best photo."""
    return make_pack(tmp_path / "pack", [90, 250, 170], SHARDS).path


def test_rows_of_the_others_stay(pack: Path) -> None:
    before = open_pack(pack)
    pixels = {net: np.concatenate(shards) for net, shards in before.pixels.items()}
    transforms, outputs = before.transforms, before.reference_outputs
    rules = before.rule_values
    gone = Gone(frozenset({IDS[1], "dd" * 32}))
    erase_from_pack(pack, "1.0.1", "9" * 64, gone)
    after = open_pack(pack)
    assert [(one.index, one.image_id) for one in after.items] == [(0, IDS[0]), (1, IDS[2])]
    for net in after.chain.nets:
        assert np.array_equal(np.concatenate(after.pixels[net]), pixels[net][[0, 2]])
        assert np.array_equal(after.transforms[net], transforms[net][[0, 2]])
        for name, values in after.reference_outputs[net].items():
            assert np.array_equal(values, outputs[net][name][[0, 2]])
    for rule, values in after.rule_values.items():
        assert np.array_equal(values, rules[rule][[0, 2]]), rule
    assert after.record.best_image_id == IDS[0]
    assert {path.name for path in pack.glob("nets/*/values.npy")} == {"values.npy"}
    assert (after.record.version, after.record.release_digest) == ("1.0.1", "9" * 64)
    assert (after.record.item_count, after.record.left_out_count) == (2, 0)
    for path in pack.rglob("*"):
        assert IDS[1] not in path.name
        assert path.is_dir() or not gone.is_in(path.read_bytes())


def test_only_files_of_its_shard_are_written(pack: Path) -> None:
    before = {path: path.read_bytes() for path in pack.rglob("0*.npy")}
    erase_from_pack(pack, "1.0.1", "9" * 64, Gone(frozenset({IDS[2]})))
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert changed == {array_file(path.parent, 2) for path in before}
    erase_from_pack(pack, "1.0.2", "9" * 64, Gone(frozenset({IDS[1]})))
    assert set(pack.rglob("0*.npy")) == before.keys() - changed
    erase_from_pack(pack, "1.0.3", "9" * 64, Gone(frozenset({IDS[0]})))
    empty = open_pack(pack)
    assert empty.transforms["marker"].shape == (0, 2, 3)
    assert empty.record.best_image_id is None


def test_without_the_best_photo_another_is_and_what_it_told_is_told_anew(pack: Path) -> None:
    before = open_pack(pack)
    labels = before.chain.rules["hint"].labels
    assert [labels[each] for each in before.rule_values["hint"]] == [
        "stay", "relax the mouth", "relax the mouth",
    ]  # fmt: skip
    erase_from_pack(pack, "1.0.1", "9" * 64, Gone(frozenset({IDS[0]})))
    after = open_pack(pack)
    assert after.record.best_image_id == IDS[1]
    # As if the pack had been sealed without it.
    anew = make_pack(pack.parent / "anew", [250, 170])
    assert (after.rule_values["from_best"][0] == 0).all()
    for rule, values in anew.rule_values.items():
        np.testing.assert_array_equal(after.rule_values[rule], values, err_msg=rule)


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


def test_a_tar_of_ones_own_is_removed_where_it_holds_it(pack: Path) -> None:
    tar = tar_of(pack)
    write_tar(pack, tar)
    first = tar.read_bytes()
    write_tar(pack, tar)
    assert tar.read_bytes() == first
    with tarfile.open(tar) as archive:
        assert sorted(archive.getnames()) == sorted(
            f"pack/{path.relative_to(pack)}" for path in pack.rglob("*") if path.is_file()
        )
    assert erase_pack(tar, Gone(frozenset({"99" * 32}))) == []
    assert len(erase_pack(tar, Gone(frozenset({IDS[2]})), is_dry_run=True)) == 1
    assert len(erase_pack(tar, Gone(frozenset({IDS[2]})))) == 1
    assert not tar.exists()
    assert pack.is_dir()
    other = pack.with_name("other.tar")
    other.write_bytes(b"no tar")
    assert erase_pack(other, Gone(frozenset({IDS[2]}))) == []


def test_a_run_on_a_pack_of_the_release_goes_and_no_other_folder(tmp_path: Path) -> None:
    made = RunRecord(
        pack_digest="d", release="faces", version="1.0.0", review_state="reviewed",
        fed="tensors", image_ids=(IDS[0],), files={},
        nets={"marker": RunNet(key=key("xnnpack"), model_file="m.tflite")},
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
