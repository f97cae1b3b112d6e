"""A chain sees what it should, once, and what it has nothing to look at is said so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_pack import CHAIN, FACE, POINTS, PlayedSession, item, picture_bytes, sessions, specs

from faces.lending import Lending
from mirrorset.errors import InputError
from parity.engine import Engine, Fed, Given, Picture, look_at_all
from parity.preprocess import pixels, place
from parity.rules.rule import Answer, answer_of, value_of


def picture(light: int) -> Picture:
    return Picture(item(0, "ab" * 32), lambda: picture_bytes(light))


def test_every_stage_follows_from_those_before_it() -> None:
    models = sessions()
    stages = Engine(CHAIN, models).look(Given(picture(200)))
    assert list(stages) == list(CHAIN.stages)
    np.testing.assert_allclose(value_of(stages, "face")[:4], FACE[:4], atol=1e-4)
    np.testing.assert_allclose(value_of(stages, "face")[5:], FACE[5:], atol=1e-4)
    marker = answer_of(stages, "marker")
    # The crop is that of the face which was found, and what the net got is the crop by its table.
    where = place(CHAIN.nets["marker"].input, 240, 240, value_of(stages, "face"))
    np.testing.assert_array_equal(marker.transform, where)
    wanted = pixels(picture(200).rgb, where, CHAIN.nets["marker"].input)
    np.testing.assert_array_equal(models["marker"].seen[0][0], wanted.astype(np.float32))
    points = value_of(stages, "points")
    np.testing.assert_allclose(points[:55], POINTS[:55], atol=1e-3)
    assert points[57, 1] > POINTS[57, 1] + 5
    assert value_of(stages, "presence") == 1
    assert stages["pose"].shape == (3,)


def test_without_a_face_later_nets_do_not_run() -> None:
    models = sessions()
    stages = Engine(CHAIN, models).look(Given(picture(10)))
    assert len(models["finder"].seen) == 1
    assert models["marker"].seen == []
    marker = answer_of(stages, "marker")
    assert not marker.has_run
    assert np.isnan(marker.outputs["points"]).all()
    for rule in ("face", "points", "pose", "expression", "from_best"):
        assert np.isnan(value_of(stages, rule)).all(), rule
    assert value_of(stages, "presence") == 0
    assert (value_of(stages, "lighting"), value_of(stages, "hint")) == (-1, -1)


def test_nothing_has_the_shapes_and_dtypes_of_everything() -> None:
    engine = Engine(CHAIN, sessions())
    seen, nothing = engine.look(Given(picture(200))), engine.nothing()
    for name, given in seen.items():
        if isinstance(given, Answer):
            empty = answer_of(nothing, name)
            assert empty.transform.shape == given.transform.shape
            assert {n: v.shape for n, v in empty.outputs.items()} == {
                n: v.shape for n, v in given.outputs.items()
            }
        else:
            empty = value_of(nothing, name)
            assert (empty.shape, empty.dtype) == (given.shape, given.dtype), name


def test_a_net_that_is_fed_sees_that_alone() -> None:
    engine = Engine(CHAIN, sessions())
    own = engine.look(Given(picture(200)))
    fed = {
        name: Fed(answer_of(own, name).pixels, answer_of(own, name).transform)
        for name in CHAIN.nets
    }
    # The finder finds no face in a black picture, the marker sees one all the same.
    fed["finder"] = replace(fed["finder"], pixels=np.zeros_like(fed["finder"].pixels))
    stages = engine.look(Given(picture(200), fed))
    assert np.isnan(value_of(stages, "face")).all()
    np.testing.assert_array_equal(value_of(stages, "points"), value_of(own, "points"))


def test_relative_rules_compare_with_the_best_photo() -> None:
    def engine() -> Engine:
        return Engine(CHAIN, sessions())

    looks = list(
        look_at_all(
            Lending(engine),
            [Given(picture(80)), Given(picture(250))],
            best=Given(picture(80)),
            at_once=2,
        )
    )
    labels = CHAIN.rules["hint"].labels
    assert [labels[value_of(stages, "hint")] for stages in looks] == ["stay", "relax the mouth"]
    assert (value_of(looks[0], "from_best") == 0).all()
    # Without one, everybody is their own best.
    (alone,) = look_at_all(Lending(engine), [Given(picture(250))])
    assert labels[value_of(alone, "hint")] == "stay"


def test_answers_do_not_depend_on_how_many_work_at_once() -> None:
    given = [Given(picture(light)) for light in (30, 10, 120, 250, 60)]
    one, three = (
        list(look_at_all(Lending(lambda: Engine(CHAIN, sessions())), given, at_once=count))
        for count in (1, 3)
    )
    for first, second in zip(one, three, strict=True):
        np.testing.assert_array_equal(value_of(first, "points"), value_of(second, "points"))


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        (((1, 3, 24, 24),), ((1, 1, 16), (1, 1, 1)), r"for finder takes 1×3×24×24, not 1×24×24×3"),
        (((1, 24, 24, 3), (1, 2)), ((1, 1, 16), (1, 1, 1)), r"takes 1×24×24×3 and 1×2, not"),
        (((1, 24, 24, 3),), ((1, 1, 16),), "for finder has 1 outputs, not 2"),
    ],
)
def test_a_model_that_does_not_fit_is_named(
    inputs: tuple[tuple[int, ...], ...], outputs: tuple[tuple[int, ...], ...], said: str
) -> None:
    models = sessions()
    models["finder"] = PlayedSession(specs(*inputs), specs(*outputs), models["finder"].answer)
    with pytest.raises(InputError, match=said):
        Engine(CHAIN, models)


def test_a_picture_is_read_when_a_stage_asks_and_once(tmp_path: Path) -> None:
    reads = []

    def content() -> bytes:
        reads.append(1)
        return picture_bytes(200)

    given = Picture(item(0, "ab" * 32), content)
    Engine(CHAIN, sessions()).look(Given(given))
    assert len(reads) == 1
