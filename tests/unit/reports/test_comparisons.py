"""comparison.json as parity writes it is read, and its verdicts are said in words."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mirrorset.errors import InputError
from mirrorset.load import open_release
from mirrorset.records import ParityKey
from parity.forensics.records import Deviation, Explanation, Finding, WorstImage
from parity.measures import MEASURES
from parity.records import (
    Comparison,
    Confusion,
    Estimate,
    Figure,
    Gate,
    GateVerdict,
    Latency,
    NetComparison,
    NotRunnable,
    OtherPack,
    Outcome,
    SliceRow,
)
from reports.comparisons import number, percent, read_comparison
from reports.page import render
from reports.parity_charts import latency_chart, slices_chart
from reports.parity_page import render_parity


def key(kernel: str) -> ParityKey:
    return ParityKey(
        model_sha256="a" * 64,
        runtime="litert",
        runtime_version="2.3.0",
        kernel=kernel,
        delegate="none",
        device="x86_64",
        threads=1,
    )


def verdict(outcome: Outcome) -> GateVerdict:
    return GateVerdict(
        gate=Gate(metric="nme_to_reference", limit=0.002),
        output="points",
        slice="pose=left",
        count=12,
        measured=Estimate(value=0.0036, low=0.003, high=0.004),
        verdict=outcome,
    )


def comparison(*outcomes: Outcome) -> Comparison:
    estimate = Estimate(value=0.0036, low=0.003, high=0.004)
    return Comparison(
        release="faces",
        version="0.1.0",
        pack_digest="b" * 64,
        review_state="unreviewed",
        count=12,
        chain="face_landmarks_detector",
        nets=(
            NetComparison(
                net="landmarks",
                reference=key("reference"),
                candidate=key("xnnpack"),
                reference_latency=Latency(median_ms=21.4, mean_ms=21.6, p95_ms=25),
            ),
        ),
        reference_count=14,
        candidate_count=12,
        other_pack=OtherPack(
            release="faces",
            version="0.0.9",
            pack_digest="c" * 64,
            review_state="reviewed",
            count=20,
            left_out={"hint": "the packs have different best photos"},
        ),
        measures=(MEASURES["nme_to_reference"], MEASURES["displacement_px"]),
        slices=(
            SliceRow(slice="all", count=12, is_enough=True),
            SliceRow(slice="pose=left", count=2, is_enough=False),
        ),
        figures=(
            Figure(
                metric="nme_to_reference",
                output="points",
                slice="all",
                count=12,
                estimate=estimate,
            ),
            Figure(
                metric="displacement_px",
                output="points",
                slice="all",
                count=12,
                estimate=Estimate(value=0.5, low=0.25, high=1),
            ),
        ),
        confusions=(
            Confusion(
                output="hint",
                rows="reference",
                columns="candidate",
                words=("stay", "turn <left>", "turn right", "none"),
                counts=((8, 3, 0, 0), (0, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
            ),
        ),
        gates=tuple(map(verdict, outcomes)),
    )


def written(folder: Path, *outcomes: Outcome, name: str = "comparison") -> Path:
    path = folder / f"{name}.json"
    path.write_text(comparison(*outcomes).model_dump_json(), encoding="utf-8")
    return path


def test_gates_are_tallied_failures_first(tmp_path: Path) -> None:
    read = read_comparison(written(tmp_path, "not_enough_evidence", "pass", "pass", "fail"))
    assert read.tally == [
        ("fail", "✗ fail (1)"),
        ("pass", "✓ pass (2)"),
        ("not_enough_evidence", "? not enough evidence (1)"),
    ]
    assert read_comparison(written(tmp_path)).tally == []


def test_verdicts_are_words_and_signs(tmp_path: Path) -> None:
    read = read_comparison(written(tmp_path, "pass"))
    gate = read.gates[0]
    said = (" ".join(gate.words), gate.slice_words, read.words(gate.gate.metric, gate.output))
    assert said == ("✓ pass", "pose: left", "NME to the reference (points)")
    measures = read.by_name
    assert measures["nme_to_reference"].measure(0.002) == "0.2 %"
    assert measures["displacement_px"].measure(0.5) == "0.5 px"
    assert measures["nme_to_reference"].bare(0.002) == "0.2"
    assert "no person" in read.review_words


def test_a_run_whose_net_cannot_run_has_failed_whatever_gates_say(tmp_path: Path) -> None:
    told = comparison("not_enough_evidence", "pass")
    lacking = NotRunnable(key=key("xnnpack"), model_file="a.tflite", reason="damaged")
    path = tmp_path / "comparison.json"
    path.write_text(told.model_copy(update={"not_runnable": {"mask": lacking}}).model_dump_json())
    read = read_comparison(path)
    assert read.verdict == ("fail", "✗ cannot run")
    assert [gate.verdict for gate in read.worst_first] == ["not_enough_evidence", "pass"]


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.json is not a parity comparison: release"):
        read_comparison(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json does not exist"):
        read_comparison(tmp_path / "absent.json")


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (None, 0.0, 6.123e-05, 21.44)] == [
        "–",
        "0",
        "6.12e-05",
        "21.4",
    ]
    assert [percent(share) for share in (0.0, 4e-9, -4e-9, 0.00036, 0.5)] == [
        "0 %",
        "≈0 %",
        "≈0 %",
        "0.036 %",
        "50 %",
    ]


def test_the_page_shows_verdicts_and_withholds_small_slices(
    make_release: Callable[..., Path], tmp_path: Path
) -> None:
    page = render(
        make_release({}), [], [written(tmp_path, "pass", "fail")], tmp_path / "page.html", "Faces"
    ).read_text(encoding="utf-8")
    assert '<span class="verdict fail">✗ fail (1)</span><span class="verdict pass">' in page
    assert_tells_the_comparison(page)


def test_a_comparison_has_a_page_of_its_own(tmp_path: Path) -> None:
    out = render_parity([written(tmp_path, "fail")], tmp_path / "parity.html", "Faces <1>", {})
    page = out.read_text(encoding="utf-8")
    assert "<title>Faces &lt;1&gt;</title>" in page
    assert_tells_the_comparison(page)
    # It asks nothing of anybody: no address, no script.
    assert not re.search(r"https?://|src=\"(?!data:)|<script|@import|url\(", page)
    assert "default-src 'none'" in page


def slice_of(name: str, value: float) -> Figure:
    return Figure(
        metric="nme_to_reference",
        output="points",
        slice=name,
        count=20,
        estimate=Estimate(value=value, low=value, high=value),
    )


def test_slices_are_a_heat_map_whose_worst_is_said_in_words(tmp_path: Path) -> None:
    told = comparison("pass")
    names = ("all", "pose=left", "pose=right")
    path = tmp_path / "comparison-mine-1.json"
    path.write_text(
        told.model_copy(
            update={
                "slices": tuple(SliceRow(slice=it, count=20, is_enough=True) for it in names),
                "figures": (
                    slice_of("all", 0.002),
                    slice_of("pose=left", 0.001),
                    slice_of("pose=right", 0.009),
                ),
            }
        ).model_dump_json()
    )
    read = read_comparison(path)
    assert read.run == "mine-1"
    chart = slices_chart(read)
    assert chart is not None
    assert chart.alt == (
        "Measures by slice. The worst: NME to the reference (points) 0.9 % at pose: right."
    )
    assert slices_chart(read_comparison(written(tmp_path, "pass"))) is None


def test_latency_is_drawn_against_accuracy_where_several_runs_were_timed(tmp_path: Path) -> None:
    runs = []
    for name, median_ms in (("slow", 12.0), ("quick", 2.5)):
        told = comparison("pass")
        latency = Latency(median_ms=median_ms, mean_ms=median_ms, p95_ms=median_ms)
        nets = (told.nets[0].model_copy(update={"candidate_latency": latency}),)
        path = tmp_path / f"comparison-{name}.json"
        path.write_text(told.model_copy(update={"nets": nets}).model_dump_json())
        runs.append(read_comparison(path))
    chart = latency_chart(runs)
    assert chart is not None
    assert "slow: 12 ms, 0.0036; quick: 2.5 ms, 0.0036." in chart.alt
    assert latency_chart(runs[:1]) is None


def test_what_failed_comes_first_with_where_it_departs_and_its_worst_images(
    make_release: Callable[..., Path], tmp_path: Path
) -> None:
    release = make_release({})
    (item,) = open_release(release)
    paths = [
        written(tmp_path, "pass", name="comparison-good"),
        written(tmp_path, "fail", "pass", name="comparison-bad"),
    ]
    why = tmp_path / "why-bad"
    why.mkdir()
    Image.new("RGB", (30, 20)).save(why / "01.png")
    (why / "explanation.json").write_text(explanation(item.image_id, "f" * 64).model_dump_json())
    out = tmp_path / "index.html"
    page = render(release, [], paths, out, "Faces").read_text(encoding="utf-8")
    assert page.index('href="#comparison-1">bad') < page.index('href="#comparison-2">good')
    assert "<td>landmarks: kernel, half precision</td>" in page
    assert "A. Photographer, CC BY 4.0. <a" in page
    assert page.count("<figcaption>") == 1
    assert (tmp_path / "index" / "worst" / "comparison-bad" / "01.jpg").is_file()
    render(release, [], paths[:1], out, "Faces")
    assert not (tmp_path / "index" / "worst").exists()


def explanation(*image_ids: str) -> Explanation:
    return Explanation(
        release="faces",
        version="0.1.0",
        pack_digest="b" * 64,
        chain="face_landmarks_detector",
        run="bad",
        count=12,
        deviations=(Deviation(name="landmarks/points", tolerance=0.1, count=3, whole=4, kernel=4),),
        findings=(
            Finding(
                stages=("landmarks",),
                parts=("kernel",),
                cause="half_precision",
                detail="the file, computed so here, departs alike",
                count=3,
                image_ids=image_ids,
            ),
        ),
        worst=tuple(
            WorstImage(
                image_id=image_id, name="landmarks/points", times_tolerance=40, picture="01.png"
            )
            for image_id in image_ids
        ),
    )


def assert_tells_the_comparison(page: str) -> None:
    """With figures, what flipped, and what small slices withhold."""
    assert "litert xnnpack against litert reference" in page
    assert "0.36 % <span" in page
    assert "[0.3, 0.4]</span>" in page
    assert re.search(
        r'pose: left</th><td class="number">&lt;10</td>\s*<td [^>]*>\? not enough', page
    )
    assert "0.5 px <span" in page
    assert "They are those that both runs hold, of 14 and 12." in page
    assert "<code>hint</code> is not compared: the packs have different best photos." in page
    assert "turn &lt;left&gt;" in page
    assert "turn right" not in page
    assert re.search(
        r'stay</th><td class="number">8</td><td class="number verdict fail">3</td>', page
    )


def test_a_comparison_that_does_not_describe_its_measures_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "pass")
    values = json.loads(path.read_text())
    values["measures"] = values["measures"][1:]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="measures: nme_to_reference is not among them"):
        read_comparison(path)
