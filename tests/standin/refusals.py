"""What the server says when it refuses: status and body as recorded."""

from typing import Any

SERVER_ERROR = """
<!doctype html>
<html lang="en">
<head>
  <title>Server Error (500)</title>
</head>
<body>
  <h1>Server Error (500)</h1><p></p>
</body>
</html>
"""


class RefusedError(Exception):
    """An answer of `status` whose body is JSON, or text of `media_type` if one is given."""

    def __init__(self, status: int, body: Any, media_type: str | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.media_type = media_type


def bad_request(body: Any) -> RefusedError:
    return RefusedError(400, body)


def not_found(kind: str) -> RefusedError:
    return RefusedError(404, {"detail": f"No {kind} matches the given query."})


def forbidden() -> RefusedError:
    return RefusedError(403, {"detail": "You do not have permission to perform this action."})


def not_allowed(method: str) -> RefusedError:
    return RefusedError(405, {"detail": f'Method "{method}" not allowed.'})


def broken() -> RefusedError:
    """The server's own failure, which it answers with a page."""
    return RefusedError(500, SERVER_ERROR, "text/html; charset=utf-8")


def too_long(field: str, value: str, most: int) -> None:
    """Raises where a text field is blank or has more than `most` characters."""
    if not value:
        raise bad_request({field: ["This field may not be blank."]})
    if len(value) > most:
        raise bad_request({field: [f"Ensure this field has no more than {most} characters."]})
