"""A chain: which networks run, what feeds what, and what follows from their outputs, as data."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain as chain_of
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from faces.schema import load_schema
from mirrorset.errors import SettingsError, first_fault
from mirrorset.records import Record
from mirrorset.written_yaml import read_yaml
from parity.kernels import Kernel
from parity.rules.face_measures import Expression, HeadPose, LightingLabel
from parity.rules.mirror import FromBest, Hint
from parity.rules.person_mask import PersonMask
from parity.rules.points import Ibug68, ImagePoints, Presence
from parity.rules.rule import Kind, Rule
from parity.rules.ssd_face import SsdFace

CHAINS = Path(__file__).with_name("chains")
DEFAULT_CHAIN = "face_landmarks_detector"
IMAGE = "image"
WHOLE, LABELS = "whole", "labels"
_GIVEN = (WHOLE, LABELS)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _three(value: Any) -> Any:
    """One number for all channels as three."""
    return (value,) * 3 if isinstance(value, int | float) else value


def _none_is_zero(scale: tuple[float, float, float]) -> tuple[float, float, float]:
    if 0 in scale:
        raise ValueError("a scale of 0 makes all pictures alike")
    return scale


PerChannel = Annotated[tuple[float, float, float], BeforeValidator(_three)]
Side = Annotated[int, Field(gt=0)]


class NetInput(Record):
    """How the pixels of a picture become a net's input.

    region: "whole", the whole picture; "labels", the labelled face; or the stage that gives a face.
    fit: how a whole picture comes to the input's sides: stretched, or letterboxed in the middle.
    factor, align: a face is cut as the square of `factor` × the longer side of its box, about its
    centre; with "eyes" it is turned so that the eyes lie level.
    colour: order of the channels. resize: "nearest", "linear" and "cubic" look at the pixels around
    each place, also where they shrink, as phones do; "area" averages all that a pixel covers.
    grid: "half_pixel" lays pixel centres on centres, "asymmetric" corners on corners, as older
    converters do. border: beyond the picture its edge is repeated, or all is black.
    mean, scale: of each channel, or one number for all: value = (byte − mean) × scale; for a dtype
    of whole numbers it is rounded and kept within the dtype.
    """

    region: str
    fit: Literal["stretch", "letterbox"] = "stretch"
    factor: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    align: Literal["none", "eyes"] = "none"
    width_px: Side
    height_px: Side
    colour: Literal["rgb", "bgr"] = "rgb"
    resize: Literal["nearest", "linear", "cubic", "area"] = "linear"
    grid: Literal["half_pixel", "asymmetric"] = "half_pixel"
    border: Literal["edge", "black"] = "edge"
    mean: PerChannel = (0.0, 0.0, 0.0)
    scale: Annotated[PerChannel, AfterValidator(_none_is_zero)] = (1.0, 1.0, 1.0)
    layout: Literal["nhwc", "nchw"] = "nhwc"
    dtype: Literal["float32", "uint8", "int8"] = "float32"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one input in its layout, without the batch's axis."""
        sides = (self.height_px, self.width_px)
        return (*sides, 3) if self.layout == "nhwc" else (3, *sides)

    @model_validator(mode="after")
    def _is_square_around_a_face(self) -> "NetInput":
        if self.region != WHOLE and self.width_px != self.height_px:
            raise ValueError("a face is cut as a square: give one side for width_px and height_px")
        return self


class Net(Record):
    """A stage that is a network.

    net: a name of the registry (`mirrorset models list`), or a model file, by its path from the
    chain's file. outputs: names for all its outputs, in the model's order. tolerances: by output,
    values this far apart count as equal. reference_kernel: what its reference outputs are made
    with, the plain loops unless it holds an operation that they lack.
    """

    net: str
    input: NetInput
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    reference_kernel: Kernel = "reference"
    tolerances: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _names_its_outputs(self) -> "Net":
        _refuse_names(self.outputs, ("input", "transforms"))
        unknown = sorted(set(self.tolerances) - set(self.outputs))
        if unknown:
            raise ValueError(f"tolerances name {unknown[0]}, which is none of the outputs")
        return self


def _kind_of_stage(stage: Any) -> str | None:
    """Which record a stage is: "net", or the rule's name."""
    if isinstance(stage, Net):
        return "net"
    if isinstance(stage, Rule):
        return str(stage.rule)  # type: ignore[attr-defined]
    if not isinstance(stage, dict):
        return None
    return "net" if "net" in stage else stage.get("rule")


Stage: TypeAlias = Annotated[
    Annotated[Net, Tag("net")]
    | Annotated[SsdFace, Tag("ssd_face")]
    | Annotated[ImagePoints, Tag("image_points")]
    | Annotated[Presence, Tag("presence")]
    | Annotated[Ibug68, Tag("ibug68")]
    | Annotated[HeadPose, Tag("head_pose")]
    | Annotated[Expression, Tag("expression")]
    | Annotated[LightingLabel, Tag("lighting")]
    | Annotated[PersonMask, Tag("person_mask")]
    | Annotated[FromBest, Tag("from_best")]
    | Annotated[Hint, Tag("hint")],
    Discriminator(
        _kind_of_stage,
        custom_error_type="stage",
        custom_error_message="is neither a net nor one of the rules of docs/parity.md",
    ),
]


class Truth(Record):
    """Which stages people's labels are held against, and how.

    label_schema: of the labelled landmarks. eye_corners: its indices of the two outer eye corners,
    image-left first, whose distance is the unit of errors. points: the stage that gives landmarks;
    label_points: label index → index of the point there that marks the same place: only those that
    both schemes define alike. presence, pose, lighting, mask: the stages of that kind.
    """

    label_schema: str
    eye_corners: tuple[int, int]
    points: str | None = None
    label_points: dict[int, int] = Field(default_factory=dict)
    presence: str | None = None
    pose: str | None = None
    lighting: str | None = None
    mask: str | None = None


# What kind of stage each field of `Truth` names.
_TRUTH_KINDS: dict[str, Kind] = {
    "points": "points",
    "presence": "label",
    "pose": "pose",
    "lighting": "label",
    "mask": "mask",
}


class Chain(Record):
    """Stages in the order in which they run, by name; each reads only those before it."""

    name: str
    stages: Annotated[dict[str, Stage], Field(min_length=1)]
    truth: Truth

    @property
    def nets(self) -> dict[str, Net]:
        """The stages that are networks."""
        return {name: stage for name, stage in self.stages.items() if isinstance(stage, Net)}

    @property
    def rules(self) -> dict[str, Rule]:
        """The stages that are rules."""
        return {name: stage for name, stage in self.stages.items() if isinstance(stage, Rule)}

    @property
    def outputs(self) -> list[tuple[str, str]]:
        """(net, output) of every output, in order."""
        return [(net, name) for net, stage in self.nets.items() for name in stage.outputs]

    def without(self, nets: Collection[str], is_fed: bool) -> "Chain":
        """The chain without these nets and what follows from them; it may hold no stage at all.

        is_fed: whether nets are given their inputs, and so need no stage before them.
        """
        if not nets:
            return self
        kept: dict[str, Stage] = {}
        for name, stage in self.stages.items():
            needed: tuple[str, ...]
            if isinstance(stage, Net):
                needed = () if is_fed or stage.input.region in _GIVEN else (stage.input.region,)
                is_kept = name not in nets
            else:
                needed, is_kept = stage.of, True
            if is_kept and all(each == IMAGE or each in kept for each in needed):
                kept[name] = stage
        return self.model_copy(update={"stages": kept})

    @model_validator(mode="after")
    def _feeds_forward(self) -> "Chain":
        _refuse_names(tuple(self.stages), (IMAGE, WHOLE, LABELS))
        kinds: dict[str, Kind] = {IMAGE: "image"}
        for name, stage in self.stages.items():
            for fault in _faults(stage, kinds, self.stages):
                raise ValueError(f"stage {name}: {fault}")
            kinds[name] = "net" if isinstance(stage, Net) else stage.gives
        if not self.nets:
            raise ValueError("stages: none of them is a net")
        for field, kind in _TRUTH_KINDS.items():
            wanted = getattr(self.truth, field)
            if wanted is not None and kinds.get(wanted) != kind:
                raise ValueError(f"truth.{field}: no stage {wanted} gives {kind}")
        for fault in _truth_faults(self.truth, self.stages):
            raise ValueError(f"truth.{fault}")
        return self


def load_chain(path: Path) -> Chain:
    """The chain in the YAML file `path`.

    Raises SettingsError naming file, stage and field where it is none.
    """
    try:
        return Chain.model_validate(read_yaml(path))
    except OSError:
        raise SettingsError(
            f"{path} cannot be read: give a chain's file or one of {', '.join(shipped_chains())}."
        ) from None
    except ValidationError as error:
        where, fault = first_fault(error)
        raise SettingsError(f"{path}: {_place(where)}{fault}.") from None


def chain_file(name_or_path: str) -> Path:
    """The file of a chain that ships here, by its name, or the path itself."""
    shipped = CHAINS / f"{name_or_path}.yaml"
    return shipped if name_or_path in shipped_chains() else Path(name_or_path)


def shipped_chains() -> list[str]:
    """Names of the chains that ship here."""
    return sorted(file.stem for file in CHAINS.glob("*.yaml"))


def _truth_faults(truth: Truth, stages: Mapping[str, Stage]) -> Iterator[str]:
    """Points that neither scheme has."""
    try:
        count = len(load_schema(truth.label_schema).names)
    except SettingsError as error:
        yield f"label_schema: {str(error).rstrip('.')}"
        return
    left, right = truth.eye_corners
    if left == right or not {left, right} <= set(range(count)):
        yield f"eye_corners: name two of the {count} points of {truth.label_schema}"
    points = stages.get(truth.points or "")
    known = points.count if isinstance(points, ImagePoints) else None
    for label, index in truth.label_points.items():
        if not 0 <= label < count:
            yield f"label_points.{label}: {truth.label_schema} has {count} points"
        elif index < 0 or (known is not None and index >= known):
            yield f"label_points.{label}: {truth.points} gives {known} points, and none is {index}"


def _faults(
    stage: Net | Rule, kinds: dict[str, Kind], stages: Mapping[str, Stage]
) -> Iterator[str]:
    """What does not fit a stage whose predecessors give `kinds`."""
    if isinstance(stage, Net):
        region = stage.input.region
        if region not in _GIVEN and kinds.get(region) != "face":
            yield f"input.region: no stage {region} before it gives a face"
        return
    if len(stage.of) != len(stage.takes):
        yield f"of: it reads {' and '.join(stage.takes)}, name {len(stage.takes)} of them"
        return
    for name, kind in zip(stage.of, stage.takes, strict=True):
        if kinds.get(name) != kind:
            yield f"of: no stage {name} before it gives {kind}"
            return
    read = stages.get(stage.of[0]) if stage.of else None
    for output in stage.outputs_read:
        if isinstance(read, Net) and output not in read.outputs:
            yield f"it reads {output}, and {stage.of[0]} gives {' and '.join(read.outputs)}"
    if isinstance(stage, Ibug68) and isinstance(read, ImagePoints) and stage.source != "ibug68":
        needed = chain_of(*load_schema("ibug68").derived_from[stage.source])
        if max(needed) >= read.count:
            yield f"source: {stage.source} has more than the {read.count} points of {stage.of[0]}"


def _refuse_names(names: tuple[str, ...], taken: tuple[str, ...]) -> None:
    """Raise ValueError where one cannot name a file and a field, or means something else."""
    for name in names:
        if not _NAME.fullmatch(name) or name in taken:
            raise ValueError(
                f"{name!r} is no name here: use small letters, digits and _, and none of "
                + ", ".join(taken)
            )
    if len(set(names)) < len(names):
        raise ValueError("two have one name")


def _place(where: str) -> str:
    """Where a fault lies, in words: pydantic's path with the stage's name first."""
    parts = where.split(".")
    if parts[0] == "stages" and len(parts) > 1:
        # After the name comes the tag of the record that the stage was read as.
        return f"stage {parts[1]}: " + (f"{'.'.join(parts[3:])}: " if parts[3:] else "")
    return f"{where}: " if where else ""
