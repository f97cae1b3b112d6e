"""The stand-in CVAT server in a process of its own, as slow as the recorded one, counting calls.

Prints its address and token as JSON; for every line on stdin, how many requests it has had.
"""

import json
import logging
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from standin.server import standing_in


class _Counting(logging.Handler):
    """Counts lines of the access log, one a request."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count(1)
        self.requests = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.requests = next(self._numbers)


def main() -> None:
    """Serve until stdin ends."""
    with standing_in() as server:
        server.pace()
        counting = _Counting()
        log = logging.getLogger("uvicorn.access")
        log.handlers = [counting]
        log.setLevel(logging.INFO)
        print(json.dumps({"url": server.url, "token": server.token}), flush=True)
        for _ in sys.stdin:
            print(counting.requests, flush=True)


if __name__ == "__main__":
    main()
