"""What parity keeps: a pack's items, a run's key and times, and the comparison of two runs.

`comparison.json` is one `Comparison`; docs/parity.md describes it for those who only read it.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from mirrorset.records import (
    LightSide,
    Mask,
    ModelRef,
    Origin,
    ParityKey,
    Pose,
    Record,
    Sha256,
    Split,
    Xy,
    Xyxy,
)
from parity.chain import Chain
from parity.slices import known_slice

ReviewState = Literal["unreviewed", "reviewed", "partly_reviewed"]
Purpose = Literal["test", "calibration"]
Fed = Literal["tensors", "images"]
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


# --- the pack ---------------------------------------------------------------------------------


class PackItem(Record):
    """One picture of the test set with the face that is tested: row `index` of the arrays.

    file: the released picture inside the pack. box, eye_corners: of the labelled face, xyxy and xy
    px of the picture, the corners in the order of the chain's truth. label_points: likewise, in the
    order of its label_points. interocular_px: distance of the eye corners. pose, lighting, masks:
    as labelled, where they are. origin: who placed the labels. slices: axis → cell ("pose":
    "frontal").
    """

    index: int
    image_id: Sha256
    face_id: str
    file: str
    width_px: int
    height_px: int
    box: Xyxy
    eye_corners: tuple[Xy, Xy]
    interocular_px: float
    label_points: tuple[Xy, ...] = ()
    pose: Pose | None = None
    lighting: LightSide | None = None
    masks: tuple[Mask, ...] = ()
    origin: Origin
    slices: dict[str, str]


class PackNet(Record):
    """A net of the chain as it was sealed.

    key: what the reference outputs were made with. input_shape, outputs: shapes of one item, in the
    model's own order of axes, without the batch's; input_dtype: what the sealed values become.
    """

    model: ModelRef
    key: ParityKey
    input_shape: tuple[int, ...]
    input_dtype: str
    outputs: dict[str, tuple[int, ...]]


class PackRule(Record):
    """What a rule's value is: shape of one item (() is one number), dtype, and the words that
    whole numbers stand for (-1 stands for none of them).
    """

    shape: tuple[int, ...]
    dtype: Literal["float64", "int64", "uint8"]
    labels: tuple[str, ...] = ()


class PackRecord(Record):
    """pack.json: what was sealed.

    purpose: a pack of the training split calibrates and judges nothing; any other judges and never
    calibrates. review_state: of the labels. limit: how many items were wanted at most, None for
    all. best_image_id: the best photo, which relative rules compare with; None without such rules
    or items. nets, rules: by stage. files: sha256 by path inside the pack, pack.json excepted.
    digest: sha256 over every other field, so it names the whole content of the pack.
    """

    format_version: Literal[2] = 2
    release: str
    version: str
    release_digest: str
    split: Split
    purpose: Purpose
    review_state: ReviewState
    limit: int | None = None
    item_count: int
    left_out_count: int
    best_image_id: Sha256 | None = None
    chain: Chain
    nets: dict[str, PackNet]
    rules: dict[str, PackRule]
    files: dict[str, Sha256]
    digest: str


# --- a run ------------------------------------------------------------------------------------


class Latency(Record):
    """Time of one inference over the run's items, after warm-up, in ms."""

    median_ms: float
    mean_ms: float
    p95_ms: float


class RunNet(Record):
    """What ran as one net of the chain. model_file: its name. latency: None where not timed."""

    key: ParityKey
    model_file: str
    latency: Latency | None = None


class NotRunnable(Record):
    """A model file that cannot run where `key` says: a finding, like any other.

    reason: a clause, in the runtime's words or the way its process died.
    """

    model_file: str
    key: ParityKey
    reason: str


class RunRecord(Record):
    """run.json: what ran on which pack.

    release, version, review_state: as the pack says. fed: "tensors", each net got the inputs that
    the pack holds; "images", the chain ran from the pictures on. image_ids: the items in the order
    of the arrays' rows; any order, each once, some may be missing. nets, not_runnable: by stage;
    some may be missing. files: sha256 by path inside the run, run.json excepted.
    """

    format_version: Literal[2] = 2
    pack_digest: str
    release: str
    version: str
    review_state: ReviewState
    fed: Fed
    image_ids: tuple[Sha256, ...]
    nets: dict[str, RunNet]
    not_runnable: dict[str, NotRunnable] = Field(default_factory=dict)
    files: dict[str, Sha256]

    @property
    def tried(self) -> dict[str, ParityKey]:
        """The keys by net, of those that ran and those that could not."""
        # Not named `keys`: Prefect takes what has that for a mapping.
        ran = {name: net.key for name, net in self.nets.items()}
        return ran | {name: one.key for name, one in self.not_runnable.items()}


# --- the comparison ---------------------------------------------------------------------------


class Measured(Record):
    """Base of what is computed: a broken model's infinity is written as the text "Infinity"."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class Estimate(Measured):
    """A mean over images with its 95 % bootstrap interval [low, high].

    low and high are NaN for a single image, which has no interval. What is a fact of these images
    and no estimate (a maximum, a share of flips, a ratio) has low = high = value. All three are
    infinite where a run gave values that are no numbers.
    """

    value: float
    low: float
    high: float


class NetComparison(Measured):
    """What ran as one net in both runs, and how long it took; None where it was not timed."""

    net: str
    reference: ParityKey
    candidate: ParityKey
    reference_latency: Latency | None = None
    candidate_latency: Latency | None = None


class TensorDeviation(Measured):
    """How far the candidate's output lies from the reference's, over all images.

    output: "net/output". max_abs, mean_abs: in the output's own unit. cosine: lowest cosine
    similarity of any image.
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
    output: "net/output", which `tensor_max_abs` looks at. limit: the measure may reach it, not
    exceed it. minimum_count: with fewer images there is no verdict.
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

    chain: its name. review_state: of the labels behind reference_nme, candidate_nme and
    nme_increase. count: items that both runs hold. nets: those that both runs hold. not_runnable:
    those that the candidate's kernels cannot run. latency_ratio: candidate's medians over the
    reference's, all nets together; None where one was not timed.
    """

    release: str
    version: str
    pack_digest: str
    chain: str
    review_state: ReviewState
    count: int
    nets: tuple[NetComparison, ...]
    not_runnable: dict[str, NotRunnable] = Field(default_factory=dict)
    tensors: tuple[TensorDeviation, ...]
    slices: tuple[SliceRow, ...]
    latency_ratio: float | None
    gates: tuple[GateVerdict, ...]

    @property
    def has_failed(self) -> bool:
        """Whether any gate failed or any net cannot run; "not enough evidence" is no failure."""
        is_failed = any(verdict.verdict == "fail" for verdict in self.gates)
        return is_failed or bool(self.not_runnable)
