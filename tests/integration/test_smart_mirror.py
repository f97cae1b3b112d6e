"""The mirror's chain on real portraits: real networks, packs, runs, and what the mirror says."""

import hashlib
import json
import tarfile
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from frl_template import read_template
from numpy.typing import NDArray
from portraits import Portrait, human_face, make_release
from relit import times
from typer.testing import CliRunner, Result

from faces.person_mask import PersonSegmenter
from faces.registry import fetch, load_registry
from flows.cli import app
from mirrorset.elsewhere import noted
from mirrorset.errors import InputError, SettingsError
from mirrorset.geometry import iou, transform
from mirrorset.metrics import mask_iou
from parity.chain import CHAINS
from parity.compare import compare
from parity.models import model_files
from parity.pack import Pack, PackParams, open_pack, seal
from parity.records import Gate
from parity.replay import completed
from parity.run import RunResult, open_run, reference_of, run

SCALE = 0.4
Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


def photo(path: Path) -> Image:
    """A portrait at 540 px."""
    small = cv2.resize(
        cv2.imread(str(path)), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA
    )
    return np.asarray(small[:, :, ::-1])


def marked(path: Path) -> Floats:
    """What people marked on it, px of 540."""
    return read_template(path.with_suffix(".tem")) * SCALE


def encoded(rgb: Image) -> bytes:
    return cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@pytest.fixture(scope="module")
def looks(shared_data: Path) -> dict[str, Portrait]:
    """One person as the mirror may see them, and two others to calibrate on."""
    folder = shared_data / "photos" / "frl_london"
    neutral = photo(folder / "neutral_front/005_03.jpg")
    template = marked(folder / "neutral_front/005_03.jpg")
    height, width = neutral.shape[:2]
    # Nobody marked the smile; the face lies about where it did.
    smiling = photo(folder / "smiling_front/005_08.jpg")
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1)
    leaning = cv2.warpAffine(neutral, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    eyes = template[[18, 27], 0]
    # A stop and a half more light on the left end of the eyes than on the right.
    share = (np.arange(width) - eyes[0]) / (eyes[1] - eyes[0])
    ramp = 0.8 * 2.0 ** (-1.5 * np.clip(share, -0.5, 1.5))
    lit = times(neutral, ramp[None, :, None])
    hidden = neutral.copy()
    hidden[int(height * 0.15) :] = 40
    found = {
        "neutral": Portrait(encoded(neutral), human_face(template)),
        "smiling": Portrait(encoded(smiling), human_face(template)),
        "leaning": Portrait(
            encoded(np.asarray(leaning)), human_face(transform(template, turn), roll_deg=-15.0)
        ),
        "lit": Portrait(encoded(lit), human_face(template, light="left")),
        "hidden": Portrait(encoded(hidden), human_face(template)),
    }
    for name in ("006_03", "007_03"):
        path = folder / "neutral_front" / f"{name}.jpg"
        found[name] = Portrait(encoded(photo(path)), human_face(marked(path)), split="train")
    return found


@pytest.fixture(scope="module")
def release(looks: dict[str, Portrait], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(list(looks.values()), tmp_path_factory.mktemp("work"), "human")


def image_id(portrait: Portrait) -> str:
    return hashlib.sha256(portrait.content).hexdigest()


@pytest.fixture(scope="module")
def params(looks: dict[str, Portrait], tmp_path_factory: pytest.TempPathFactory) -> PackParams:
    """The shipped chain without the tip of the nose, which the human labels lack."""
    values = yaml.safe_load((CHAINS / "smart_mirror.yaml").read_text())
    del values["truth"]["label_points"][30]
    path = tmp_path_factory.mktemp("chain") / "smart_mirror.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return PackParams(chain=str(path), best=image_id(looks["neutral"]))


@pytest.fixture(scope="module")
def pack(
    release: Path, params: PackParams, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Pack:
    return open_pack(seal(release, tmp_path_factory.mktemp("p") / "pack", params, model_cache))


@pytest.fixture(scope="module")
def files(pack: Pack, model_cache: Path) -> dict[str, Path]:
    return model_files(pack.chain, model_cache)


@pytest.fixture(scope="module")
def seen(pack: Pack, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """XNNPACK's run from the pictures on, with all tensors kept."""
    out = tmp_path_factory.mktemp("runs") / "seen"
    return run(pack, files, "xnnpack", 1, out, fed="images", is_input_kept=True)


def by_look(pack: Pack, looks: dict[str, Portrait], rule: str, run_: RunResult) -> dict[str, Any]:
    """A rule's value for each look, in words where it is a label."""
    rows = {one: row for row, one in enumerate(run_.record.image_ids)}
    tested = {name: each for name, each in looks.items() if each.split == "test"}
    values = {name: run_.rules[rule][rows[image_id(each)]] for name, each in tested.items()}
    labels = pack.record.rules[rule].labels
    if not labels:
        return values
    return {name: labels[value] if value >= 0 else None for name, value in values.items()}


def tensor_deviations(pack: Pack, candidate: RunResult) -> dict[str, float]:
    """The largest deviation of each output; of so few images verdicts alone tell figures."""
    gates = [
        Gate(metric="tensor_max_abs", output=f"{net}/{output}", limit=0)
        for net, output in pack.chain.outputs
    ]
    judged = compare(pack, reference_of(pack), candidate, gates).gates
    return {one.output: one.measured.value for one in judged if one.measured}


def test_the_mirror_says_what_differs_from_the_best_photo(
    pack: Pack, looks: dict[str, Portrait]
) -> None:
    assert pack.record.best_image_id == image_id(looks["neutral"])
    assert by_look(pack, looks, "hint", reference_of(pack)) == {
        "neutral": "stay",
        "smiling": "relax the mouth",
        "leaning": "tilt left",
        "lit": "face the light",
        "hidden": None,
    }


def test_every_stage_is_right_on_real_faces(pack: Pack, looks: dict[str, Portrait]) -> None:
    reference = reference_of(pack)
    assert by_look(pack, looks, "presence", reference) == {
        "neutral": "yes", "smiling": "yes", "leaning": "yes", "lit": "yes", "hidden": "no",
    }  # fmt: skip
    poses = by_look(pack, looks, "pose", reference)
    assert poses["leaning"][2] - poses["neutral"][2] == pytest.approx(-15, abs=2)
    assert np.isnan(poses["hidden"]).all()
    assert by_look(pack, looks, "lighting", reference)["lit"] == "left"
    for item in pack.items:
        row = pack.rule_values["face"][item.index]
        if item.image_id == image_id(looks["hidden"]):
            assert np.isnan(row).all()
            assert np.isnan(pack.transforms["landmarks"][item.index]).all()
            continue
        assert iou([item.box], [row[:4]])[0, 0] > 0.6
        # The detector's eyes lie between the labelled corners.
        assert item.eye_corners[0][0] < row[5] < row[7] < item.eye_corners[1][0]
        if item.image_id == image_id(looks["smiling"]):
            continue
        labelled = list(pack.chain.truth.label_points.values())
        points = pack.rule_values["points"][item.index][labelled]
        error = np.linalg.norm(points - item.label_points, axis=1).mean() / item.interocular_px
        assert error < 0.045


def test_the_mask_is_the_segmenters(pack: Pack, model_cache: Path) -> None:
    segmenter = PersonSegmenter(fetch(load_registry()["selfie_segmentation"], model_cache))
    for item in pack.items[:2]:
        (whole,) = segmenter.segment([pack.picture(item).rgb])
        small = cv2.resize(whole.astype(np.uint8), (256, 256), interpolation=cv2.INTER_AREA)
        assert mask_iou(small > 0, pack.rule_values["mask"][item.index] > 0) > 0.97


def test_the_key_says_which_kernel_made_the_reference(pack: Pack) -> None:
    kernels = {name: net.key.kernel for name, net in pack.record.nets.items()}
    assert kernels == {"detector": "reference", "landmarks": "reference", "segmenter": "xnnpack"}
    for net in pack.record.nets.values():
        assert net.model.licence == "Apache-2.0"
        assert net.model.sha256 == net.key.model_sha256


def test_the_sealed_tensors_are_what_the_nets_get(pack: Pack, seen: RunResult) -> None:
    """Byte by byte through the table, as a phone would, without a line of the engine's."""
    for net in ("detector", "segmenter"):
        bytes_ = np.concatenate(pack.pixels[net])
        tensors = np.stack([pack.values[net][bytes_[..., c], c] for c in range(3)], axis=-1)
        np.testing.assert_array_equal(tensors, seen.inputs[net])
        for own, tensor in zip(pack.tensors(net), tensors, strict=True):
            np.testing.assert_array_equal(own[0], tensor)


def test_kernels_agree_along_the_whole_chain(pack: Pack, seen: RunResult) -> None:
    gates = [
        Gate(metric="tensor_max_abs", output="landmarks/points", limit=0.05, minimum_count=1),
        Gate(metric="flip_share", output="hint", limit=0.5, minimum_count=1),
    ]
    comparison = compare(pack, reference_of(pack), seen, gates)
    assert [one.verdict for one in comparison.gates] == ["pass", "pass"]
    judged = comparison.gates[1]
    assert (judged.measured and judged.measured.value, judged.count) == (0, len(pack.items))
    deviations = tensor_deviations(pack, seen)
    assert 0 < deviations["detector/regressors"] < 2e-3
    assert 0 < deviations["landmarks/points"] < 0.05
    np.testing.assert_array_equal(seen.rules["hint"], pack.rule_values["hint"])


def test_every_task_is_measured_on_real_faces(pack: Pack, seen: RunResult) -> None:
    metrics = {
        "mask_iou_to_reference": "mask", "box_iou_to_reference": "face",
        "yaw_to_reference": "pose", "expression_to_reference": "expression",
        "candidate_nme": "points", "candidate_error_share": "lighting",
    }  # fmt: skip
    gates = [
        Gate(metric=metric, output=output, limit=0, minimum_count=1)
        for metric, output in metrics.items()
    ]
    comparison = compare(pack, reference_of(pack), seen, gates)
    found = {one.gate.metric: one.measured.value for one in comparison.gates if one.measured}
    counts = {one.gate.metric: one.count for one in comparison.gates}
    assert found["mask_iou_to_reference"] > 0.999
    assert found["box_iou_to_reference"] > 0.999
    assert found["yaw_to_reference"] < 0.05  # a pose is told in hundredths
    assert found["expression_to_reference"] < 1e-3
    assert 0.005 < found["candidate_nme"] < 0.1
    # The hidden face is found by neither run, and so counts for its labels alone.
    assert (counts["mask_iou_to_reference"], counts["yaw_to_reference"]) == (5, 4)
    lit = [item.lighting for item in pack.items]
    words = pack.record.rules["lighting"].labels
    said = [words[value] if value >= 0 else None for value in seen.rules["lighting"]]
    wrong = [a != b for a, b in zip(lit, said, strict=True)]
    assert found["candidate_error_share"] == pytest.approx(np.mean(wrong))
    (hints,) = [one for one in comparison.confusions if one.output == "hint"]
    assert not hints.has_flips
    assert sum(map(sum, hints.counts)) == len(pack.items)


def test_a_run_of_raw_outputs_tells_the_same(pack: Pack, seen: RunResult) -> None:
    bare = RunResult(seen.record, seen.outputs)
    whole = completed(pack, bare)
    for rule, values in seen.rules.items():
        np.testing.assert_array_equal(whole.rules[rule], values, err_msg=rule)
    np.testing.assert_array_equal(whole.transforms["landmarks"], seen.transforms["landmarks"])


def test_swapped_colours_are_seen_in_what_was_kept(
    pack: Pack, files: dict[str, Path], seen: RunResult, tmp_path: Path
) -> None:
    stages = dict(pack.chain.stages)
    net = pack.chain.nets["landmarks"]
    stages["landmarks"] = net.model_copy(
        update={"input": net.input.model_copy(update={"colour": "bgr"})}
    )
    swapped = pack.chain.model_copy(update={"stages": stages})
    candidate = run(
        pack, files, "xnnpack", 1, tmp_path / "run",
        fed="images", chain=swapped, is_input_kept=True,
    )  # fmt: skip
    np.testing.assert_array_equal(
        candidate.inputs["landmarks"][..., ::-1], seen.inputs["landmarks"]
    )
    np.testing.assert_array_equal(candidate.rules["face"], seen.rules["face"])
    deviations = tensor_deviations(pack, candidate)
    assert deviations["landmarks/points"] > 0.3
    assert deviations["detector/regressors"] < 2e-3


def test_a_net_that_cannot_run_is_a_finding_and_the_others_run(
    pack: Pack, files: dict[str, Path], tmp_path: Path
) -> None:
    ran = run(pack, files, "optimised", 1, tmp_path / "run", fed="images")
    assert set(ran.outputs) == {"detector", "landmarks"}
    assert "Convolution2DTransposeBias" in ran.record.not_runnable["segmenter"].reason
    assert "mask" not in ran.rules
    np.testing.assert_array_equal(ran.rules["hint"], pack.rule_values["hint"])
    comparison = compare(pack, reference_of(pack), open_run(tmp_path / "run"), ())
    assert comparison.has_failed
    assert list(comparison.not_runnable) == ["segmenter"]


# --- what is sealed -------------------------------------------------------------------------------


def test_sealing_again_gives_the_same_bytes(
    release: Path, params: PackParams, pack: Pack, model_cache: Path, tmp_path: Path
) -> None:
    again = open_pack(seal(release, tmp_path / "pack", params, model_cache))
    assert again.record == pack.record


def test_the_training_split_calibrates_and_does_not_judge(
    release: Path, params: PackParams, pack: Pack, model_cache: Path, tmp_path: Path
) -> None:
    values = params.model_copy(update={"split": "train", "best": None})
    calibration = open_pack(seal(release, tmp_path / "pack", values, model_cache))
    assert (calibration.record.purpose, len(calibration.items)) == ("calibration", 2)
    calibration.require_purpose("calibration")
    with pytest.raises(InputError, match="is a test pack"):
        pack.require_purpose("calibration")
    reference = reference_of(calibration)
    with pytest.raises(InputError, match="is a calibration pack"):
        compare(calibration, reference, reference, ())


def test_a_limited_pack_is_a_part_of_the_whole(
    release: Path, params: PackParams, pack: Pack, model_cache: Path, tmp_path: Path
) -> None:
    values = params.model_copy(update={"limit": 2, "best": None})
    small = open_pack(seal(release, tmp_path / "pack", values, model_cache))
    assert (small.record.limit, len(small.items)) == (2, 2)
    assert len(list((small.path / "images").iterdir())) == 2
    places = {item.image_id: item.index for item in pack.items}
    rows = [places[item.image_id] for item in small.items]
    for rule in ("face", "points", "pose"):
        np.testing.assert_array_equal(small.rule_values[rule], pack.rule_values[rule][rows])
    # A run on the whole and one on the part are compared on the part.
    gates = [
        Gate(metric="worst_displacement_px", limit=1e-6, minimum_count=1),
        Gate(metric="mask_iou_to_reference", limit=1, minimum_count=1),
    ]
    comparison = compare(pack, reference_of(pack), reference_of(small), gates, small)
    assert comparison.count == 2
    assert comparison.other_pack is not None
    is_same_best = small.record.best_image_id == pack.record.best_image_id
    assert ("hint" in comparison.other_pack.left_out) != is_same_best
    assert {one.verdict for one in comparison.gates} <= {"pass", "not_enough_evidence"}
    assert comparison.gates[1].verdict == "pass"


def test_a_best_photo_that_is_not_there_is_refused(
    release: Path, params: PackParams, model_cache: Path, tmp_path: Path
) -> None:
    values = params.model_copy(update={"best": "0" * 64})
    with pytest.raises(SettingsError, match=r"The best photo 0000.* is not among the 5 items"):
        seal(release, tmp_path / "pack", values, model_cache)
    assert list(tmp_path.iterdir()) == []


def test_pictures_hold_nothing_but_pixels_and_slices_are_told(pack: Pack) -> None:
    lines = (pack.path / "slices.csv").read_text().splitlines()
    assert lines[0] == "index,image_id,axis,cell"
    assert len(lines) == 1 + sum(len(item.slices) for item in pack.items)
    for item in pack.items:
        assert b"Exif" not in (pack.path / item.file).read_bytes()
        assert (item.width_px, item.height_px) == pack.picture(item).rgb.shape[1::-1]


# --- by commands ----------------------------------------------------------------------------------


def test_commands_seal_run_and_judge(release: Path, params: PackParams, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_text("dataset: {name: faces}\n")
    pack, ran, said = (str(tmp_path / name) for name in ("pack", "run", "comparison.json"))

    def parity(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["parity", *arguments, "--home", str(tmp_path), "--json"])

    sealing = ("pack", str(release), "--out", pack, "--chain", params.chain)
    sealed = parity(*sealing, "--limit", "2", "--tar")
    assert json.loads(sealed.stdout)["item_count"] == 2
    with tarfile.open(tmp_path / "pack.tar") as archive:
        assert "pack/pack.json" in archive.getnames()
    # An erasure will find the pack, its tar and the run.
    assert isinstance(parity(*sealing, "--split", "tset").exception, SettingsError)
    parity("run", "--pack", pack, "--out", ran, "--fed", "images", "--keep-inputs")
    assert {path.name for path in noted(tmp_path)} == {"pack", "pack.tar", "run"}
    assert (tmp_path / "run/nets/landmarks/input.npy").is_file()
    gates = tmp_path / "gates.yaml"
    gates.write_text("- {metric: flip_share, output: hint, limit: 0.7, minimum_count: 1}\n")
    judging = ("compare", "--pack", pack, "--candidate", ran, "--out", said)
    told = {name: tmp_path / name for name in ("said.md", "said.html", "metrics.json")}
    files = zip(("--markdown", "--html", "--metrics"), map(str, told.values()), strict=True)
    judged = parity(*judging, "--gates", str(gates), *chain.from_iterable(files))
    assert "labels that flip (hint)" in told["said.md"].read_text()
    assert "Labels that flip (hint)" in told["said.html"].read_text()
    assert json.loads(told["metrics.json"].read_text())["verdicts"]["pass"] == 1
    assert json.loads(judged.stdout)["gates"][0]["verdict"] == "pass"
    nameless = parity("run", "--pack", pack, "--out", ran, "--model", "mine.tflite").exception
    assert "NET one of detector, landmarks, segmenter" in str(nameless)
