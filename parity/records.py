"""What parity keeps: a pack's items, a run's key and times, and the comparison of two runs.

`comparison.json` is one `Comparison`; docs/parity.md describes it for those who only read it.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mirrorset.paths_within import FilesWithin, PathWithin
from mirrorset.records import (
    DatasetName,
    LightSide,
    Mask,
    ModelRef,
    OneLine,
    Origin,
    ParityKey,
    Pose,
    Record,
    Sha256,
    Split,
    VersionNumber,
    Xy,
    Xyxy,
)
from parity.chain import Chain
from parity.measures import MEASURES, Measure, known_metric
from parity.slices import known_slice

ReviewState = Literal["unreviewed", "reviewed", "partly_reviewed"]
Purpose = Literal["test", "calibration"]
Fed = Literal["tensors", "images"]
Outcome = Literal["pass", "fail", "not_enough_evidence"]
Metric = Annotated[str, AfterValidator(known_metric)]


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
    file: PathWithin
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
    release: DatasetName
    version: VersionNumber
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
    files: FilesWithin
    digest: str


# --- a run ------------------------------------------------------------------------------------


Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Latency(Record):
    """Time of one inference over the run's items, after warm-up, in ms."""

    median_ms: Milliseconds
    mean_ms: Milliseconds
    p95_ms: Milliseconds


class RunNet(Record):
    """What ran as one net of the chain. model_file: its name. latency: None where not timed."""

    key: ParityKey
    model_file: OneLine
    latency: Latency | None = None


class NotRunnable(Record):
    """A model file that cannot run where `key` says: a finding, like any other.

    reason: a clause, in the runtime's words or the way its process died.
    """

    model_file: OneLine
    key: ParityKey
    reason: OneLine


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
    """A figure with its 95 % interval [low, high].

    A single image has no interval: it may be anything, from -infinity to infinity. What is a fact
    of these images and no estimate (a maximum, a ratio of times) has low = high = value. All three
    are infinite where a run gave values that are no numbers.
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


class Figure(Measured):
    """One measure of one slice.

    metric: a measure's name. output: what it is of: "net/output", a rule, or "" for the whole
    chain. slice: "all" or "axis=cell". count: images that it is of. estimate: None where no image
    counts.
    """

    metric: Metric
    output: str
    slice: str
    count: int
    estimate: Estimate | None


class SliceRow(Measured):
    """One slice of the test set, "all" or "axis=cell"; with too few images it has no figures."""

    slice: str
    count: int
    is_enough: bool


class Confusion(Measured):
    """How often a label of one was which label of the other, over all images.

    output: the rule. rows, columns: who says so. words: of rows and columns alike, in order; the
    last is "none", where there was nothing to judge. counts: by row and column.
    """

    output: str
    rows: Literal["labels", "reference"]
    columns: Literal["reference", "candidate"]
    words: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def has_flips(self) -> bool:
        """Whether any image lies off the diagonal."""
        return any(
            count
            for row, counts in enumerate(self.counts)
            for column, count in enumerate(counts)
            if row != column
        )

    @property
    def used(self) -> list[str]:
        """The words that occur."""
        return [self.words[place] for place in self._places]

    @property
    def table(self) -> dict[str, list[int]]:
        """Counts by the row's word, for the words that occur."""
        places = self._places
        return {self.words[row]: [self.counts[row][column] for column in places] for row in places}

    @property
    def _places(self) -> list[int]:
        return [
            place
            for place, row in enumerate(self.counts)
            if any(row) or any(other[place] for other in self.counts)
        ]


class OtherPack(Measured):
    """What the candidate ran on, where that is another pack than the reference's.

    count: its items; the comparison's own count says how many both have. left_out: stages that
    cannot be compared between the two, with the reason, a clause.
    """

    release: str
    version: str
    pack_digest: str
    review_state: ReviewState
    count: int
    left_out: dict[str, str] = Field(default_factory=dict)


class Gate(Record):
    """A limit that a comparison must keep: the measure may reach it, not go beyond it.

    metric: a measure's name; where a high one is good the limit is a floor. output: what it is of,
    "net/output" or a rule; "" where the chain has one such. slice: "all", one cell ("pose=left") or
    an axis ("pose": each of its cells is judged). limit: in the measure's own unit. times: in place
    of a limit, so many times what the reference itself has, paired by image; of means alone.
    minimum_count: with fewer images there is no verdict.
    """

    metric: Metric
    limit: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    times: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    slice: Annotated[str, AfterValidator(known_slice)] = "all"
    output: str = ""
    minimum_count: Annotated[int, Field(ge=1)] = 10

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.limit is None) == (self.times is None):
            raise ValueError("give a limit, or times the reference's")
        if self.times is not None and (
            not self.metric.startswith("candidate_") or MEASURES[self.metric].kind != "mean"
        ):
            raise ValueError(
                f"times is for means of the candidate such as candidate_nme, not for {self.metric}"
            )
        return self


class GateVerdict(Measured):
    """What a gate said of one slice.

    output: what was measured. measured: None where nothing could be; of a gate with `times`, what
    the candidate has beyond so many times the reference's, whose limit is 0.
    """

    gate: Gate
    output: str
    slice: str
    count: int
    measured: Estimate | None
    verdict: Outcome


class Comparison(Measured):
    """Two runs side by side, on the items that both hold.

    release, version, pack_digest: of the reference's pack, whose labels count. other_pack: the
    candidate's, where it is another. chain: its name. review_state: of the labels. count: items
    that both runs hold, of reference_count and candidate_count. nets: those that both runs hold.
    not_runnable: those that the candidate's kernels cannot run. measures: the rows of the table
    that figures and gates name. confusions: over all images.
    """

    release: str
    version: str
    pack_digest: str
    other_pack: OtherPack | None = None
    chain: str
    review_state: ReviewState
    count: int
    reference_count: int
    candidate_count: int
    nets: tuple[NetComparison, ...]
    not_runnable: dict[str, NotRunnable] = Field(default_factory=dict)
    measures: tuple[Measure, ...]
    slices: tuple[SliceRow, ...]
    figures: tuple[Figure, ...]
    confusions: tuple[Confusion, ...] = ()
    gates: tuple[GateVerdict, ...]

    @property
    def has_failed(self) -> bool:
        """Whether any gate failed or any net cannot run; "not enough evidence" is no failure."""
        is_failed = any(verdict.verdict == "fail" for verdict in self.gates)
        return is_failed or bool(self.not_runnable)

    def estimate(self, metric: str, output: str = "", slice_: str = "all") -> Estimate | None:
        """A figure's estimate; output "" for the first that has the measure. None without one."""
        return next(
            (
                figure.estimate
                for figure in self.figures
                if figure.metric == metric
                and figure.slice == slice_
                and output in ("", figure.output)
            ),
            None,
        )
