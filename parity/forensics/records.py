"""What an explanation says; `explanation.json` is one `Explanation`."""

from typing import Literal

from mirrorset.records import Sha256
from parity.records import Measured

# Where a deviation arises: rows laid against other images; a net's input; its file; what computes
# it; a rule as the device works it out.
Part = Literal["order", "preprocessing", "model", "kernel", "rule"]
Cause = Literal[
    "image_order",
    "not_a_number",
    "zeros",
    "constant",
    "swapped_channels",
    "layout",
    "half_pixel_shift",
    "resize",
    "border",
    "crop",
    "mean_or_scale",
    "transposed",
    "swapped_outputs",
    "sigmoid",
    "swapped_axes",
    "mirrored",
    "inverted",
    "scale_or_offset",
    "clipped",
    "calibration",
    "quantisation",
    "half_precision",
    "unexplained",
]


class Finding(Measured):
    """A deviation that a stage adds of its own, with what explains it best.

    stages: the stage, or all nets whose rows are in another order. parts: where in it; several
    where the run does not tell them apart. output: "net/output" where it is about one. detail: a
    clause. explained: share of the deviation's squares that goes with `cause`, 0 to 1; None where a
    cause is seen and not fitted. count: images with it, image_ids those, farthest first.
    """

    stages: tuple[str, ...]
    parts: tuple[Part, ...]
    cause: Cause
    detail: str
    output: str | None = None
    explained: float | None = None
    count: int
    image_ids: tuple[Sha256, ...]


class Deviation(Measured):
    """How far a net's output or a rule's value is from the reference's, and where that arises.

    name: "net/output", or the rule. All are the largest of any image, in the value's unit; None
    where the run does not tell. whole: from the sealed reference. before: what the reference makes
    of the stages that the run had before this one, from the sealed. preprocessing, model, kernel,
    rule: what each adds. count: images whose whole deviation is beyond the tolerance.
    """

    name: str
    tolerance: float
    count: int
    whole: float
    before: float | None = None
    preprocessing: float | None = None
    model: float | None = None
    kernel: float | None = None
    rule: float | None = None


class Departure(Measured):
    """The first tensor of a net, in the order of its operations, where two sides depart.

    reference, candidate: "file on kernels" of each. operation: what makes the tensor. deviation:
    root mean square, as a share of the spread of the reference's values. None for all where no
    tensor departs by more than `tolerance`.
    """

    net: str
    reference: str
    candidate: str
    tolerance: float
    tensor: str | None = None
    operation: str | None = None
    place: int | None = None
    operation_count: int
    deviation: float | None = None


class WorstImage(Measured):
    """An image, by the output or rule that is farthest out on it.

    times_tolerance: its deviation over the tolerance; where that is 0, over the spread of the
    reference's values. picture: where both are drawn.
    """

    image_id: Sha256
    name: str
    times_tolerance: float
    picture: str | None = None


class Explanation(Measured):
    """Why a run departs from its pack's reference. findings: in the order of the chain."""

    release: str
    version: str
    pack_digest: str
    chain: str
    run: str
    count: int
    deviations: tuple[Deviation, ...]
    findings: tuple[Finding, ...]
    departures: tuple[Departure, ...] = ()
    worst: tuple[WorstImage, ...] = ()
