"""Work in a process that is forked from a clean one, and ends with its work."""

import faulthandler
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import cloudpickle

_PATIENCE_S = 240
_TESTS = str(Path(__file__).parent)
_CLEAN = multiprocessing.get_context("forkserver")
_CLEAN.set_forkserver_preload(
    [
        *("flows.cli", "flows.annotate", "flows.erase", "flows.qa", "annotation.cvat.exchange"),
        *("dvc.repo", "pytest"),
    ]
)


def forked_clean(work: Callable[[], object]) -> BaseProcess:
    """The process, started. Its exit code is 0, that of a SystemExit, or 1 after an exception.

    It is forked from a process that has imported and done nothing else: no lock that a thread of
    other tests happens to hold is held in it for ever. It ends at once, and waits for no thread or
    exit hook. The work must pickle; environment and folder are this process's own.
    """
    for module in list(sys.modules.values()):
        # Modules of tests are not there to be imported by name.
        if (getattr(module, "__file__", None) or "").startswith(_TESTS):
            cloudpickle.register_pickle_by_value(module)
    arguments = (cloudpickle.dumps(work), dict(os.environ), Path.cwd())
    child = _CLEAN.Process(target=_unpickled, args=arguments)
    child.start()
    return child


def _unpickled(work: bytes, environment: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if context := sys.modules.get("prefect.context"):
        # Prefect read its settings in the clean process: each child would start a server, and
        # leave it running.
        context.refresh_global_settings_context()
    os.chdir(folder)
    _ending(cloudpickle.loads(work))


def _ending(work: Callable[[], object]) -> None:
    exit_code: object = 0
    # Where it hangs, is said.
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
