"""A chain's file says what runs, and a wrong one where and why in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorset.errors import SettingsError
from parity.chain import CHAINS, Chain, chain_file, load_chain, shipped_chains


@pytest.mark.parametrize("name", shipped_chains())
def test_shipped_chains_are_read_and_read_back(name: str) -> None:
    chain = load_chain(chain_file(name))
    assert chain.name == name
    again = Chain.model_validate_json(chain.model_dump_json())
    assert again == chain
    assert list(again.stages) == list(chain.stages)


def test_the_mirror_ends_in_a_hint() -> None:
    chain = load_chain(chain_file("smart_mirror"))
    assert list(chain.nets) == ["detector", "landmarks", "segmenter"]
    assert list(chain.stages)[-1] == "hint"
    assert "lift the chin" in chain.rules["hint"].labels
    assert chain.outputs[0] == ("detector", "regressors")


def changed(change: Callable[[dict[str, Any]], object], folder: Path) -> Path:
    values = yaml.safe_load((CHAINS / "smart_mirror.yaml").read_text())
    change(values)
    path = folder / "chain.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda c: c["stages"]["detector"]["input"].pop("width_px"),
            r"chain\.yaml: stage detector: input\.width_px: Field required\.$",
        ),
        (
            lambda c: c["stages"]["face"].update(rule="sdd_face"),
            r"stage face: is neither a net nor one of the rules",
        ),
        (lambda c: c["stages"].update(face=3), "stage face: is neither a net nor"),
        (
            lambda c: c["stages"]["points"].update(output="nope"),
            "stage points: it reads nope, and landmarks gives points and presence",
        ),
        (
            lambda c: c["stages"]["mask"].update(of=["landmarks"]),
            "stage mask: it reads probability, and landmarks gives points and presence",
        ),
        (
            lambda c: c["stages"]["points"].update(count=100),
            "stage ibug68: source: mesh478 has more than the 100 points of points",
        ),
        (
            lambda c: c["truth"]["label_points"].update({99: 33}),
            r"truth\.label_points\.99: ibug68 has 68 points",
        ),
        (
            lambda c: c["truth"]["label_points"].update({36: 4000}),
            r"truth\.label_points\.36: points gives 468 points, and none is 4000",
        ),
        (lambda c: c["truth"].update(eye_corners=[36, 36]), r"truth\.eye_corners: name two of"),
        (
            lambda c: c["stages"]["detector"]["input"].update(scale=0),
            r"stage detector: input\.scale: .*a scale of 0 makes all pictures alike",
        ),
        (lambda c: c["stages"]["hint"].update(yaw_deg=-1), "stage hint: yaw_deg: Input should be"),
        (
            lambda c: c["stages"]["face"].update(min_score="high"),
            r"stage face: min_score: Input should be a valid number",
        ),
        (
            lambda c: c["stages"]["pose"].update(of=["points"]),
            r"stage pose: of: no stage points before it gives ibug68",
        ),
        (
            lambda c: c["stages"]["lighting"].update(of=["ibug68"]),
            r"stage lighting: of: it reads image and ibug68, name 2 of them",
        ),
        (
            lambda c: c["stages"]["landmarks"]["input"].update(region="hint"),
            r"stage landmarks: input\.region: no stage hint before it gives a face",
        ),
        (
            lambda c: c["stages"]["landmarks"]["input"].update(height_px=100),
            r"stage landmarks: input: a face is cut as a square",
        ),
        (
            lambda c: c["stages"]["landmarks"].update(outputs=["a", "a"]),
            "stage landmarks: two have one name",
        ),
        (
            lambda c: c["stages"]["landmarks"].update(outputs=["points", "input"]),
            "stage landmarks: 'input' is no name here",
        ),
        (
            lambda c: c["stages"]["landmarks"].update(tolerances={"pints": 1}),
            "stage landmarks: tolerances name pints, which is none of the outputs",
        ),
        (lambda c: c["stages"].update({"../up": c["stages"]["hint"]}), "'../up' is no name here"),
        (lambda c: c["truth"].update(pose="hint"), r"truth\.pose: no stage hint gives pose"),
        (lambda c: c.pop("truth"), r"chain\.yaml: truth: Field required"),
        (lambda c: c.update(stages={"hint": c["stages"]["hint"]}), "of: no stage from_best"),
        (lambda c: c.update(stage={}), r"stage: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_chain_is_named(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said):
        load_chain(changed(change, tmp_path))


def test_a_file_that_is_no_chain_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "chain.yaml"
    with pytest.raises(SettingsError, match=r"cannot be read: .* one of face_landmarks_detector, "):
        load_chain(path)
    path.write_text("[")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_chain(path)
    path.write_text("- 1")
    with pytest.raises(SettingsError, match=r"chain\.yaml: Input should be"):
        load_chain(path)


def test_one_number_is_for_all_channels(tmp_path: Path) -> None:
    chain = load_chain(chain_file("smart_mirror"))
    assert chain.nets["detector"].input.mean == (127.5, 127.5, 127.5)
    path = changed(lambda c: c["stages"]["detector"]["input"].update(mean=[1, 2, 3]), tmp_path)
    assert load_chain(path).nets["detector"].input.mean == (1, 2, 3)
