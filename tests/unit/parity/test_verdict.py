"""A verdict holds for its release, test set, gates and models, and for no others."""

from pathlib import Path
from typing import Any

import pytest
from fleet_records import FLOAT32, INT8, PACK, comparison, gpu, key, run
from small_pack import make_pack

from mirrorset.errors import InputError
from parity.devices.rows import Evidence, table_of
from parity.records import Gate
from parity.verdict import Verdict, read_verdict, staleness, verdict_of, write_verdict

GATES = (Gate(metric="nme_to_reference", limit=0.002),)


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    pack = make_pack(tmp_path_factory.mktemp("packs") / "pack", [200]).record
    runs = {"a": run(key()), "b": run(gpu()), "c": run(key(sha256=INT8))}
    comparisons = {"a": comparison(key(), "pass"), "b": comparison(gpu(), "fail")}
    evidence = Evidence(runs, comparisons, frozenset([PACK]))
    return verdict_of(table_of(pack, evidence), GATES, runs)


def why(verdict: Verdict, **changed: Any) -> tuple[str, ...]:
    known: dict[str, Any] = {
        "release_digest": verdict.release_digest,
        "pack_digest": verdict.pack_digest,
        "gates": GATES,
        "models": {"marker": FLOAT32},
        "runs": ("a", "b", "c"),
    }
    return staleness(verdict, **{**known, **changed})


def test_it_says_of_a_model_what_each_place_said(verdict: Verdict) -> None:
    said = {one.kernels["marker"]: one.standing for one in verdict.of({"marker": FLOAT32})}
    assert said == {"xnnpack": "pass", "gpu_opencl": "fail"}
    assert verdict.of({"marker": INT8}) == ()
    assert why(verdict) == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"release_digest": "9" * 64}, "the release faces 1.0.0 holds something else now"),
        ({"pack_digest": "9" * 64}, "the test set of faces 1.0.0 was sealed anew"),
        ({"gates": (Gate(metric="nme_to_reference", limit=0.003),)}, "the gates were changed"),
        ({"gates": ()}, "the gates were changed"),
        ({"runs": ("a", "b", "c", "z")}, "1 runs came since (z)"),
        ({"models": {"marker": INT8}}, "marker (bbbbbbbb) was not judged"),
        ({"models": {"marker": FLOAT32, "finder": INT8}}, "finder (bbbbbbbb) was not judged"),
    ],
)
def test_anything_else_makes_it_stale(verdict: Verdict, changed: Any, reason: str) -> None:
    assert why(verdict, **changed) == (reason,)


def test_it_is_kept_and_read_again(verdict: Verdict, tmp_path: Path) -> None:
    path = tmp_path / "verdicts/faces-1.0.0.json"
    with pytest.raises(InputError, match="run `mirrorset parity`"):
        read_verdict(path)
    write_verdict(path, verdict)
    assert read_verdict(path) == verdict
