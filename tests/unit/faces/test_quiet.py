"""What native code writes to stderr is withheld, and shown where it explains a failure."""

import os
import threading
import time

import pytest

from faces.quiet import native_notes_withheld


def test_withheld(capfd: pytest.CaptureFixture[str]) -> None:
    with native_notes_withheld():
        os.write(2, b"INFO: Created a delegate.\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def failing_natively() -> None:
    with native_notes_withheld():
        os.write(2, b"the reason\n")
        raise RuntimeError("no model")


def test_shown_where_the_block_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="no model"):
        failing_natively()
    assert capfd.readouterr().err == "the reason\n"


def test_threads_take_turns_and_stderr_comes_back() -> None:
    before = os.fstat(2)
    entered = threading.Barrier(2, timeout=20)

    def withhold(seconds: float) -> None:
        entered.wait()
        with native_notes_withheld():
            time.sleep(seconds)

    # Nested otherwise, the one that began second would end second, and leave stderr astray.
    threads = [threading.Thread(target=withhold, args=(seconds,)) for seconds in (0.05, 0.1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)
