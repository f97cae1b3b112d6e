"""Annotation files on their way in."""

from fastapi import Response

from standin.call import Call
from standin.refusals import bad_request
from standin.state import Job, Task


def message(call: Call, target: Task | Job) -> Response:
    raise bad_request(["Not yet"])
