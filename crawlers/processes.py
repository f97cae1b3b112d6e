"""A crawl's shards as child processes of this one."""

import json
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from crawlers.order import ShardOrder
from mirrorset import errors
from mirrorset.errors import MirrorsetError, UnavailableError

_LOOK_EVERY_S = 1.0

Child = subprocess.Popen[bytes]


def done_by_processes(shards: Sequence[ShardOrder]) -> Iterator[None]:
    """Do each shard in a process of its own; yields every second, and as items are settled.

    The fault of one ends all, as the others may wait for what it would have found; so does closing
    the iterator. Raises that fault, or UnavailableError where a process died.
    """
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for shard in shards:
            child = stack.enter_context(_started(shard))
            if child.stdout is not None:
                selector.register(child.stdout, selectors.EVENT_READ, (child, shard))
        while selector.get_map():
            for key, _ in selector.select(_LOOK_EVERY_S):
                child, shard = key.data
                line = child.stdout.readline()
                if not line:
                    selector.unregister(key.fileobj)
                    _require_well_ended(child, shard)
                elif "fault" in (said := json.loads(line)):
                    kind: type[MirrorsetError] = getattr(errors, said["fault"])
                    raise kind(f"{said['message']} The log is {shard.order.log}.")
            yield


@contextmanager
def _started(shard: ShardOrder) -> Iterator[Child]:
    log_path = shard.order.log
    log_path.parent.mkdir(parents=True, exist_ok=True)
    order_path = log_path.with_suffix(f".order-{shard.index}.json")
    # It may name a database's password.
    order_path.unlink(missing_ok=True)
    order_path.touch(mode=0o600)
    order_path.write_text(shard.model_dump_json(indent=2) + "\n", encoding="utf-8")
    try:
        with log_path.open("ab") as log, _child(str(order_path), log) as child:
            yield child
            # Leaving closes its standard input, and waits for the end that follows from it.
    finally:
        order_path.unlink(missing_ok=True)


def _child(order_path: str, log: BinaryIO) -> Child:
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers.child", order_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # A line is read when it is there: what a buffer holds, no selector sees.
        bufsize=0,
        # Ctrl-C reaches the parent alone, which then closes the child's standard input.
        start_new_session=True,
    )


def _require_well_ended(child: Child, shard: ShardOrder) -> None:
    # The child ends with its standard input, so that stays open until the child has ended.
    if (status := child.wait()) != 0:
        order = shard.order
        raise UnavailableError(
            f"The crawl of {order.start.source} died (status {status}): what it finished is kept, "
            f"run it again to go on; the log is {order.log}."
        )
