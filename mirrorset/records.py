"""The records that rooms exchange: frozen, closed, and free of arrays.

Coordinates are pixels of the *upright* image (EXIF orientation applied), x to the right and y
down, with (0, 0) the outer corner of the top-left pixel. Boxes are xyxy. Times are UTC.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

#: Parts of paths, wherever they were read.
DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]*$", max_length=100)]
VersionNumber = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
Xy = tuple[float, float]
Xyxy = tuple[float, float, float, float]
Split = Literal["train", "val", "test"]
Origin = Literal["model", "human", "gold", "replica"]
IntendedUse = Literal["research", "commercial"]
LightSide = Literal["left", "right", "front", "back", "top", "mixed"]
AgeBand = Literal["18-29", "30-44", "45-59", "60+"]
Tone = Literal["light", "medium", "dark"]


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of all records: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- what came in -----------------------------------------------------------------------------


class Licence(Record):
    """A licence as normalised by `mirrorset.licences`.

    code: "CC0"; "PD"; "CC-" and the terms BY, NC, SA and ND in this order ("CC-BY-NC-SA"; the first
    versions also had "CC-SA" and the like). Two are no licences: "NKC", an institution knows of no
    copyright (rightsstatements.org), which passes for research only; "CONSENT", in-house captures
    whose people agreed to the dataset's intended use, which it passes for: the consent itself is
    kept by whoever asked for it.
    version: "1.0" to "4.0", or "" where there is none (PD, NKC, CONSENT).
    url: canonical address of the text, the port's where there is one; "" for CONSENT.
    """

    code: str
    version: str = ""
    url: str = ""


class Evidence(Record):
    """Where a licence was read, kept as long as the picture is.

    licence_read_from: the field, tag or file that named the licence ("extmetadata.LicenseUrl").
    licence_text: what stood there, word for word.
    version: the source's own mark of the item's state (a sha1, a size and time of change), or "".
    host_files: what of the host was read and allowed it: name ("robots.txt") → sha256 or status.
    headers: response headers of the picture that bear on its use, lower-case names.
    crawler: product and version that read it ("mirrorset/0.1.0").
    """

    licence_read_from: str
    licence_text: str
    version: str = ""
    host_files: dict[str, str] = {}
    headers: dict[str, str] = {}
    crawler: str


class ImageRecord(Record):
    """One picture by content.

    image_id: sha256 of the original bytes. pixel_hash: BLAKE3 of the upright RGB pixels and their
    shape. phash: 64-bit DCT hash of the upright image, 16 hex digits.
    """

    image_id: Sha256
    media_type: str
    size_bytes: int
    width_px: int
    height_px: int
    pixel_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    phash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Sighting(Record):
    """An image seen at a place, under a licence. One image may be seen at many.

    subject_ids: what the source calls the people shown, where it says who is who. age_band, tone:
    of the person shown, where the source says so of all in the picture; never estimated.
    shows_author: whether it was found where pictures show their own author, as params.yaml says of
    a search for selfies.
    """

    image_id: Sha256
    source: str
    source_item_id: str
    page_url: str
    image_url: str
    licence: Licence
    author: str = ""
    evidence: Evidence
    seen_at: AwareDatetime
    subject_ids: tuple[str, ...] = ()
    age_band: AgeBand | None = None
    tone: Tone | None = None
    shows_author: bool = False

    @property
    def public_image_url(self) -> str:
        """image_url; where that is a path on this machine, the item below its folder instead:
        "folder:day-1/ada.jpg".
        """
        is_path = self.image_url.startswith("file:")
        return f"{self.source}:{self.source_item_id}" if is_path else self.image_url


class Reason(StrEnum):
    """Why an item was rejected. The values are counted, printed and stored."""

    LICENCE_MISSING = "licence_missing"
    LICENCE_UNKNOWN = "licence_unknown"
    NO_DERIVATIVES = "no_derivatives"
    NON_COMMERCIAL = "non_commercial"
    MODEL_LICENCE = "model_licence"
    ROBOTS = "robots"
    OPT_OUT_NOAI = "opt_out_noai"
    OPT_OUT_TDM = "opt_out_tdm"
    OPT_OUT_TAG = "opt_out_tag"
    HTTP_ERROR = "http_error"
    GONE = "gone"
    FORBIDDEN_ADDRESS = "forbidden_address"
    TOO_LARGE = "too_large"
    CHECKSUM = "checksum"
    LOST = "lost"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    POLYGLOT = "polyglot"
    DECOMPRESSION_BOMB = "decompression_bomb"
    TOO_SMALL = "too_small"
    DUPLICATE_PIXELS = "duplicate_pixels"
    NO_FACE = "no_face"
    MODEL_FAILED = "model_failed"
    MINOR_DOUBT = "minor_doubt"
    INTIMATE = "intimate"
    DROPPED = "dropped"
    ERASED = "erased"
    QUALITY = "quality"
    SEVERAL_FACES = "several_faces"
    OCCLUSION = "occlusion"
    SMALL_FACE = "small_face"
    BLURRED = "blurred"
    EXPOSURE = "exposure"
    POSE = "pose"
    CHECK_FAILED = "check_failed"
    SPLIT_CONFLICT = "split_conflict"
    OVERSIZED_GROUP = "oversized_group"
    UNREVIEWED = "unreviewed"


class Verification(Record):
    """The last time that a sighting's receipt was found to hold still."""

    image_id: Sha256
    source: str
    source_item_id: str
    verified_at: AwareDatetime


class Quarantine(Record):
    """A sighting whose receipt holds no longer: its image waits, neither shown nor released.

    reason, detail: as of the last check. expires_at: a quarantine that nothing has ended by then is
    due for erasure; its image never returns by itself. released_at: when the receipt was found to
    hold again, or None while it does not.
    """

    image_id: Sha256
    source: str
    source_item_id: str
    reason: Reason
    detail: str
    since: AwareDatetime
    expires_at: AwareDatetime
    released_at: AwareDatetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether the image still waits."""
        return self.released_at is None


class Decision(Record):
    """What a named person decided on an image in quarantine, and why; a later one is another.

    gate: which doubt it answers: "adult" (somebody in it may be a minor) or "licence". action:
    "release" lets the image pass that gate; "drop" keeps it out for good. by, reason: "" in a
    snapshot, which is shared more widely than the catalogue.
    """

    image_id: Sha256
    gate: Literal["adult", "licence"]
    action: Literal["release", "drop"]
    by: str
    reason: str
    decided_at: AwareDatetime


class Rejected(Record):
    """A record that did not pass, kept to be looked at.

    item_id: image_id where there is one, otherwise "source:source_item_id" or a file name.
    step: the verb that rejected it ("crawl", "prelabel", "annotate", "select", "group").
    detail: one sentence for a person. is_retryable: a lost connection may succeed next time.
    """

    item_id: str
    step: str
    reason: Reason
    detail: str = ""
    image_url: str = ""
    is_retryable: bool = False


# --- what is known of it ----------------------------------------------------------------------


class ModelRef(Record):
    """The model that made a label, exactly."""

    name: str
    sha256: Sha256
    licence: str
    is_commercial_use_allowed: bool


class Landmarks(Record):
    """Points of one schema, in the schema's order; the three tuples have equal length.

    points: xy in px. visibility: COCO's 2 visible, 1 occluded, 0 outside the image.
    confidence: probability that the point is within 5 % of the interocular distance of its true
    place (faces/uncertainty.py); 1 where a person set it.
    """

    points: tuple[Xy, ...]
    visibility: tuple[Literal[0, 1, 2], ...]
    confidence: tuple[float, ...]

    @model_validator(mode="after")
    def _equal_lengths(self) -> "Landmarks":
        if not len(self.points) == len(self.visibility) == len(self.confidence):
            raise ValueError("points, visibility and confidence differ in length")
        return self


class Pose(Record):
    """Head pose in degrees, read as R_y(yaw) · R_x(−pitch) · R_z(−roll). Zero faces the camera.

    Head and camera have the same axes: x to the image's right, y up, z from the head to the viewer.
    yaw_deg > 0: the nose points to the image's right. pitch_deg > 0: the nose points up.
    roll_deg > 0: the head's top leans to the image's right (clockwise as seen). The camera is one
    that looks straight at the face, wherever in the frame it is. Mirroring the image negates yaw
    and roll and leaves pitch; turning it clockwise adds to the roll of a head that faces the
    camera, and turns where any other's nose points.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


class Lighting(Record):
    """Lighting condition of a face (faces/lighting.py gives the formulae).

    side: where the light comes from, in image terms; "front" where no direction shows, "back" where
    the background outshines the face, "mixed" where two lights do. level: mean luminance of the
    face, linear, 0 to 1. evenness: 1 for equally lit sides, ½ where one gets twice the light.
    colour_cast: log2 of red over blue of the light, by the eyes' whites: over 0 is warm.
    """

    side: LightSide
    level: float
    evenness: float
    colour_cast: float


class Quality(Record):
    """Capture measures of a face, named after ISO/IEC 29794-5:2025 (faces/quality.py has formulae).

    T is the distance from midway between the eyes' centres to the chin. inter_eye_distance_px.
    head_size: T over the image's height. sharpness: variance of the Laplacian on the face scaled to
    128 px. luminance_mean, luminance_variance: linear, 0 to 1. under_exposure, over_exposure: share
    of black and of white face pixels. dynamic_range: entropy of the luminance, 0 to 8 bits.
    illumination_uniformity: how much the luminances of both cheeks have in common, 0 to 1.
    eyes_open: opening of the less open eye over T. mouth_closed: opening of the lips over T, 0 for
    a closed mouth. margin_left, margin_right: from the nearer eye to the image's edge, in distances
    of the eyes' centres. margin_above, margin_below: from midway between the eyes, in T.
    """

    inter_eye_distance_px: float
    head_size: float
    sharpness: float
    luminance_mean: float
    luminance_variance: float
    under_exposure: float
    over_exposure: float
    dynamic_range: float
    illumination_uniformity: float
    eyes_open: float
    mouth_closed: float
    margin_left: float
    margin_right: float
    margin_above: float
    margin_below: float


class Face(Record):
    """One face. face_id is unique within its image and stable for one annotation ("0", "1", …).

    landmarks: by schema name ("ibug68", "face106"). blendshapes: 52 scores 0 to 1 by name.
    uncertainty: NME (interocular) that is expected of the eyes, nose and mouth as the machine
    placed them: images are ranked by it, worst first. None where a person or nobody placed them.
    attributes: values of the label schema's attributes ("occlusion": "none"). score: detector's.
    """

    face_id: str
    box: Xyxy
    score: float
    landmarks: dict[str, Landmarks] = {}
    uncertainty: float | None = None
    pose: Pose | None = None
    lighting: Lighting | None = None
    quality: Quality | None = None
    blendshapes: dict[str, float] = {}
    attributes: dict[str, str] = {}


class Mask(Record):
    """A binary region: run lengths inside a box, as CVAT writes them.

    left, top, right, bottom: inclusive pixel indices. rle: lengths of runs in row order over the
    box, beginning with background; they sum to the box's area.
    """

    label: str
    left: int
    top: int
    right: int
    bottom: int
    rle: tuple[int, ...]

    @model_validator(mode="after")
    def _fills_its_box(self) -> "Mask":
        area = (self.right - self.left + 1) * (self.bottom - self.top + 1)
        if sum(self.rle) != area:
            raise ValueError(f"run lengths sum to {sum(self.rle)}, the box holds {area} pixels")
        return self


class Provenance(Record):
    """Where a person's labels were read.

    server: the address. server_version: as it calls itself ("2.54.1"), "" where it does not say.
    task, job: its ids. stage, state: of the job as it was read, in the server's words
    ("acceptance", "completed"). updated_at: when the job was last changed there.
    """

    server: str
    server_version: str = ""
    task: str
    job: str
    stage: str
    state: str
    updated_at: AwareDatetime


class Annotation(Record):
    """All that is known of one image from one origin.

    origin: "model" until a person has looked; "human" is what an annotator made of it, "gold" what
    the one made who sets the standard; "replica" is a further annotator's look at the same image:
    it serves agreement and is never released. by: the profile or the annotator's pseudonym.
    batch_id: of the batch in which people had it, "" of a model's labels. schema_version: of the
    label schema that the attributes and tags follow. provenance: None for a model's labels, and in
    everything that is shared.
    """

    image_id: Sha256
    faces: tuple[Face, ...]
    tags: dict[str, str] = {}
    masks: tuple[Mask, ...] = ()
    origin: Origin
    by: str
    batch_id: str = ""
    models: tuple[ModelRef, ...] = ()
    schema_version: str
    made_at: AwareDatetime
    provenance: Provenance | None = None


class Batch(Record):
    """Images sent to annotators together, in frame order.

    state: "planned" until the push has ended: it is kept before, so that one that was killed is
    taken up again. server, project, task: "" until then.
    """

    batch_id: Annotated[str, Field(pattern=r"^\w[\w\-.]*$", max_length=100)]
    image_ids: tuple[Sha256, ...]
    schema_version: str
    server: str
    project: str
    task: str
    state: Literal["planned", "pushed", "returned"]


class AnnotationJob(Record):
    """One annotator's share of a batch, as it was when it was last pulled.

    kind: "replica" for a further look at an annotation job's images, "ground_truth" for the one
    whose labels set the standard. image_ids: in frame order. stage ("annotation", "validation",
    "acceptance"), state ("new", "in progress", "completed", "rejected"): the server's words.
    annotator: a pseudonym, "" while nobody is assigned. updated_at: when the server last changed
    it, which a look can do; content_sha256: of the labels it held, "" while they were not read.
    """

    batch_id: str
    job_id: str
    kind: Literal["annotation", "replica", "ground_truth"]
    image_ids: tuple[Sha256, ...]
    stage: str
    state: str
    annotator: str = ""
    updated_at: AwareDatetime
    content_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class Sent(Record):
    """One image of a batch with the labels that it went out with: what people changed is told by
    these, whatever models have said of the image since.
    """

    batch_id: str
    image_id: Sha256
    annotation: Annotation


class Stop(Record):
    """Whether anybody who has the image in this batch says that it must not be used.

    is_standing: False once they all have taken it back. It holds for every batch with the image.
    """

    batch_id: str
    image_id: Sha256
    is_standing: bool


class Hidden(Record):
    """Whether we have hidden the image from the annotators of this batch, and so show it again."""

    batch_id: str
    image_id: Sha256
    is_hidden: bool


class Honeypot(Record):
    """An image with known gold that was drawn into a batch, to see how its annotators do.

    Kept in the catalogue alone: whoever works on the batch must not be able to tell.
    """

    batch_id: str
    image_id: Sha256


class Verdict(Record):
    """One check on one image."""

    image_id: Sha256
    check: str
    passed: bool
    measured: float | None = None
    threshold: float | None = None


class Tombstone(Record):
    """Something that was erased and must not come back: a keyed hash (mirrorset/tombstones.py)."""

    keyed_hash: Sha256
    erased_at: AwareDatetime


# --- what leaves ------------------------------------------------------------------------------


class LedgerEntry(Record):
    """Where an image lives in every release: minted once, never moved.

    group_id: what belongs together shares it; all of a group lies in one split. image_shard: number
    of the file images/NNNNN.parquet that holds the bytes. test_series: name of the frozen series of
    test images that it belongs to, "" for none; series_images: how many that one began with;
    earlier_series: the same of series that ended, by name, so that no name ever means other images.
    """

    image_id: Sha256
    group_id: str
    split: Split
    image_shard: int
    minted_at: AwareDatetime
    test_series: str = ""
    series_images: int = 0
    earlier_series: dict[str, int] = Field(default_factory=dict)


class DatasetItem(Record):
    """One row of a release. test_series, series_images: as in `LedgerEntry`."""

    image_id: Sha256
    group_id: str
    split: Split
    image_shard: int
    annotation: Annotation
    test_series: str = ""
    series_images: int = 0


def one_line(text: str) -> str:
    """Words of others as they may be shown: one line, and nothing that steers a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _named_device(text: str) -> str:
    parts = [one_line(part) for part in text.split(",")]
    if not any(parts):
        raise ValueError('name the device, as in "Pixel 8, Android 15, Tensor G3"')
    return ", ".join(parts)


OneLine = Annotated[str, AfterValidator(one_line)]


class ParityKey(Record):
    """What ran where. Two results with different keys come from different models.

    delegated_share: nodes run by the delegate over all nodes, 0 to 1, or None where unknown.
    """

    model_sha256: Sha256
    runtime: OneLine
    runtime_version: OneLine
    kernel: OneLine
    delegate: OneLine
    device: Annotated[str, AfterValidator(_named_device)]
    threads: Annotated[int, Field(ge=0, lt=2**16)]
    delegated_share: Annotated[float | None, Field(ge=0, le=1)] = None
