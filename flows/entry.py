"""Where `mirrorset` begins: Ctrl-C is answered before the rest is even imported."""

import os
import signal
import sys

INTERRUPTED = 130
#: What DVC runs while the command that started DVC answers for all.
_SILENT = "stage"


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, stop)
    from flows.cli import main as run

    run()


def stop(_signal: int, _frame: object) -> None:
    """End at once, as a kill would: whatever was done is kept.

    Prefect would wait for its embedded server, which the same Ctrl-C has ended.
    """
    if sys.argv[1:2] != [_SILENT]:
        show_cursor = b"\033[?25h" if sys.stderr.isatty() else b""
        os.write(2, show_cursor + b"\nmirrorset: Stopped; run it again to go on where it was.\n")
    os._exit(INTERRUPTED)
