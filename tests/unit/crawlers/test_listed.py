import pytest

from crawlers.listed import file_refusal, tag_refusal
from crawlers.terms import Terms
from mirrorset.records import Reason


@pytest.mark.parametrize(
    "tag",
    [
        "no_cv", "nocv", "No CV", "noai", "no_ai", "NoAI", "no-ai-training", "notraining",
        "do not train", "no facial recognition", "No machine learning", "AI opt-out",
        "flickr:no_cv=1", "flickr:nocv=", "opt:noai=true",
    ],
)  # fmt: skip
def test_a_tag_opts_out(tag: str) -> None:
    refusal = tag_refusal(["portrait", tag])
    assert refusal is not None
    assert refusal.reason is Reason.OPT_OUT_TAG
    assert tag in refusal.detail


@pytest.mark.parametrize(
    "tag", ["", "portrait", "noailles", "train", "novice", "personality", "geo:lat=1", "cv", "ai"]
)
def test_other_tags_do_not(tag: str) -> None:
    assert tag_refusal([tag]) is None


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"media_type": "image/gif"}, Reason.NOT_AN_IMAGE),
        ({"media_type": "image/svg+xml"}, Reason.NOT_AN_IMAGE),
        ({"media_type": "image/tiff"}, Reason.NOT_AN_IMAGE),
        ({"size_bytes": 10**12}, Reason.TOO_LARGE),
        ({"width_px": 60_000, "height_px": 60_000}, Reason.DECOMPRESSION_BOMB),
        ({"width_px": 800, "height_px": 100}, Reason.TOO_SMALL),
    ],
)
def test_figures_refuse_a_file(figures: dict[str, int], reason: Reason) -> None:
    refusal = file_refusal(Terms(), **figures)  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.reason is reason


def test_what_is_not_known_refuses_nothing() -> None:
    assert file_refusal(Terms()) is None
    assert file_refusal(Terms(), media_type="image/webp", width_px=800) is None
