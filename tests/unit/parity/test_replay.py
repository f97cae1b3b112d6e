"""What a run did not keep follows from what it kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_pack import make_pack

from parity.pack import Pack
from parity.replay import completed
from parity.run import RunResult, reference_of


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The third picture is too dark for a face to be found in it."""
    return make_pack(tmp_path_factory.mktemp("packs") / "pack", [90, 250, 10, 160])


def bare(pack: Pack, rows: list[int]) -> RunResult:
    """The reference as a phone would write it that was fed pictures: raw outputs alone."""
    known = reference_of(pack)
    ids = tuple(known.record.image_ids[row] for row in rows)
    return RunResult(
        known.record.model_copy(update={"image_ids": ids}),
        {
            net: {name: values[rows] for name, values in named.items()}
            for net, named in known.outputs.items()
        },
    )


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 2, 0, 1], [2, 1]])
def test_rules_and_transforms_are_worked_out(pack: Pack, rows: list[int]) -> None:
    whole = completed(pack, bare(pack, rows))
    assert set(whole.rules) == set(pack.chain.rules)
    for rule, values in pack.rule_values.items():
        np.testing.assert_array_equal(whole.rules[rule], values[rows], err_msg=rule)
    for net, values in pack.transforms.items():
        np.testing.assert_array_equal(whole.transforms[net], values[rows], err_msg=net)


def test_the_best_photo_is_the_runs_own_or_else_the_references(pack: Pack) -> None:
    hints = pack.chain.rules["hint"].labels
    with_best, without = bare(pack, [0, 1]), bare(pack, [1])
    assert [hints[each] for each in completed(pack, with_best).rules["hint"]] == [
        "stay",
        "relax the mouth",
    ]
    # On a device that sees the best photo with an open mouth, the open mouth is right.
    with_best.outputs["marker"]["points"][0] = with_best.outputs["marker"]["points"][1]
    assert hints[completed(pack, with_best).rules["hint"][1]] == "stay"
    assert hints[completed(pack, without).rules["hint"][0]] == "relax the mouth"


def test_a_runs_record_can_be_taken_apart_as_prefect_does(pack: Pack) -> None:
    record = reference_of(pack).record
    assert dict(record)["fed"] == "images"
    assert set(record.tried) == {"finder", "marker"}


def test_what_was_kept_is_left_alone(pack: Pack) -> None:
    kept = np.zeros((4, 68, 2))
    run = replace(bare(pack, [0, 1, 2, 3]), rules={"points": kept})
    whole = completed(pack, run)
    np.testing.assert_array_equal(whole.rules["points"], kept)
    # And what follows, follows from it.
    assert np.isnan(whole.rules["pose"]).all()


def test_a_run_fed_tensors_saw_where_the_pack_says(pack: Pack) -> None:
    run = bare(pack, [3, 0])
    run = replace(run, record=run.record.model_copy(update={"fed": "tensors"}))
    # The finder of this run is broken; what the marker got was the pack's all the same.
    run.outputs["finder"]["regressors"][:] = 0
    whole = completed(pack, run)
    np.testing.assert_array_equal(whole.transforms["marker"], pack.transforms["marker"][[3, 0]])
    np.testing.assert_array_equal(whole.rules["points"], pack.rule_values["points"][[3, 0]])
    assert not np.allclose(whole.rules["face"], pack.rule_values["face"][[3, 0]])


def test_what_a_missing_net_would_tell_stays_missing(pack: Pack, tmp_path: Path) -> None:
    run = bare(pack, [0, 1])
    del run.outputs["finder"]
    whole = completed(pack, run)
    assert whole.rules == {}
    assert "marker" not in whole.transforms
    fed = replace(run, record=run.record.model_copy(update={"fed": "tensors"}))
    assert set(completed(pack, fed).rules) == set(pack.chain.rules) - {"face"}
