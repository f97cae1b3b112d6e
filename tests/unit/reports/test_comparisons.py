"""comparison.json as parity writes it is read, and its verdicts are said in words."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorset.errors import InputError
from mirrorset.records import ParityKey
from parity.records import (
    Comparison,
    Estimate,
    Gate,
    GateVerdict,
    Latency,
    NetComparison,
    Outcome,
    SliceRow,
    TensorDeviation,
)
from reports.comparisons import number, percent, read_comparison
from reports.page import render


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
        tensors=(
            TensorDeviation(output="landmarks/points", max_abs=6e-5, mean_abs=1e-6, cosine=1.0),
        ),
        slices=(
            SliceRow(slice="all", count=12, is_enough=True, nme_to_reference=estimate),
            SliceRow(slice="pose=left", count=2, is_enough=False),
        ),
        latency_ratio=None,
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
    assert (gate.words, gate.slice_words, gate.gate.words) == (
        "✓ pass",
        "pose: left",
        "NME to the reference",
    )
    assert gate.gate.measure(gate.gate.limit) == "0.2 %"
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
    assert "litert xnnpack against litert reference" in page
    assert "0.36 % <span" in page
    assert "[0.3 %, 0.4 %]" in page
    assert re.search(
        r'pose: left</th><td class="number">&lt;10</td>\s*<td [^>]*>\? not enough', page
    )
