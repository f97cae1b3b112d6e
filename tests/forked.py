"""Work in a forked process, which has all that is imported here and ends with its work."""

import faulthandler
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess

_PATIENCE_S = 240


def forked(work: Callable[[], object]) -> BaseProcess:
    """The process, started. Its exit code is 0, that of a SystemExit, or 1 after an exception.

    It ends at once: threads and exit hooks that other tests have left in the process that it was
    forked from are not its to wait for, and have ended it with 1 after all its work was done.
    """
    child = multiprocessing.get_context("fork").Process(target=_ending, args=(work,))
    child.start()
    return child


def _ending(work: Callable[[], object]) -> None:
    exit_code: object = 0
    # A lock that another thread held when this was forked is never released here: where, is said.
    faulthandler.dump_traceback_later(_PATIENCE_S, exit=True, file=2)
    try:
        work()
    except SystemExit as ended:
        exit_code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code if isinstance(exit_code, int) else 1)
