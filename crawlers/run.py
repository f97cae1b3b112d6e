"""Runs a crawl in a child process and follows it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from crawlers.order import CrawlOrder, CrawlSummary
from mirrorset import errors
from mirrorset.errors import MirrorsetError, UnavailableError
from mirrorset.files import write_text


def crawl(
    order: CrawlOrder, on_progress: Callable[[CrawlSummary], None] | None = None
) -> CrawlSummary:
    """Crawl one source; what is finished lies in whole shards in `order.spool`, whatever happens.

    on_progress: called with the counts so far each time a shard was written.
    Raises UnavailableError where the source's listing or the store could not be reached or the
    child died, InputError where `order.known` does not exist. Running it again goes on.
    """
    order.spool.mkdir(parents=True, exist_ok=True)
    order.log.parent.mkdir(parents=True, exist_ok=True)
    order_path = order.log.with_suffix(".order.json")
    write_text(order_path, order.model_dump_json(indent=2) + "\n")
    summary = CrawlSummary()
    fault: MirrorsetError | None = None
    with order.log.open("ab") as log, _started(order_path, log) as child:
        for line in child.stdout or ():
            said = json.loads(line)
            if "fault" in said:
                kind: type[MirrorsetError] = getattr(errors, said["fault"])
                fault = kind(f"{said['message']} The log is {order.log}.")
                continue
            summary = CrawlSummary.model_validate(said)
            if on_progress:
                on_progress(summary)
        # The child ends with its standard input, so that stays open until the child has ended.
        status = child.wait()
    if fault:
        raise fault
    if status != 0:
        raise UnavailableError(
            f"The crawl of {order.source} died (status {status}): what it finished is kept, "
            f"run it again to go on; the log is {order.log}."
        )
    return summary


def _started(order_path: Path, log: BinaryIO) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers.child", str(order_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # Ctrl-C reaches the parent alone, which then closes the child's standard input.
        start_new_session=True,
    )
