"""comparison.json as parity writes it is read, and its verdicts are said in words."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorset.errors import InputError
from mirrorset.records import ParityKey
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
    OtherPack,
    Outcome,
    SliceRow,
)
from reports.comparisons import number, percent, read_comparison
from reports.page import render
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


def written(folder: Path, *outcomes: Outcome) -> Path:
    path = folder / "comparison.json"
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
    said = (gate.words, gate.slice_words, read.words(gate.gate.metric, gate.output))
    assert said == ("✓ pass", "pose: left", "NME to the reference (points)")
    measures = read.by_name
    assert measures["nme_to_reference"].measure(0.002) == "0.2 %"
    assert measures["displacement_px"].measure(0.5) == "0.5 px"
    assert "no person" in read.review_words


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
    assert '<span class="verdict fail">✗ fail (1)</span> · ' in page
    assert_tells_the_comparison(page)


def test_a_comparison_has_a_page_of_its_own(tmp_path: Path) -> None:
    out = render_parity([written(tmp_path, "fail")], tmp_path / "parity.html", "Faces <1>")
    page = out.read_text(encoding="utf-8")
    assert "<title>Faces &lt;1&gt;</title>" in page
    assert_tells_the_comparison(page)
    # It asks nothing of anybody: no address, no script.
    assert not re.search(r"https?://|src=|<script|@import|url\(", page)
    assert "default-src 'none'" in page


def assert_tells_the_comparison(page: str) -> None:
    """With figures, what flipped, and what small slices withhold."""
    assert "litert xnnpack against litert reference" in page
    assert "0.36 % <span" in page
    assert "[0.3 %, 0.4 %]" in page
    assert re.search(
        r'pose: left</th><td class="number">&lt;10</td>\s*<td [^>]*>\? not enough', page
    )
    assert "0.5 px <span" in page
    assert "They are those that both runs hold, of 14 and 12." in page
    assert "<code>hint</code> is not compared: the packs have different best photos." in page
    assert "turn &lt;left&gt;" in page
    assert "turn right" not in page
    assert re.search(r'stay</th><td class="number">8</td><td class="number">3</td>', page)


def test_a_comparison_that_does_not_describe_its_measures_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "pass")
    values = json.loads(path.read_text())
    values["measures"] = values["measures"][1:]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="measures: nme_to_reference is not among them"):
        read_comparison(path)
