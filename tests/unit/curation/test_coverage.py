"""What is told of small cells: nothing, not even by the sums that are told."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.coverage import AXES, Cell, at_least, cell_of, gaps, told
from curation.records import Attribution
from faces.slices import GRID, suppressed
from mirrorset.records import DatasetItem

cells = st.builds(Cell, *(st.sampled_from(values[-2:]) for values in AXES.values()))


@pytest.fixture
def cell(portraits):
    """The cell of a portrait, with tags and with what its source says."""

    def of(portrait=portraits[0], said=None, **tags):
        item = DatasetItem(
            image_id=portrait.image.image_id,
            group_id="g",
            split="train",
            image_shard=0,
            annotation=portrait.annotation.model_copy(update={"tags": tags}),
        )
        sighting = portrait.sighting.model_copy(update=said or {})
        return cell_of(item, Attribution(image=portrait.image, sighting=sighting))

    return of


def test_pose_light_and_size_are_measured(portraits, cell):
    assert cell() == ("frontal", "left", "<64", "unknown", "unknown")
    for distance, size in ((63.9, "<64"), (64.0, "64-127"), (128.0, "128+")):
        portrait = portraits[0].but(quality={"inter_eye_distance_px": distance})
        assert cell(portrait).size == size


def test_tone_and_age_band_are_what_a_source_or_a_person_says(portraits, cell):
    human = portraits[0].but(origin="human")
    assert cell(human, tone="dark", age_band="60+")[3:] == ("dark", "60+")
    # A model is not asked, whatever it says.
    assert cell(tone="dark", age_band="60+")[3:] == ("unknown", "unknown")
    assert cell(human, tone="pink", age_band="0-17")[3:] == ("unknown", "unknown")
    said = {"tone": "light", "age_band": "18-29"}
    assert cell(said=said)[3:] == ("light", "18-29")
    assert cell(human, said, tone="dark", age_band="60+")[3:] == ("light", "18-29")


@given(st.dictionaries(cells, st.integers(0, 30)))
def test_no_small_count_can_be_worked_out(counts):
    found = told(counts)
    assert all(count == counts[cell] >= 10 for cell, count in found.items())
    slices = Counter()
    for cell, count in counts.items():
        slices[cell.slice] += count
    for slice_, count in suppressed(slices, GRID).items():
        rest = slices[slice_] - sum(n for cell, n in found.items() if cell.slice == slice_)
        if count is None:
            assert rest == slices[slice_]
        else:
            # What is left when all that is told of a slice is taken from its sum.
            assert rest == 0 or rest >= 10
    # Nothing is withheld that tells nothing.
    if all(count >= 10 or count == 0 for count in counts.values()):
        assert found == {cell: count for cell, count in counts.items() if count}


def test_sums_of_an_axis_are_of_what_is_told_alone():
    light = Cell("frontal", "front", "128+", "light", "18-29")
    dark, left = light._replace(tone="dark"), light._replace(pose="left")
    sums = at_least({light: 40, dark: 12, left: 50})
    assert sums["tone"] == {"light": 90, "medium": 0, "dark": 12, "unknown": 0}
    assert sums["pose"] == {"left": 50, "frontal": 52, "right": 0, "unknown": 0}
    # 3 of tone dark would be what is left of the slice of 43: neither is told.
    sums = at_least({light: 40, dark: 3, left: 50})
    assert sums["tone"] == {"light": 50, "medium": 0, "dark": None, "unknown": 0}
    assert sums["pose"]["frontal"] == 43
    assert sums["size"] == {"<64": 0, "64-127": 0, "128+": 50, "unknown": 0}
    sums = at_least({light: 4, left: 50})
    assert sums["pose"] == {"left": None, "frontal": None, "right": 0, "unknown": 0}


def test_gaps_are_named_in_words_without_small_counts():
    counts = {
        Cell("frontal", "front", "128+", "light", "unknown"): 60,
        Cell("left", "front", "64-127", "dark", "unknown"): 4,
        Cell("left", "left", "64-127", "unknown", "unknown"): 36,
    }
    text = " ".join(gaps(counts))
    assert "Age band is known of no image." in text
    assert "Tone is known of about 60 % of the images." in text
    assert "No image has pose right, lighting right, lighting back" in text
    assert "size <64" in text
    assert "tone medium" in text
    assert "Fewer than 10 images have, for each of these: tone dark." in text
    assert "4" not in text.replace("64", "")
