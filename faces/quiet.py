"""What native libraries write to stderr for their developers, kept from the user's screen."""

import atexit
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_THREAD = threading.Lock()


@contextmanager
def native_notes_withheld() -> Iterator[None]:
    """Withhold what C++ code writes to stderr; shown after all where the block raises.

    TensorFlow Lite and MediaPipe log before their log level can be set, past `sys.stderr`. The
    descriptor is the process's, so the block should be short, the making of a model, and other
    threads' blocks wait.
    """
    with _ONE_THREAD, tempfile.TemporaryFile() as notes:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(notes.fileno(), 2)
        is_failed = True
        try:
            yield
            is_failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if is_failed:
                notes.seek(0)
                os.write(2, notes.read())


def withhold_last_native_notes() -> None:
    """Withhold what C++ code writes to stderr once Python has ended, for the process's rest."""
    atexit.register(_close_screen)


def _close_screen() -> None:
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
