"""The table of measures: all that a comparison measures, and so all that a gate may name.

Tasks, gates, tables and files read it; comparison.json carries the rows that it uses, for those who
read nothing else. docs/parity.md describes them.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic_core import PydanticCustomError

from mirrorset.records import Record

# How the values of single images become one figure. "mean": with a bootstrap interval. "rate":
# share of images, with Wilson's. "rate_change": of a rate, paired by image. "largest", "smallest":
# of any image, a fact. "fact": of the runs as a whole.
Figuring = Literal["mean", "rate", "rate_change", "largest", "smallest", "fact"]
Unit = Literal["", "share", "px", "deg", "dB"]
# What the measure is of: a net's output, a rule that gives such a value, or the chain.
StageKind = Literal["tensor", "points", "face", "pose", "expression", "label", "mask", "chain"]
# "headline": shown slice by slice, too. "detail": left to the files, but where a gate names it.
Place = Literal["headline", "line", "detail"]

AXES_OF_POSE = ("yaw", "pitch", "roll")
# Errors beyond these shares of the interocular distance are failures: 0.08 and 0.10.
FAILURES = {"08": 0.08, "10": 0.10}


class Measure(Record):
    """A row of the table.

    name: as gates and files have it. words: as people read it. of: what kind of stage gives it.
    is_high_good: a gate's limit is a floor then, and else a ceiling.
    """

    name: str
    words: str
    of: StageKind
    kind: Figuring = "mean"
    unit: Unit = ""
    is_high_good: bool = False
    place: Place = "line"


def _against_labels(
    name: str,
    words: str,
    of: StageKind,
    kind: Figuring = "mean",
    unit: Unit = "share",
    is_high_good: bool = False,
    place: Place = "line",
) -> Iterator[Measure]:
    """A measure of either run against the labels, and what the candidate adds or loses."""
    for run in ("reference", "candidate"):
        yield Measure(
            name=f"{run}_{name}",
            words=f"{words} of the {run} to the labels",
            of=of,
            kind=kind,
            unit=unit,
            is_high_good=is_high_good,
            place=place,
        )
    yield Measure(
        name=change_of(name, is_high_good),
        words=f"{words} {'lost' if is_high_good else 'added'}",
        of=of,
        kind="rate_change" if kind == "rate" else kind,
        unit=unit,
        place=place,
    )


def change_of(name: str, is_high_good: bool) -> str:
    """The name of what the candidate makes worse of the measure `name`."""
    return f"{name}_loss" if is_high_good else f"{name}_increase"


def _rows() -> Iterator[Measure]:
    yield Measure(name="tensor_max_abs", words="largest deviation", of="tensor", kind="largest")
    yield Measure(name="tensor_mean_abs", words="mean deviation", of="tensor", place="detail")
    yield Measure(
        name="tensor_cosine", words="lowest cosine", of="tensor", kind="smallest",
        is_high_good=True, place="detail",
    )  # fmt: skip
    yield Measure(
        name="tensor_snr_db", words="lowest signal-to-noise ratio", of="tensor",
        kind="smallest", unit="dB", is_high_good=True, place="detail",
    )  # fmt: skip
    yield Measure(
        name="nme_to_reference", words="NME to the reference", of="points", unit="share",
        place="headline",
    )  # fmt: skip
    yield Measure(name="displacement_px", words="displacement", of="points", unit="px")
    yield Measure(
        name="worst_displacement_px", words="farthest point", of="points", kind="largest",
        unit="px",
    )  # fmt: skip
    yield from _against_labels("nme", "NME", "points", place="headline")
    for digits, limit in FAILURES.items():
        yield from _against_labels(
            f"fr{digits}", f"failures beyond {limit:.2f}", "points", "rate",
            place="line" if digits == "08" else "detail",
        )  # fmt: skip
        yield from _against_labels(
            f"auc{digits}", f"area under the errors' curve to {limit:.2f}", "points",
            is_high_good=True, place="detail",
        )  # fmt: skip
    yield Measure(
        name="box_iou_to_reference", words="IoU of boxes", of="face", unit="share",
        is_high_good=True,
    )  # fmt: skip
    yield from _against_labels("box_iou", "IoU of boxes", "face", is_high_good=True, place="detail")
    for axis in AXES_OF_POSE:
        yield Measure(
            name=f"{axis}_to_reference", words=f"{axis} to the reference", of="pose",
            unit="deg",
        )  # fmt: skip
        yield from _against_labels(
            f"{axis}_mae", f"mean absolute error of {axis}", "pose", unit="deg"
        )
    yield Measure(
        name="expression_to_reference", words="expression distance", of="expression",
        unit="share",
    )  # fmt: skip
    yield Measure(
        name="mask_iou_to_reference", words="IoU of masks", of="mask", unit="share",
        is_high_good=True,
    )  # fmt: skip
    yield Measure(
        name="flip_share", words="labels that flip", of="label", kind="rate", unit="share",
        place="headline",
    )  # fmt: skip
    yield from _against_labels("error_share", "wrong labels", "label", "rate")
    yield Measure(
        name="latency_ratio", words="time, as a multiple of the reference's", of="chain",
        kind="fact",
    )  # fmt: skip


MEASURES: dict[str, Measure] = {measure.name: measure for measure in _rows()}


def known_metric(name: str) -> str:
    """`name` where it is in the table; else a validation error."""
    if name not in MEASURES:
        raise PydanticCustomError(
            "metric",
            "{name} is no measure: give one of {choices}",
            {"name": name, "choices": ", ".join(MEASURES)},
        )
    return name
