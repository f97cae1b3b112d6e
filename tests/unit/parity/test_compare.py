"""Comparisons of outputs made by hand, where every figure is known."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mirrorset.errors import InputError
from mirrorset.records import ModelRef, ParityKey
from parity.arrays import write_array
from parity.compare import compare, read_comparison, write_comparison
from parity.models import load_spec
from parity.pack import Pack
from parity.records import Gate, Latency, PackItem, PackRecord
from parity.run import RunResult
from parity.table import render

COUNT = 24
INTEROCULAR_PX = 100.0
SPEC = load_spec().model_copy(
    update={
        "point_count": 3,
        "point_values": 2,
        "outputs": ("points", "presence"),
        "label_points": {36: 0, 45: 1},
    }
)
TRUTH = [[10.0, 20.0], [110.0, 20.0], [60.0, 80.0]]


def key(kernel: str) -> ParityKey:
    return ParityKey(
        model_sha256="a" * 64,
        runtime="LiteRT",
        runtime_version="2",
        kernel=kernel,
        delegate="none",
        device="test",
        threads=1,
    )


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Crops at half the scale of the originals; a third of the faces looks to the left."""
    write_array(
        tmp_path / "transforms", np.tile([[0.5, 0, 3], [0, 0.5, 7]], (COUNT, 1, 1)), [0] * COUNT
    )
    items = tuple(
        PackItem(
            index=index,
            image_id=f"{index:064x}",
            face_id="0",
            file="",
            label_points=((10.0, 20.0), (110.0, 20.0)),
            interocular_px=INTEROCULAR_PX,
            origin="model",
            slices={"pose": "left" if index % 3 == 0 else "frontal"},
        )
        for index in range(COUNT)
    )
    record = PackRecord(
        release="faces",
        version="1",
        release_digest="",
        split="test",
        review_state="unreviewed",
        item_count=COUNT,
        left_out_count=0,
        spec=SPEC,
        model=ModelRef(name="m", sha256="a" * 64, licence="", is_commercial_use_allowed=True),
        reference_key=key("reference"),
        files={},
        digest="d",
    )
    return Pack(tmp_path, record, items)


def result(kernel: str, shift_px: float = 0.0, presence: float = 1.0) -> RunResult:
    """A run whose points lie `shift_px` original px to the right of the truth."""
    in_crop = (np.array(TRUTH) + np.array([shift_px, 0])) * 0.5 + np.array([3, 7])
    points = np.tile(in_crop.ravel(), (COUNT, 1)).astype(np.float32)
    outputs = {"points": points, "presence": np.full((COUNT, 1), presence, np.float32)}
    return RunResult("d", key(kernel), Latency(median_ms=4, mean_ms=4, p95_ms=4), outputs)


def test_equal_runs_do_not_deviate(pack: Pack) -> None:
    comparison = compare(pack, result("reference"), result("xnnpack"), ())
    assert [tensor.max_abs for tensor in comparison.tensors] == [0, 0]
    assert [tensor.cosine for tensor in comparison.tensors] == pytest.approx([1, 1])
    assert comparison.latency_ratio == 1
    assert comparison.slices[0].nme_increase is not None
    assert comparison.slices[0].nme_increase.value == 0


def test_a_shift_is_measured_in_original_pixels_and_interocular_distances(pack: Pack) -> None:
    comparison = compare(pack, result("reference"), result("xnnpack", shift_px=2.0), ())
    whole = comparison.slices[0]
    assert whole.displacement_px is not None
    assert whole.nme_to_reference is not None
    assert whole.nme_increase is not None
    assert whole.worst_displacement_px is not None
    assert whole.displacement_px.value == pytest.approx(2.0, abs=1e-4)
    assert whole.worst_displacement_px.value == pytest.approx(2.0, abs=1e-4)
    assert whole.nme_to_reference.value == pytest.approx(0.02, abs=1e-6)
    assert whole.nme_increase.value == pytest.approx(0.02, abs=1e-6)
    assert comparison.tensors[0].max_abs == pytest.approx(1.0, abs=1e-4)


def test_small_slices_show_no_figures(pack: Pack) -> None:
    comparison = compare(pack, result("reference"), result("xnnpack", 2.0), ())
    rows = {row.slice: row for row in comparison.slices}
    assert rows["pose=frontal"].nme_to_reference is not None
    assert (rows["pose=left"].count, rows["pose=left"].is_enough) == (8, False)
    assert rows["pose=left"].nme_to_reference is None


def test_a_lost_face_is_counted(pack: Pack) -> None:
    candidate = result("xnnpack")
    candidate.outputs["presence"][:6] = -1
    gates = [Gate(metric="presence_flip_share", limit=0.0)]
    comparison = compare(pack, result("reference"), candidate, gates)
    assert comparison.slices[0].presence_flip_share is not None
    assert comparison.slices[0].presence_flip_share.value == 0.25
    assert comparison.has_failed


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_values_that_are_no_numbers_fail(pack: Pack, broken: float, tmp_path: Path) -> None:
    candidate = result("xnnpack")
    candidate.outputs["points"][3, 0] = broken
    gates = [
        Gate(metric="tensor_max_abs", output="points", limit=1e6),
        Gate(metric="nme_to_reference", limit=1e6),
        Gate(metric="worst_displacement_px", limit=1e6),
    ]
    comparison = compare(pack, result("reference"), candidate, gates)
    assert {verdict.verdict for verdict in comparison.gates} == {"fail"}
    write_comparison(tmp_path / "comparison.json", comparison)
    assert read_comparison(tmp_path / "comparison.json") == comparison


def test_a_presence_that_is_no_number_is_no_answer(pack: Pack) -> None:
    before, candidate = result("reference", presence=-1.0), result("xnnpack", presence=-1.0)
    candidate.outputs["presence"][3] = math.nan
    comparison = compare(pack, before, candidate, [Gate(metric="presence_flip_share", limit=0)])
    assert [verdict.verdict for verdict in comparison.gates] == ["fail"]


def test_a_pack_without_faces_is_not_compared(pack: Pack) -> None:
    empty = Pack(pack.path, pack.record, ())
    with pytest.raises(InputError, match="holds no face: label more images of the split test"):
        compare(empty, result("reference"), result("xnnpack"), ())


def test_an_output_of_zeros_points_nowhere(pack: Pack) -> None:
    candidate = result("xnnpack")
    candidate.outputs["points"][0] = 0
    assert compare(pack, result("reference"), candidate, ()).tensors[0].cosine == 0


def test_a_run_without_an_output_is_refused(pack: Pack) -> None:
    candidate = result("xnnpack")
    del candidate.outputs["presence"]
    with pytest.raises(InputError, match="lacks presence"):
        compare(pack, result("reference"), candidate, ())


def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="no comparison"):
        read_comparison(path)


def test_the_table_says_verdicts_and_the_state_of_the_labels(pack: Pack) -> None:
    gates = [
        Gate(metric="nme_to_reference", limit=0.001, slice="pose"),
        Gate(metric="displacement_px", limit=9.0, slice="pose=frontal"),
    ]
    comparison = compare(pack, result("reference"), result("xnnpack", 2.0), gates)
    text = io.StringIO()
    Console(file=text, width=160).print(render(comparison))
    lines = text.getvalue().splitlines()
    assert any("pose=frontal" in line and "FAIL" in line for line in lines)
    assert any("pose=left" in line and "not enough evidence" in line for line in lines)
    assert any("displacement" in line and "pass" in line for line in lines)
    assert any("unreviewed" in line for line in lines)
