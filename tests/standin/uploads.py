"""Files on their way in: the server's Upload-Start / Upload-Multiple / Upload-Finish, and TUS."""

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fastapi import Response

from standin.call import Call, nothing
from standin.refusals import RefusedError, bad_request, broken

_LONGEST_NAME_BYTES = 255
_LONGEST_NAME = 256


@dataclass
class Upload:
    """A file that arrives in pieces. place: the collection it was posted to."""

    id: str
    name: str
    length: int
    place: str
    content: bytearray = field(default_factory=bytearray)

    @property
    def is_whole(self) -> bool:
        return len(self.content) >= self.length


Uploads = dict[str, Upload]


def known(call: Call) -> Uploads:
    found: Uploads = call.request.app.state.uploads
    return found


def file_name(call: Call) -> str:
    """The name that a TUS client says in Upload-Metadata."""
    for pair in (call.header("Upload-Metadata") or "").split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            return base64.b64decode(value).decode()
    raise bad_request("Filename is missing")


def created(call: Call, place: str, name: str, shown_name: str | None = None) -> Response:
    """201 with the address to PATCH the pieces to.

    shown_name: what the server calls the file: its own name for data, the upload's id otherwise.
    A client without an Origin header breaks the recorded server; so does an empty file.
    """
    length = int(call.header("Upload-Length") or 0)
    if call.header("Origin") is None or length == 0:
        raise broken()
    upload = Upload(f"{call.user.id}_{uuid.uuid4()}", name, length, place)
    known(call)[upload.id] = upload
    return nothing(
        201,
        Location=f"{call.state.url}{place}/{upload.id}",
        Upload_Filename=shown_name or upload.id,
    )


def refuse_name(name: str) -> None:
    """Refuses paths out of the folder, and what a file system cannot hold."""
    path = PurePosixPath(name)
    if path.is_absolute():
        raise RefusedError(400, "This file name is an absolute path here.", "text/plain")
    if ".." in path.parts:
        raise RefusedError(400, "This file name leads out of its folder.", "text/plain")
    if len(path.name.encode()) > _LONGEST_NAME_BYTES:
        raise broken()


def pieced(call: Call, upload_id: str, whole: Callable[[Upload], None] | None = None) -> Response:
    """One piece of a file; `whole` is told when it was the last."""
    upload = _found(call, upload_id)
    offset = int(call.header("Upload-Offset") or 0)
    if offset != len(upload.content):
        raise RefusedError(409, "Offset conflict")
    upload.content += call.body
    if upload.is_whole and whole is not None:
        whole(upload)
    return nothing(204, Upload_Offset=str(len(upload.content)))


def told(call: Call, upload_id: str) -> Response:
    """How much of a file has arrived."""
    upload = _found(call, upload_id)
    return nothing(200, Upload_Offset=str(len(upload.content)), Upload_Length=str(upload.length))


def taken(call: Call, upload_id: str) -> Upload:
    """A whole file, which is then forgotten."""
    upload = _found(call, upload_id)
    if not upload.is_whole:
        raise bad_request("The file has not been uploaded completely")
    return known(call).pop(upload_id)


def _found(call: Call, upload_id: str) -> Upload:
    if upload_id not in known(call):
        raise RefusedError(404, {"detail": "Not found."})
    return known(call)[upload_id]
