"""A process of a crawl: `python -m crawlers.child SHARD.json`.

It writes JSON lines to standard output: how many items it settled, as it goes, and a fault where it
could not go on. Its log goes to standard error. It ends when its standard input does: a dead parent
leaves no crawl behind.
"""

import json
import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from crawlers.order import ShardOrder
from crawlers.shard import do_shard
from mirrorset.errors import MirrorsetError
from mirrorset.logs import inherit
from mirrorset.masking import hide_password_of, masked

# Its name is __main__.
_log = logging.getLogger("crawlers.child")
_ORPHANED = 3
_BUG = 70


def main(order_path: Path) -> int:
    """Do a shard's part of an order; the exit status is 0, 1 after a fault, 70 after a bug."""
    out = _own_stdout()
    inherit()

    def say(**said: Any) -> None:
        print(json.dumps(said), file=out, flush=True)

    def report(settled: int) -> None:
        say(settled=settled)

    try:
        shard = ShardOrder.model_validate_json(order_path.read_bytes())
        hide_password_of(shard.order.catalogue_url)
        hide_password_of(shard.order.blobs_url)
        do_shard(shard, report, on_started=_watch_parent)
        _log.info("Shard %d of %s is done.", shard.index, shard.order.start.source)
    except MirrorsetError as error:
        say(fault=type(error).__name__, message=str(error))
        return 1
    except Exception as error:
        sys.stderr.write(masked("".join(traceback.format_exception(error))))
        return _BUG
    return 0


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _own_stdout() -> Any:
    """Standard output for the protocol alone: stray prints go to the log."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
