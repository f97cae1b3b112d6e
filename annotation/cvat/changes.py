"""What a label schema would change in a CVAT project's labels, and what that would break.

Pure: both sides are labels in the words of CVAT's API. The server checks nothing of this (it was
recorded deleting labels with all that is drawn under them, and answering 200 to changes that it
then ignores), so it is thought out here before anything is sent.

| in the schema                     | on the server                                               |
|-----------------------------------|-------------------------------------------------------------|
| a new label, attribute or option  | is added; shapes that are there get the attribute's default |
| another colour, default, mutable  | is taken; a shape's value stays                             |
| an option or a range that goes    | is taken, but a value outside it stays: pull would refuse   |
| the range of a fraction           | is not there, where it is text: all values are looked at    |
| a label that goes                 | is deleted with all its annotations                         |
| an attribute that goes            | stays: only a label that is made anew is without it         |
| points, their attributes, drawing | stay: a skeleton is changed only by making it anew          |
| another shape                     | is taken or not; what is drawn keeps its own                |
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, Literal

from annotation.schema import AttributeSpec, LabelSchema, is_text_there
from mirrorset.records import Record

Json = Mapping[str, Any]


class Stake(Record):
    """Annotations that a change would harm: those of a label, or of these the ones with a value.

    attribute: "" for all annotations of the label. is_of_points: whether the attribute is one of a
    skeleton's points. legal: the attribute as it is to become; harmed is a value that it would not
    accept. None: harmed is any value but the attribute's default.
    """

    label: str
    attribute: str = ""
    is_of_points: bool = False
    legal: tuple[str, tuple[str, ...]] | None = None
    default: str = ""

    def is_harmed(self, value: str) -> bool:
        """Whether an annotation with this value of the attribute would be."""
        if self.legal is None:
            return value != self.default
        return not _accepts(*self.legal, value)


class Change(Record):
    """One difference, and how it comes about.

    what: "attribute glasses: option dark goes". how: by adding to the project, by updating the
    label, by removing it, or by making it anew, which only a label without annotations can be; by
    limit, nothing there changes, for the server has no word for it, but it may be broken. stake:
    what the change would harm if it concerned any annotation; None: nothing. A change by making
    anew that harms nothing may as well be left: the server keeps what it has.
    """

    label: str
    what: str
    how: Literal["add", "update", "remove", "remake", "limit"]
    stake: Stake | None = None

    def __str__(self) -> str:
        return f"{self.label}: {self.what}"


class Use(Record):
    """How many annotations a stake concerns, and on how many images."""

    annotations: int = 0
    images: int = 0


class Plan(Record):
    """What becomes of the changes, given what is annotated.

    done: they will be made. kept: the server keeps its own version, which harms nothing. broken:
    they would harm, by change; as long as there is one, nothing is done.
    """

    done: tuple[Change, ...]
    kept: tuple[Change, ...]
    broken: tuple[tuple[Change, Use], ...]


def changes(wanted: Sequence[Json], there: Sequence[Json]) -> list[Change]:
    """The differences between labels as `annotation.schema.cvat_labels` gives them and a project's.

    there: as GET /api/labels answers. In the order of `wanted`, and then what is there alone.
    """
    found = {label["name"]: label for label in there}
    named = {label["name"] for label in wanted}
    listed = [
        change
        for label in wanted
        for change in (
            _label_changes(label, found[label["name"]])
            if label["name"] in found
            else [Change(label=label["name"], what=f"new {label['type']}", how="add")]
        )
    ]
    return listed + [
        Change(label=name, what="label goes", how="remove", stake=Stake(label=name))
        for name in found
        if name not in named
    ]


def limits(schema: LabelSchema, there: Sequence[Json]) -> list[Change]:
    """The ranges of the schema that the server has no word for, of attributes that are there.

    Which range was there before is known to nobody, so each of them is at stake every time.
    """
    found = {label["name"]: label for label in there}
    return [
        change
        for label in schema.labels
        if label.name in found
        for change in (
            *_limits(label.name, label.attributes, [found[label.name]], False),
            *_limits(
                label.name, label.point_attributes, found[label.name].get("sublabels", ()), True
            ),
        )
    ]


def _limits(
    label: str, attributes: Sequence[AttributeSpec], holders: Sequence[Json], is_of_points: bool
) -> Iterator[Change]:
    named = {attribute["name"] for holder in holders for attribute in holder["attributes"]}
    for attribute in attributes:
        if attribute.name in named and is_text_there(attribute):
            stake = Stake(
                label=label,
                attribute=attribute.name,
                is_of_points=is_of_points,
                legal=("number", attribute.values),
            )
            owner = "points' attribute" if is_of_points else "attribute"
            what = f"{owner} {attribute.name}: values outside {'…'.join(attribute.values[:2])}"
            yield Change(label=label, what=what, how="limit", stake=stake)


def plan(listed: Sequence[Change], uses: Mapping[Stake, Use]) -> Plan:
    """What to do. uses: of every stake, and of every label that is to be made anew as a whole."""
    done, kept, broken = [], [], []
    for change in listed:
        harmed = uses[change.stake] if change.stake else Use()
        is_drawn = change.how == "remake" and uses[Stake(label=change.label)].annotations > 0
        if harmed.annotations:
            broken.append((change, harmed))
        elif is_drawn:
            kept.append(change)
        elif change.how != "limit":
            done.append(change)
    return Plan(done=tuple(done), kept=tuple(kept), broken=tuple(broken))


def stakes(listed: Sequence[Change]) -> set[Stake]:
    """Every stake that has to be counted before `plan`."""
    remade = {Stake(label=change.label) for change in listed if change.how == "remake"}
    return remade | {change.stake for change in listed if change.stake}


def count(
    wanted: set[Stake], there: Sequence[Json], annotated: Iterable[tuple[int, Json]]
) -> dict[Stake, Use]:
    """How many annotations and images each stake concerns.

    annotated: tasks, and annotations as GET /api/jobs/{id}/annotations answers. Overlapping jobs
    have a copy of an annotation each, and each counts; a frame is one image all the same.
    """
    names = {label["id"]: label["name"] for label in there}
    attributes = {
        attribute["id"]: (attribute["name"], holder is not label)
        for label in there
        for holder in (label, *label.get("sublabels", ()))
        for attribute in holder["attributes"]
    }
    annotations = dict.fromkeys(wanted, 0)
    images: dict[Stake, set[tuple[int, int]]] = {stake: set() for stake in wanted}
    for task_id, content in annotated:
        for annotation in _annotations(content):
            name = names.get(annotation["label_id"])
            values = [(attributes.get(spec_id), value) for spec_id, value in _values(annotation)]
            for stake in wanted:
                if stake.label == name and _is_concerned(stake, values):
                    annotations[stake] += 1
                    images[stake].add((task_id, annotation["frame"]))
    return {
        stake: Use(annotations=annotations[stake], images=len(images[stake])) for stake in wanted
    }


def _annotations(content: Json) -> Iterator[Json]:
    for kind in ("tags", "shapes", "tracks"):
        yield from content.get(kind, ())


def _values(annotation: Json) -> Iterator[tuple[int, str]]:
    """Attribute ids and values; of a skeleton its points', of a track each frame's as well."""
    for whole in (annotation, *annotation.get("elements", ())):
        for holder in (whole, *whole.get("shapes", ())):
            yield from ((one["spec_id"], one["value"]) for one in holder["attributes"])


def _is_concerned(stake: Stake, values: Sequence[tuple[tuple[str, bool] | None, str]]) -> bool:
    at_stake = (stake.attribute, stake.is_of_points)
    return not stake.attribute or any(
        attribute == at_stake and stake.is_harmed(value) for attribute, value in values
    )


def _label_changes(wanted: Json, there: Json) -> Iterator[Change]:
    name = wanted["name"]
    everything = Stake(label=name)
    if wanted["type"] != there["type"]:
        what = f"{there['type']} becomes {wanted['type']}"
        yield Change(label=name, what=what, how="remake", stake=everything)
    if wanted["color"] != there["color"]:
        what = f"colour {there['color']} becomes {wanted['color']}"
        yield Change(label=name, what=what, how="update")
    yield from _attribute_changes(name, wanted["attributes"], there["attributes"])
    if wanted["type"] == there["type"] == "skeleton":
        yield from _skeleton_changes(wanted, there)


def _attribute_changes(
    label: str, wanted: Sequence[Json], there: Sequence[Json]
) -> Iterator[Change]:
    found = {attribute["name"]: attribute for attribute in there}
    for attribute in wanted:
        name = attribute["name"]
        before = found.pop(name, None)
        if before is None:
            yield Change(label=label, what=f"new attribute {name}", how="update")
            continue
        if narrowed := _narrowed(before, attribute):
            legal = (attribute["input_type"], tuple(attribute["values"]))
            stake = Stake(label=label, attribute=name, legal=legal)
            yield Change(
                label=label, what=f"attribute {name}: {narrowed}", how="update", stake=stake
            )
        elif widened := _widened(before, attribute):
            yield Change(label=label, what=f"attribute {name}: {widened}", how="update")
        for field, word in (("default_value", "default"), ("mutable", "mutable")):
            if before[field] != attribute[field]:
                what = f"attribute {name}: {word} {before[field]!r} becomes {attribute[field]!r}"
                yield Change(label=label, what=what, how="update")
    for name, attribute in found.items():
        stake = Stake(label=label, attribute=name, default=attribute["default_value"])
        yield Change(label=label, what=f"attribute {name} goes", how="remake", stake=stake)


def _skeleton_changes(wanted: Json, there: Json) -> Iterator[Change]:
    name = wanted["name"]
    everything = Stake(label=name)
    now = {point["name"]: point for point in there["sublabels"]}
    then = {point["name"]: point for point in wanted["sublabels"]}
    for points, word in ((then.keys() - now.keys(), "new"), (now.keys() - then.keys(), "gone")):
        if points:
            what = f"points {word}: {', '.join(sorted(points))}"
            yield Change(label=name, what=what, how="remake", stake=everything)
    kept = [point for point in then if point in now]
    if others := [
        point
        for point in kept
        if list(_attribute_changes(name, then[point]["attributes"], now[point]["attributes"]))
    ]:
        what = f"attributes of {len(others)} points change"
        yield Change(label=name, what=what, how="remake", stake=everything)
    if others := [point for point in kept if then[point]["color"] != now[point]["color"]]:
        yield Change(label=name, what=f"colours of {len(others)} points change", how="remake")
    if then.keys() == now.keys() and _drawing(wanted) != _drawing(there):
        yield Change(label=name, what="drawing of the template changes", how="remake")


def _narrowed(before: Json, after: Json) -> str:
    """In words, why a value that was legal may not be so any longer; "" where it stays legal."""
    if before["input_type"] != after["input_type"]:
        kinds = f"{before['input_type']} becomes {after['input_type']}"
        return "" if after["input_type"] == "text" else kinds
    if after["input_type"] == "number":
        (low, high), (new_low, new_high) = _range(before["values"]), _range(after["values"])
        if new_low <= low and high <= new_high:
            return ""
        old, new = ("…".join(one["values"][:2]) or "none" for one in (before, after))
        return f"range {old} becomes {new}"
    gone = [value for value in before["values"] if value not in after["values"]]
    if after["input_type"] == "text" or not gone:
        return ""
    return f"options {', '.join(gone)} go" if len(gone) > 1 else f"option {gone[0]} goes"


def _range(values: Sequence[str]) -> tuple[float, float]:
    """The lowest and the highest of a number; a server may hold none, and so bound nothing."""
    try:
        return float(values[0]), float(values[1])
    except (IndexError, ValueError):
        return -inf, inf


def _widened(before: Json, after: Json) -> str:
    if before["input_type"] != after["input_type"]:
        return f"{before['input_type']} becomes {after['input_type']}"
    if list(before["values"]) == list(after["values"]):
        return ""
    new = [value for value in after["values"] if value not in before["values"]]
    return f"new options {', '.join(new)}" if new else "options in another order"


def _accepts(input_type: str, values: Sequence[str], value: str) -> bool:
    if input_type in ("select", "radio"):
        return value in values
    if input_type == "checkbox":
        return value in ("true", "false")
    if input_type == "number":
        low, high = _range(values)
        try:
            return low <= float(value) <= high
        except ValueError:
            return False
    return True


def _drawing(label: Json) -> list[str]:
    """The template's elements with their points by name: the server names them by id."""
    names = {str(point["id"]): point["name"] for point in label["sublabels"] if "id" in point}

    def named(match: re.Match[str]) -> str:
        return f'data-label-name="{names.get(match[1], match[1])}"'

    svg = re.sub(r'data-label-id="(\d+)"', named, label.get("svg", ""))
    return sorted(
        " ".join(sorted(re.findall(r'[\w-]+="[^"]*"', one))) for one in _ELEMENT.findall(svg)
    )


_PROPERTY = re.compile(r'[\w-]+="[^"]*"')
_ELEMENT = re.compile(r"<(?:line|circle)\b[^>]*>")
