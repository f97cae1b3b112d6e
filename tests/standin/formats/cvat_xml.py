"""CVAT for images 1.1: one annotations.xml, coordinates with two decimals."""

from datetime import datetime
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from standin.background import WorkFailedError
from standin.formats.dataset import (
    Dataset,
    Item,
    Read,
    attributes,
    bitmap,
    mask_points,
    named_attributes,
    shape,
)
from standin.state import Job, Label, Project, Shape, Tag, Task

_KINDS = {"box": "rectangle"}


def write(dataset: Dataset) -> dict[str, bytes]:
    root = Element("annotations")
    _text(root, "version", "1.1")
    meta = SubElement(root, "meta")
    target = dataset.target
    if isinstance(target, Project):
        _project(meta, target, dataset)
    else:
        _task(meta, "job" if isinstance(target, Job) else "task", target, dataset)
    _text(meta, "dumped", _moment(target.updated_at))
    for place, item in enumerate(dataset.items):
        number = place if isinstance(target, Project) else item.number
        _image(root, number, item, dataset)
    ElementTree.indent(root)
    content = ElementTree.tostring(root, "unicode", short_empty_elements=False)
    declared = '<?xml version="1.0" encoding="utf-8"?>\n' + content + "\n"
    return {"annotations.xml": declared.encode()}


def read(dataset: Dataset, files: dict[str, bytes]) -> Read:
    found = Read()
    xml = next((content for name, content in files.items() if name.endswith(".xml")), None)
    if xml is None:
        raise WorkFailedError(
            "cvat.apps.dataset_manager.bindings.CvatImportError: no annotations\n"
        )
    for image in ElementTree.fromstring(xml).iter("image"):  # noqa: S314 (a test's own file)
        item = dataset.item(image.attrib["name"])
        for one in image:
            label = dataset.named(one.attrib["label"])
            if one.tag == "tag":
                found.tags.append(_tag_read(item, label, one))
            else:
                found.shapes.append(_shape_read(item, label, one, dataset))
    return found


# --- writing -------------------------------------------------------------------------------------


def _project(meta: Element, project: Project, dataset: Dataset) -> None:
    top = SubElement(meta, "project")
    _text(top, "id", project.id)
    _text(top, "name", project.name)
    _text(top, "bugtracker", project.bug_tracker)
    _text(top, "created", _moment(project.created_at))
    _text(top, "updated", _moment(project.updated_at))
    tasks = SubElement(top, "tasks")
    seen = {item.task.id: item.task for item in dataset.items}
    for task in seen.values():
        _task_facts(SubElement(tasks, "task"), task, dataset)
    _text(top, "subsets", "\n".join(sorted({task.subset for task in seen.values()})))
    _people(top, project)
    _labels(top, dataset)


def _task(meta: Element, name: str, target: Task | Job, dataset: Dataset) -> None:
    top = SubElement(meta, name)
    _task_facts(top, target.task if isinstance(target, Job) else target, dataset, target)
    _labels(top, dataset)


def _task_facts(
    top: Element, task: Task, dataset: Dataset, target: Task | Job | None = None
) -> None:
    data = task.data
    assert data is not None
    jobs = [target] if isinstance(target, Job) else [j for j in task.jobs if j.type == "annotation"]
    frames = target.frames if isinstance(target, Job) else range(len(data.frames))
    _text(top, "id", target.id if target is not None else task.id)
    _text(top, "name", task.name)
    _text(top, "size", len(frames))
    _text(top, "mode", task.mode)
    _text(top, "overlap", task.overlap or 0)
    _text(top, "bugtracker", task.bug_tracker)
    _text(top, "created", _moment(task.created_at))
    _text(top, "updated", _moment(task.updated_at))
    _text(top, "subset", task.subset or "default")
    _text(top, "start_frame", frames[0])
    _text(top, "stop_frame", frames[-1])
    _text(top, "frame_filter", data.frame_filter)
    segments = SubElement(top, "segments")
    for job in jobs:
        segment = SubElement(segments, "segment")
        _text(segment, "id", job.id)
        _text(segment, "start", job.frames[0])
        _text(segment, "stop", job.frames[-1])
        _text(segment, "url", f"{dataset.url}/api/jobs/{job.id}")
    _people(top, task)


def _people(top: Element, thing: Project | Task) -> None:
    for name, user in (("owner", thing.owner), ("assignee", thing.assignee)):
        person = SubElement(top, name)
        if user is not None:
            _text(person, "username", user.username)
            _text(person, "email", f"{user.username}@localhost.localdomain")


def _labels(top: Element, dataset: Dataset) -> None:
    labels = SubElement(top, "labels")
    for one in dataset.flat:
        label = SubElement(labels, "label")
        _text(label, "name", one.name)
        _text(label, "color", one.color)
        _text(label, "type", one.type)
        listed = SubElement(label, "attributes")
        for each in one.attributes:
            attribute = SubElement(listed, "attribute")
            _text(attribute, "name", each.name)
            _text(attribute, "mutable", each.mutable)
            _text(attribute, "input_type", each.input_type)
            _text(attribute, "default_value", each.default_value)
            _text(attribute, "values", "\n".join(each.values))
        if one.svg is not None:
            _text(label, "svg", one.svg)
        if one.parent is not None:
            _text(label, "parent", one.parent.name)


def _image(root: Element, number: int, item: Item, dataset: Dataset) -> None:
    facts = {"id": str(number), "name": item.frame.name}
    if isinstance(dataset.target, Project):
        facts |= {"subset": item.subset, "task_id": str(item.task.id)}
    size = {"width": str(item.frame.width), "height": str(item.frame.height)}
    image = SubElement(root, "image", {**facts, **size})
    for one in item.shapes:
        _shape(image, one, dataset)
    for tag in item.tags:
        label = dataset.label(tag["label_id"])
        facts = {"label": label.name, "source": tag["source"]}
        _values(SubElement(image, "tag", facts | _group(tag)), label, tag)


def _shape(image: Element, one: Shape, dataset: Dataset) -> None:
    label = dataset.label(one["label_id"])
    facts = {"label": label.name, "source": one["source"]}
    order = {"z_order": str(one["z_order"])} | _group(one)
    if one["type"] == "skeleton":
        skeleton = SubElement(image, "skeleton", facts | order)
        for element in one["elements"]:
            point = dataset.label(element["label_id"])
            written = {
                "label": point.name,
                "source": element["source"],
                "outside": _flag(element["outside"]),
                "occluded": _flag(element["occluded"]),
                "points": _points(element["points"]),
            }
            _values(SubElement(skeleton, "points", written), point, element)
        _values(skeleton, label, one)
        return
    facts["occluded"] = _flag(one["occluded"])
    tag = "box" if one["type"] == "rectangle" else str(one["type"])
    if one["rotation"]:
        order["rotation"] = f"{one['rotation']:.2f}"
    _values(SubElement(image, tag, facts | _place(one) | order), label, one)


def _place(one: Shape) -> dict[str, str]:
    points = one["points"]
    if one["type"] == "rectangle":
        names = ("xtl", "ytl", "xbr", "ybr")
        return {name: f"{value:.2f}" for name, value in zip(names, points, strict=True)}
    if one["type"] == "mask":
        *runs, left, top, right, bottom = (int(value) for value in points)
        return {
            "rle": ", ".join(map(str, runs)),
            "left": str(left),
            "top": str(top),
            "width": str(right - left + 1),
            "height": str(bottom - top + 1),
        }
    return {"points": _points(points)}


def _points(points: list[float]) -> str:
    pairs = zip(points[::2], points[1::2], strict=True)
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)


def _values(written: Element, label: Label, one: Shape | Tag) -> None:
    for name, value in named_attributes(label, one).items():
        attribute = SubElement(written, "attribute", name=name)
        attribute.text = value
    if not len(written):
        written.text = "\n    "


def _group(one: Shape | Tag) -> dict[str, str]:
    return {"group_id": str(one["group"])} if one["group"] else {}


def _text(parent: Element, name: str, value: Any) -> None:
    SubElement(parent, name).text = str(value)


def _flag(is_set: bool) -> str:
    return str(int(is_set))


def _moment(moment: datetime) -> str:
    return moment.isoformat(" ")


# --- reading -------------------------------------------------------------------------------------


def _tag_read(item: Item, label: Label, one: Element) -> Tag:
    return {
        "frame": item.number,
        "label_id": label.id,
        "group": int(one.get("group_id", 0)),
        "source": "file",
        "attributes": attributes(label, _values_read(one)),
    }


def _shape_read(item: Item, label: Label, one: Element, dataset: Dataset) -> Shape:
    kind = _KINDS.get(one.tag, one.tag)
    elements = [
        _shape_read(item, dataset.named(each.attrib["label"], label), each, dataset)
        for each in one.iterfind("points")
    ]
    read = shape(
        kind,
        item.number,
        label,
        _points_read(one, kind, item),
        occluded=one.get("occluded") == "1",
        outside=one.get("outside") == "1",
        z_order=int(one.get("z_order", 0)),
        rotation=float(one.get("rotation", 0)),
        group=int(one.get("group_id", 0)),
        attributes=attributes(label, _values_read(one)),
    )
    return read | ({"elements": elements} if kind == "skeleton" else {})


def _points_read(one: Element, kind: str, item: Item) -> list[float]:
    if kind == "skeleton":
        return []
    if kind == "rectangle":
        return [float(one.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr")]
    if kind == "mask":
        left, top = int(one.attrib["left"]), int(one.attrib["top"])
        right, bottom = left + int(one.attrib["width"]) - 1, top + int(one.attrib["height"]) - 1
        runs = [float(run) for run in one.attrib["rle"].split(",")]
        points = [*runs, float(left), float(top), float(right), float(bottom)]
        return mask_points(bitmap({"points": points}, item.frame))
    pairs = [pair.split(",") for pair in one.attrib["points"].split(";")]
    return [float(value) for pair in pairs for value in pair]


def _values_read(one: Element) -> dict[str, str]:
    return {each.attrib["name"]: each.text or "" for each in one.iterfind("attribute")}
