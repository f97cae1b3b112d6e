"""A project's annotation guide: Markdown, and its pictures as assets that the Markdown links.

The server keeps an asset only while the guide's Markdown links it, makes one guide a project (a
second is an error of 500) and lists neither. So the Markdown itself says which picture each asset
is: it ends with a link definition a picture, which no reader sees, named by the picture's sha256.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from annotation import guides
from annotation.cvat.connection import Connection
from annotation.schema import LabelSchema
from mirrorset.errors import IntegrityError, SettingsError
from mirrorset.records import Record

_FOLDER = Path(guides.__file__).parent

# What the server takes as an asset (no SVG); what is wider or higher it makes smaller.
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_LONGEST_SIDE_PX = 1920

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)/]+)\)")
_DEFINITION = re.compile(r"^\[sha256:([0-9a-f]{64})\]: /api/assets/([0-9a-f-]+)$", re.MULTILINE)


class Picture(Record):
    """A picture of a guide. media_type: as its bytes say."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        return hashlib.sha256(self.content).hexdigest()


class Guide(Record):
    """markdown: as in the files, with its pictures by name. pictures: in the order of the text."""

    markdown: str
    pictures: tuple[Picture, ...]

    def uploaded(self, assets: Mapping[str, str]) -> str:
        """The Markdown as it is on the server. assets: ids of assets by their picture's sha256."""
        ids = {picture.name: assets[picture.sha256] for picture in self.pictures}
        linked = _PICTURE.sub(
            lambda link: f"![{link[1]}](/api/assets/{ids[link[2]]})", self.markdown
        )
        definitions = [
            f"[sha256:{picture.sha256}]: /api/assets/{ids[picture.name]}"
            for picture in self.pictures
        ]
        # The server strips what is blank at the end.
        return "\n".join([linked.strip(), "", *definitions]).strip()


def read_guide(schema: LabelSchema, folder: Path = _FOLDER) -> Guide:
    """The guide that the schema names, its files in order and the schema's version at the end.

    Raises SettingsError naming a file that is missing, a picture of a kind that the server refuses,
    and one that it would make smaller.
    """
    texts = [_read(folder / name, schema).decode() for name in schema.guides]
    markdown = "\n\n".join([*(text.strip() for text in texts), f"*Labels: {schema.version}*"])
    names = dict.fromkeys(link[2] for link in _PICTURE.finditer(markdown))
    return Guide(
        markdown=markdown,
        pictures=tuple(_picture(name, _read(folder / name, schema)) for name in names),
    )


def is_current(connection: Connection, project: Mapping[str, Any], guide: Guide) -> bool:
    """Whether the project has this very guide; project: as GET /api/projects/{id} answers."""
    return project["guide_id"] is not None and _is_same(_markdown(connection, project), guide)


def upload_guide(connection: Connection, project: Mapping[str, Any], guide: Guide) -> bool:
    """Make the project's guide this one; False where it was. Pictures that are there stay.

    A kill leaves at most an unfinished guide and pictures without a link, which the next call
    finishes and the server then clears away. Raises IntegrityError where the server does not hold
    what it was sent.
    """
    path = f"/api/guides/{project['guide_id'] or _begun(connection, project['id'])}"
    before = str(connection.call("GET", path)["markdown"])
    known = {
        sha256: asset
        for sha256, asset in _DEFINITION.findall(before)
        if _has_asset(connection, asset)
    }
    if _is_same(before, guide) and all(one.sha256 in known for one in guide.pictures):
        return False
    guide_id = int(path.rpartition("/")[2])
    assets = {
        picture.sha256: known.get(picture.sha256) or _sent(connection, guide_id, picture)
        for picture in guide.pictures
    }
    connection.call("PATCH", path, body={"markdown": guide.uploaded(assets)})
    after = str(connection.call("GET", path)["markdown"])
    lost = [asset for asset in assets.values() if not _has_asset(connection, asset)]
    if lost or after.strip() != guide.uploaded(assets):
        raise IntegrityError(
            f"{connection.name} does not hold the guide of project {project['id']} as it was sent"
            f"{f' ({len(lost)} pictures are gone)' if lost else ''}: see that nobody is editing it "
            "there, and apply the schema again."
        )
    return True


def _begun(connection: Connection, project_id: int) -> int:
    """The id of a new guide with a line of text; exactly one of project and task may be named."""

    def find() -> dict[str, Any] | None:
        guide_id = connection.call("GET", f"/api/projects/{project_id}")["guide_id"]
        return None if guide_id is None else {"id": guide_id}

    body = {"project_id": project_id, "markdown": "This guide is being uploaded."}
    return int(connection.call("POST", "/api/guides", body=body, find=find)["id"])


def _sent(connection: Connection, guide_id: int, picture: Picture) -> str:
    """The id of a new asset. Two of a picture do no harm: the one without a link goes."""
    answer = connection.call(
        "POST",
        "/api/assets",
        files=[
            ("guide_id", str(guide_id)),
            ("file", (picture.name, picture.content, picture.media_type)),
        ],
        is_repeatable=True,
    )
    return str(answer["uuid"])


def _markdown(connection: Connection, project: Mapping[str, Any]) -> str:
    return str(connection.call("GET", f"/api/guides/{project['guide_id']}")["markdown"])


def _is_same(markdown: str, guide: Guide) -> bool:
    assets = dict(_DEFINITION.findall(markdown))
    if any(picture.sha256 not in assets for picture in guide.pictures):
        return False
    return markdown.strip() == guide.uploaded(assets)


def _has_asset(connection: Connection, asset: str) -> bool:
    answer = connection.call("GET", f"/api/assets/{asset}", headers={"Accept": "*/*"}, also=(404,))
    return isinstance(answer, bytes)


def _read(path: Path, schema: LabelSchema) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SettingsError(
            f"The guide of {schema.name}.yaml has no {path.name}: put it into annotation/guides."
        ) from None


def _picture(name: str, content: bytes) -> Picture:
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind, size = str(image.format), image.size
    except OSError:
        kind, size = "", (0, 0)
    if kind not in _MEDIA_TYPES:
        known = ", ".join(_MEDIA_TYPES)
        raise SettingsError(f"CVAT takes no guide's picture such as {name}: make it {known}.")
    if max(size) > _LONGEST_SIDE_PX:
        raise SettingsError(
            f"CVAT would make {name} smaller: no side may be longer than {_LONGEST_SIDE_PX} px."
        )
    return Picture(name=name, media_type=_MEDIA_TYPES[kind], content=content)
