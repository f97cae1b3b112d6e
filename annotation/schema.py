"""The label schema: what annotators can draw and set, and the same in CVAT's words."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from faces.schema import load_schema
from mirrorset.errors import SettingsError, first_fault
from mirrorset.records import Record, Xy

FACE_ID = "face_id"
SCORE = "score"
CONFIDENCE = "confidence"
UNKNOWN = "unknown"
#: Values of a face's attributes that nobody has set: they are absent from the record.
UNSET = (UNKNOWN, "")
REVIEWED = "reviewed"
DO_NOT_USE = "do_not_use"

_SCHEMAS = Path(__file__).parent / "schemas"

# Text that comes back as it went: the server refuses more characters, cuts blanks off both ends,
# and XML has no way to write what is none of these characters.
_LONGEST_TEXT = 4096
_UNCARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search


def _rrggbb(colour: str) -> str:
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        raise ValueError(f"{colour!r} is no colour: write #rrggbb, in small letters")
    return colour


# What CVAT's server takes at the most; longer ones it refuses.
Name = Annotated[str, Field(min_length=1, max_length=64)]


# It takes any word for a colour, and its editor then draws in none.
def _guide(name: str) -> str:
    if not re.fullmatch(r"[\w-]+\.md", name):
        raise ValueError(f"{name!r} is no file of annotation/guides: write NAME.md")
    return name


Colour = Annotated[str, AfterValidator(_rrggbb)]


class AttributeSpec(Record):
    """One attribute of a label.

    values: options of a select; lowest, highest and step of a number; otherwise empty. default:
    what a shape has that nobody set it on. is_mutable: whether it may change between two frames in
    which a shape is tracked; what belongs to the person may not.
    """

    name: Name
    kind: Literal["select", "number", "text"]
    values: tuple[str, ...] = ()
    default: str
    is_mutable: bool = False

    @model_validator(mode="after")
    def _has_legal_default(self) -> "AttributeSpec":
        if self.kind == "number" and len(self.values) != 3:
            raise ValueError(f"{self.name} is a number: give lowest, highest and step")
        # The server keeps them as lines of one text.
        if bad := [one for one in self.values if one != " ".join(one.split()) or not one]:
            raise ValueError(f"{self.name} has a value {bad[0]!r}: one line without margins")
        if self.kind == "number" and not self._is_range():
            raise ValueError(f"{self.name} is a number: its lowest is not below its highest")
        if too_long := [one for one in self.values if len(one) > _LONGEST_TEXT]:
            raise ValueError(f"{self.name} has an option of {len(too_long[0])} characters")
        if not self.accepts(self.default):
            raise ValueError(f"{self.name} may not have its own default {self.default!r}")
        return self

    def _is_range(self) -> bool:
        try:
            return float(self.values[0]) < float(self.values[1])
        except ValueError:
            return False

    def accepts(self, value: str) -> bool:
        """Whether `value` is one that this attribute may have; CVAT's server does not ask."""
        if self.kind == "select":
            return value in self.values
        if self.kind == "number":
            try:
                return float(self.values[0]) <= float(value) <= float(self.values[1])
            except ValueError:
                return False
        return len(value) <= _LONGEST_TEXT and value == value.strip() and not _UNCARRIED(value)


class LabelSpec(Record):
    """One label. colour: "#rrggbb".

    Of a skeleton: point_attributes, of every point; point_colours, by how the points' names begin
    ("eye_left"), the label's own colour for the rest.
    """

    name: Name
    shape: Literal["rectangle", "skeleton", "mask", "tag"]
    colour: Colour
    attributes: tuple[AttributeSpec, ...] = ()
    point_attributes: tuple[AttributeSpec, ...] = ()
    point_colours: dict[str, Colour] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_attributes_once(self) -> "LabelSpec":
        for attributes in (self.attributes, self.point_attributes):
            names = [attribute.name for attribute in attributes]
            if len(set(names)) != len(names):
                raise ValueError(f"two attributes of {self.name} have one name")
        return self

    def point_colour(self, point: str) -> str:
        """The colour of the point of this name."""
        of_groups = (self.point_colours[one] for one in self.point_colours if point.startswith(one))
        return next(of_groups, self.colour)


class LabelSchema(Record):
    """A label schema with the points of its skeleton.

    name: its file's. guides: Markdown files of annotation/guides that together are the annotators'
    guide. The rectangle is the face; the skeleton is named after a landmark schema. point_names: in
    that schema's order. edges: pairs of indices into them. layout: xy of every point in a drawing
    of 100×100, where CVAT's template for a new skeleton is.
    """

    name: str
    version: str
    guides: tuple[Annotated[str, AfterValidator(_guide)], ...] = ()
    labels: tuple[LabelSpec, ...]
    point_names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    layout: tuple[Xy, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> "LabelSchema":
        names = [label.name for label in self.labels]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"two labels are named {twice[0]}")
        for shape in ("rectangle", "skeleton"):
            if sum(label.shape == shape for label in self.labels) != 1:
                raise ValueError(f"exactly one {shape} label is wanted")
        if any(len(label.attributes) > 1 for label in self.labels if label.shape == "tag"):
            raise ValueError("a tag has at most one attribute")
        for name, purpose in ((REVIEWED, "have looked at"), (DO_NOT_USE, "stop")):
            if self.label(name, "tag") is None:
                raise ValueError(f"there is no tag {name}, by which annotators {purpose} a picture")
        self._has_attributes()
        if len(self.layout) != len(self.point_names):
            raise ValueError(f"{len(self.layout)} layout points, {len(self.point_names)} names")
        for places in zip(*self.layout, strict=True):
            # What is not a number is in no range.
            if not all(0 <= place <= 100 for place in places) or min(places) == max(places):
                raise ValueError("the layout's points are not spread over its 100×100")
        for group in self.skeleton.point_colours:
            if not any(point.startswith(group) for point in self.point_names):
                raise ValueError(f"no point's name begins with {group!r}, which has a colour")
        return self

    def _has_attributes(self) -> None:
        """Raise ValueError where a record would lack what it needs, or has no place for one."""
        confidence, identity = {CONFIDENCE}, {FACE_ID, CONFIDENCE}
        for owner, attributes, all_of_them in (
            (self.skeleton.name, self.skeleton.attributes, identity),
            (f"points of {self.skeleton.name}", self.skeleton.point_attributes, confidence),
            *((one.name, one.attributes, set()) for one in self.labels if one.shape == "mask"),
        ):
            if {attribute.name for attribute in attributes} != all_of_them:
                wanted = " and ".join(sorted(all_of_them)) or "none"
                raise ValueError(f"{owner}: the attributes have to be {wanted}")
        lacking = {FACE_ID, SCORE} - {attribute.name for attribute in self.face.attributes}
        if lacking:
            raise ValueError(f"{self.face.name}: there is no attribute {min(lacking)}")
        for attribute in self.face.attributes:
            if attribute.name not in (FACE_ID, SCORE) and attribute.default not in UNSET:
                raise ValueError(
                    f"{self.face.name}: {attribute.name} needs a default that says that nobody has "
                    f"set it: {UNKNOWN}, or nothing"
                )

    @property
    def face(self) -> LabelSpec:
        """The rectangle label."""
        return next(label for label in self.labels if label.shape == "rectangle")

    @property
    def skeleton(self) -> LabelSpec:
        """The skeleton label; its name is the landmark schema's."""
        return next(label for label in self.labels if label.shape == "skeleton")

    def label(self, name: str, shape: str) -> LabelSpec | None:
        """The label of this name if it has this shape."""
        return next((one for one in self.labels if (one.name, one.shape) == (name, shape)), None)


@cache
def load_label_schema(name: str = "selfie") -> LabelSchema:
    """The label schema `name` of this package, its skeleton completed from the landmark schema.

    A schema that `extends` another has its labels and guides before its own. Raises SettingsError
    where there is no such schema or the file does not fit.
    """
    fields = _fields(name)
    labels = [one for one in fields.get("labels") or () if isinstance(one, dict)]
    skeletons = [str(one.get("name")) for one in labels if one.get("shape") == "skeleton"]
    landmarks = load_schema(skeletons[0]) if skeletons else None
    derived = {"point_names": landmarks.names, "edges": landmarks.edges} if landmarks else {}
    try:
        return LabelSchema.model_validate(
            {"point_names": (), "edges": ()} | fields | {"name": name} | derived
        )
    except ValidationError as error:
        _, fault = first_fault(error)
        place = _place(error.errors()[0]["loc"], fields)
        raise SettingsError(f"{name}.yaml: {place}{fault}.") from None


def _fields(name: str, extending: tuple[str, ...] = ()) -> dict[str, Any]:
    known = sorted(file.stem for file in _SCHEMAS.glob("*.yaml"))
    if name not in known:
        choice = ", ".join(known)
        raise SettingsError(f"There is no label schema {name!r}: choose one of {choice}.")
    if name in extending:
        raise SettingsError(f"{name}.yaml extends itself: let it extend another schema or none.")
    try:
        fields = yaml.safe_load((_SCHEMAS / f"{name}.yaml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise SettingsError(f"{name}.yaml is no YAML: {why}.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("labels"), list):
        raise SettingsError(f"{name}.yaml has no list `labels`: see the schema selfie.")
    if "extends" not in fields:
        return fields
    base = _fields(str(fields.pop("extends")), (*extending, name))
    added = {
        part: (base.get(part) or []) + (fields.get(part) or []) for part in ("labels", "guides")
    }
    return base | fields | added


def _place(loc: tuple[int | str, ...], fields: dict[str, Any]) -> str:
    """Where in the file a value does not fit, labels by their names."""
    match loc:
        case ("labels", int(number), *rest):
            label = fields["labels"][number]
            name = label.get("name") if isinstance(label, dict) else None
            place = [f"label {name!r}" if name else f"label {number + 1}", *map(str, rest)]
        case _:
            place = list(map(str, loc))
    return ": ".join([*place, ""]) if place else ""


def cvat_labels(schema: LabelSchema) -> list[dict[str, Any]]:
    """The labels as CVAT's API and the Raw tab of its label editor take them."""
    return [_cvat_label(label, schema) for label in schema.labels]


def skeleton_svg(schema: LabelSchema) -> str:
    """CVAT's drawing of the skeleton: lines between and circles at the points, ids from 1."""
    lines = [
        f'<line x1="{schema.layout[a][0]}" y1="{schema.layout[a][1]}" '
        f'x2="{schema.layout[b][0]}" y2="{schema.layout[b][1]}" '
        f'data-type="edge" data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        for a, b in schema.edges
    ]
    circles = [
        f'<circle r="0.75" cx="{x}" cy="{y}" data-type="element node" '
        f'data-element-id="{i}" data-node-id="{i}" data-label-name="{name}"></circle>'
        for i, (name, (x, y)) in enumerate(
            zip(schema.point_names, schema.layout, strict=True), start=1
        )
    ]
    return "".join(lines + circles)


def is_text_there(attribute: AttributeSpec) -> bool:
    """Whether this is a number that CVAT holds as text, and so without its range.

    A number with a fraction is: to CVAT's SDK, numbers are whole ones.
    """
    return attribute.kind == "number" and not all(
        value.lstrip("-").isdecimal() for value in attribute.values
    )


def _cvat_label(label: LabelSpec, schema: LabelSchema) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": label.name,
        "color": label.colour,
        "type": label.shape,
        "attributes": [_cvat_attribute(attribute) for attribute in label.attributes],
    }
    if label.shape == "skeleton":
        spec["svg"] = skeleton_svg(schema)
        spec["sublabels"] = [
            {
                "name": name,
                "color": label.point_colour(name),
                "type": "points",
                "attributes": [_cvat_attribute(one) for one in label.point_attributes],
            }
            for name in schema.point_names
        ]
    return spec


def _cvat_attribute(attribute: AttributeSpec) -> dict[str, Any]:
    is_text = is_text_there(attribute)
    return {
        "name": attribute.name,
        "mutable": attribute.is_mutable,
        "input_type": "text" if is_text else attribute.kind,
        "default_value": attribute.default,
        "values": [""] if is_text else list(attribute.values) or [""],
    }
