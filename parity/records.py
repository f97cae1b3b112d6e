"""What parity keeps: a pack's items, a run's key and times, and the comparison of two runs.

`comparison.json` is one `Comparison`; docs/parity.md describes it for those who only read it.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from mirrorset.records import ModelRef, Origin, ParityKey, Record, Sha256, Split, Xy
from parity.slices import known_slice

ReviewState = Literal["unreviewed", "reviewed", "partly_reviewed"]
Outcome = Literal["pass", "fail", "not_enough_evidence"]
Metric = Literal[
    "tensor_max_abs",
    "nme_to_reference",
    "displacement_px",
    "worst_displacement_px",
    "nme_increase",
    "presence_flip_share",
    "latency_ratio",
]


# --- what a model is --------------------------------------------------------------------------


class ModelSpec(Record):
    """How to feed a landmark model and how to read it: all that differs between two such models.

    input_px: side of its square RGB input, float32 [1, input_px, input_px, 3].
    input_range: what the bytes 0 and 255 become.
    crop_factor: side of the square crop over the longer side of the labelled face box.
    outputs: names for the model's outputs, in the model's order.
    points_output: the one that holds the landmarks; point_count × point_values floats, x and y
        first. points_unit: "px" of the input, or "share" of its side.
    presence_output, presence_threshold: the raw output above which the model says "a face".
    label_schema: the labels' landmark schema. label_points: label index → index of the model's
        point that marks the same place; only points that both schemes define alike.
    eye_corners: label indices of the two outer eye corners, whose distance normalises errors.
    """

    name: str
    input_px: int
    input_range: tuple[float, float]
    crop_factor: float
    outputs: tuple[str, ...]
    points_output: str
    point_count: int
    point_values: int
    points_unit: Literal["px", "share"]
    presence_output: str | None = None
    presence_threshold: float = 0.0
    label_schema: str
    label_points: dict[int, int]
    eye_corners: tuple[int, int]


# --- the pack ---------------------------------------------------------------------------------


class PackItem(Record):
    """One face of the test set: row `index` of the arrays, shard after shard.

    file: the original image inside the pack. label_points: xy px of the original image, in the
    order of the spec's label_points. interocular_px: distance of the labelled outer eye corners.
    slices: axis → cell ("pose": "frontal").
    """

    index: int
    image_id: Sha256
    face_id: str
    file: str
    label_points: tuple[Xy, ...]
    interocular_px: float
    origin: Origin
    slices: dict[str, str]


class PackRecord(Record):
    """pack.json: what was sealed. files: sha256 by path inside the pack, pack.json excepted.

    digest: sha256 over every other field, so it names the whole content of the pack.
    """

    release: str
    version: str
    release_digest: str
    split: Split
    review_state: ReviewState
    item_count: int
    left_out_count: int
    spec: ModelSpec
    model: ModelRef
    reference_key: ParityKey
    files: dict[str, Sha256]
    digest: str


# --- a run ------------------------------------------------------------------------------------


class Latency(Record):
    """Time of one inference over the pack's items, after warm-up, in ms."""

    median_ms: float
    mean_ms: float
    p95_ms: float


class RunRecord(Record):
    """run.json: what ran on which pack. release, version: what the pack was sealed from. outputs:
    sha256 by output name of <name>.npy.
    """

    pack_digest: str
    release: str
    version: str
    model_file: str
    key: ParityKey
    latency: Latency
    outputs: dict[str, Sha256]


class NotRunnable(Record):
    """A model file that cannot run where `key` says: a finding, like any other.

    reason: a clause, in the runtime's words or the way its process died.
    """

    model_file: str
    key: ParityKey
    reason: str


# --- the comparison ---------------------------------------------------------------------------


class Measured(Record):
    """Base of what is computed: a broken model's infinity is written as the text "Infinity"."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class Estimate(Measured):
    """A mean over images with its 95 % bootstrap interval [low, high].

    What is a fact of these images and no estimate (a maximum, a share of flips, a ratio) has
    low = high = value. All three are infinite where a run gave values that are no numbers.
    """

    value: float
    low: float
    high: float


class TensorDeviation(Measured):
    """How far the candidate's output lies from the reference's, over all images.

    max_abs, mean_abs: in the output's own unit. cosine: lowest cosine similarity of any image.
    """

    output: str
    max_abs: float
    mean_abs: float
    cosine: float


class SliceRow(Measured):
    """One slice of the test set; the measures are None where it has too few images.

    slice: "all" or "axis=cell". The NMEs are shares of the interocular distance.
    nme_to_reference: candidate against reference, all points. displacement_px, its mean in px of
    the original image; worst_displacement_px, the farthest single point. reference_nme and
    candidate_nme: against the labels. nme_increase: candidate_nme − reference_nme, paired by image.
    presence_flip_share: share of images where one run sees a face and the other does not, or where
    an answer is no number.
    """

    slice: str
    count: int
    is_enough: bool
    nme_to_reference: Estimate | None = None
    displacement_px: Estimate | None = None
    worst_displacement_px: Estimate | None = None
    reference_nme: Estimate | None = None
    candidate_nme: Estimate | None = None
    nme_increase: Estimate | None = None
    presence_flip_share: Estimate | None = None


class Gate(Record):
    """A limit that a comparison must keep.

    slice: "all", one cell ("pose=left") or an axis ("pose": each of its cells is judged).
    output: which output `tensor_max_abs` looks at. limit: the measure may reach it, not exceed it.
    minimum_count: with fewer images there is no verdict.
    """

    metric: Metric
    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    slice: Annotated[str, AfterValidator(known_slice)] = "all"
    output: str = ""
    minimum_count: Annotated[int, Field(ge=1)] = 10


class GateVerdict(Measured):
    """What a gate said of one slice, with what was measured (None where nothing could be)."""

    gate: Gate
    slice: str
    count: int
    measured: Estimate | None
    verdict: Outcome


class Comparison(Measured):
    """Two runs on one pack, side by side.

    review_state: of the labels behind reference_nme, candidate_nme and nme_increase.
    latency_ratio: candidate's median over the reference's, None where one was not timed.
    """

    release: str
    version: str
    pack_digest: str
    review_state: ReviewState
    count: int
    reference: ParityKey
    candidate: ParityKey
    tensors: tuple[TensorDeviation, ...]
    slices: tuple[SliceRow, ...]
    reference_latency: Latency | None
    candidate_latency: Latency | None
    latency_ratio: float | None
    gates: tuple[GateVerdict, ...]

    @property
    def has_failed(self) -> bool:
        """Whether any gate failed; "not enough evidence" is no failure."""
        return any(verdict.verdict == "fail" for verdict in self.gates)
