from hypothesis import given
from hypothesis import strategies as st

from faces.slices import GRID, LIGHTINGS, POSES, SELFIES, Slice, slice_of, suppressed
from mirrorset.records import Face, Lighting, Pose

FACE = Face(face_id="0", box=(0, 0, 1, 1), score=1)
cells = st.builds(Slice, st.sampled_from(POSES), st.sampled_from(LIGHTINGS))


def test_slices_are_in_image_terms():
    turned = Pose(yaw_deg=30, pitch_deg=0, roll_deg=0)
    lit = Lighting(side="left", level=0.5, evenness=0.3, colour_cast=0)
    assert slice_of(FACE.model_copy(update={"pose": turned, "lighting": lit})) == ("right", "left")
    frontal = turned.model_copy(update={"yaw_deg": -15.0})
    assert slice_of(FACE.model_copy(update={"pose": frontal})) == ("frontal", "unknown")
    assert slice_of(FACE) == ("unknown", "unknown")


@given(st.dictionaries(cells, st.integers(0, 30)))
def test_small_cells_are_withheld_and_cannot_be_worked_out(counts):
    told = suppressed(counts, GRID)
    assert len(told) == len(POSES) * len(LIGHTINGS)
    withheld = [counts[cell] for cell, count in told.items() if count is None]
    assert all(told[cell] in (None, count) for cell, count in counts.items())
    assert not any(count is not None and 0 < count < 10 for count in told.values())
    assert not withheld or sum(withheld) >= 10 or len(withheld) == sum(map(bool, counts.values()))


def test_selfies_are_withheld_alike():
    counts = {"likely": 3, "possible": 40, "unlikely": 50}
    assert suppressed(counts, SELFIES) == {
        "likely": None,
        "possible": None,
        "unlikely": 50,
        "unknown": 0,
    }
