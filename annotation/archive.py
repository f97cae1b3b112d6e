"""The archive "CVAT for images 1.1": annotations.xml and images/ in a zip, written and read.

Structure after the exports of CVAT 2.54 (task and project). Coordinates have 2 decimals. The same
content gives the same bytes: members are ordered, times are the caller's, and the zip has none.
"""

import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, indent, tostring

from pydantic import AwareDatetime

from annotation.cvat_xml import (
    MalformedXmlError,
    add,
    parse_xml,
    read_image,
    write_image,
    write_labels,
)
from annotation.schema import LabelSchema
from annotation.shapes import ImageShapes
from mirrorset.errors import InputError
from mirrorset.files import written_aside
from mirrorset.paths_within import is_within, named_twice
from mirrorset.records import Record, utc_now

ANNOTATIONS = "annotations.xml"
IMAGES = "images"

# A thousand faces of 68 points have about 15 MB of XML; this much is an attack or another thing.
_MAX_XML_BYTES = 1 << 29
# Labels of hundreds of empty images shrink to a fiftieth.
_SMALL_BYTES, _MAX_RATIO = 1 << 20, 250
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class Archive(Record):
    """What an archive says. assignee: user name in CVAT, or "". dumped_at: when it was exported."""

    assignee: str
    dumped_at: AwareDatetime
    images: tuple[ImageShapes, ...]


def write_archive(
    path: Path,
    images: Sequence[ImageShapes],
    contents: Iterable[tuple[str, bytes]],
    schema: LabelSchema,
    *,
    name: str,
    at: datetime,
) -> None:
    """Write the archive of the task `name` to `path`, whole or not at all.

    images: in frame order. contents: name and original bytes of every image, read one at a time.
    at: stands for created, updated and dumped.
    """
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        xml = _annotations(name, at, images, schema)
        archive.writestr(_member(ANNOTATIONS), xml, zipfile.ZIP_DEFLATED, compresslevel=6)
        for image_name, content in contents:
            archive.writestr(_member(f"{IMAGES}/{image_name}"), content)


def read_archive(path: Path) -> Archive:
    """The archive at `path`: ours, or a task's or a project's export from a CVAT server.

    Raises InputError, in one sentence, where it is none or is damaged.
    """
    try:
        root = parse_xml(_read_member(path, ANNOTATIONS))
        if root.tag != "annotations" or root.findtext("version") != "1.1":
            raise MalformedXmlError("it is no annotations.xml of version 1.1")
        dumped = root.findtext("meta/dumped")
        if dumped is None:
            raise MalformedXmlError("meta has no time of export")
        return Archive(
            assignee=_assignee(root),
            dumped_at=_time(dumped),
            images=tuple(read_image(image) for image in root.iterfind("image")),
        )
    except MalformedXmlError as error:
        raise InputError(
            f"{path} is no archive in the format CVAT for images 1.1: {error}; export it again."
        ) from None


def erase_from_archive(path: Path, stems: Collection[str], is_dry_run: bool = False) -> bool:
    """Take the images of these names, without their endings, out of the archive, with their labels.

    What else is in it stays, word for word. Returns whether any was there; on a dry run it stays
    there. Raises InputError where it is no archive: whatever is in such a file is not known.
    """
    try:
        root = parse_xml(_read_member(path, ANNOTATIONS))
    except MalformedXmlError as error:
        raise InputError(
            f"{path} is no archive in the format CVAT for images 1.1: {error}; delete it if it may "
            "hold an image that is to be erased."
        ) from None
    gone = [one for one in root.iterfind("image") if _stem(one.get("name", "")) in stems]
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        kept = [one for one in members if _stem(one.filename) not in stems]
        if not gone and len(kept) == len(members):
            return False
        if is_dry_run:
            return True
        for image in gone:
            root.remove(image)
        with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as rewritten:
            for member in kept:
                if member.filename == ANNOTATIONS:
                    rewritten.writestr(member, _document(root), member.compress_type)
                    continue
                # A picture may unpack to more than there is memory for.
                with archive.open(member) as content, rewritten.open(member, "w") as out:
                    shutil.copyfileobj(content, out)
    return True


def _annotations(
    name: str, at: datetime, images: Sequence[ImageShapes], schema: LabelSchema
) -> bytes:
    root = Element("annotations")
    add(root, "version", "1.1")
    meta = add(root, "meta")
    _write_task(add(meta, "task"), name, at, len(images), schema)
    add(meta, "dumped", str(at.astimezone(UTC)))
    for frame, shapes in enumerate(images):
        write_image(root, frame, shapes)
    indent(root)
    return _document(root)


def _document(root: Element) -> bytes:
    text = tostring(root, encoding="unicode", short_empty_elements=False)
    # A bare carriage return is read as a line feed.
    text = text.replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _write_task(task: Element, name: str, at: datetime, size: int, schema: LabelSchema) -> None:
    moment = str(at.astimezone(UTC))
    for tag, text in (
        ("id", "1"),
        ("name", name),
        ("size", str(size)),
        ("mode", "annotation"),
        ("overlap", "0"),
        ("bugtracker", ""),
        ("created", moment),
        ("updated", moment),
        ("subset", "default"),
        ("start_frame", "0"),
        ("stop_frame", str(size - 1)),
        ("frame_filter", ""),
    ):
        add(task, tag, text)
    segment = add(add(task, "segments"), "segment")
    for tag, text in (("id", "1"), ("start", "0"), ("stop", str(size - 1)), ("url", "")):
        add(segment, tag, text)
    owner = add(task, "owner")
    add(owner, "username", "mirrorset")
    add(owner, "email")
    add(task, "assignee")
    write_labels(task, schema)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _ZIP_EPOCH)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member


def _read_member(path: Path, name: str) -> bytes:
    if path.exists() and not path.is_file():
        raise MalformedXmlError("it is no file")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_hostile(archive)
            member = archive.getinfo(name)
            if member.file_size > _MAX_XML_BYTES:
                raise MalformedXmlError(f"{name} is larger than {_MAX_XML_BYTES} bytes")
            if member.file_size > max(_SMALL_BYTES, _MAX_RATIO * member.compress_size):
                raise MalformedXmlError(f"{name} is packed as only bombs are")
            # No more than the size that was just judged, whatever is packed in it.
            return archive.read(name)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except KeyError:
        raise MalformedXmlError(f"it holds no {name}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise MalformedXmlError("the zip is damaged or not whole") from None
    except (RuntimeError, NotImplementedError):
        raise MalformedXmlError("the zip is encrypted or packed in an unusual way") from None


def _refuse_hostile(archive: zipfile.ZipFile) -> None:
    """Nothing is ever unpacked here, but others may do so with what is kept or passed on."""
    names = [member.filename for member in archive.infolist()]
    for name in names:
        if not is_within(name.removesuffix("/")):
            raise MalformedXmlError(
                f"its member {name[:200]!r} leads out of the folder it is unpacked in"
            )
    if twice := named_twice(names):
        raise MalformedXmlError(f"it holds {twice} twice")


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _assignee(root: Element) -> str:
    people = root.iterfind("meta//task/assignee/username")
    return next((name.text for name in people if name.text), "")


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        # A time at the calendar's end may be out of it in UTC, in which times are kept.
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedXmlError(f"{text!r} is no time") from None
    # The latest export counts: one from the future would count for ever. Clocks differ by zones.
    if moment > utc_now() + timedelta(days=1):
        raise MalformedXmlError(f"it was exported at {text}, which is yet to come")
    return moment
