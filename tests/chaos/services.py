"""What the pipeline runs on, as processes that can be struck and brought back at their address."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import requests
from postgresql_server import programs_folder

_PATIENCE_S = 120


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(is_so: Callable[[], object], what: str, patience_s: float = _PATIENCE_S) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"In {patience_s:.0f} s not: {what}.")
        time.sleep(0.1)


def family(process_id: int) -> list[psutil.Process]:
    """The process and all its descendants that are alive."""
    try:
        root = psutil.Process(process_id)
        return [one for one in (root, *root.children(recursive=True)) if is_alive(one)]
    except psutil.Error:
        return []


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Service:
    """One process, started again with the same command after it was ended."""

    def __init__(self, command: Sequence[object], log: Path, env: dict[str, str], **how: object):
        self._command, self._log, self._env, self._how = [*map(str, command)], log, env, how
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return True

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=self._env, start_new_session=True, **self._how,
            )  # fmt: skip

    def await_up(self) -> None:
        until(lambda: self.is_up, f"{self._command[:4]} answers ({self._log})")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Signal it, and see that nothing of it stays."""
        if self.process is None:
            return
        members = family(self.process.pid)
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _, left = psutil.wait_procs(members, 5)
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        self.process = None


class PostgreSql(Service):
    """A server whose files stay while it is down. address: without a database's name."""

    def __init__(self, folder: Path, log: Path) -> None:
        programs = programs_folder()
        if programs is None:
            raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
        # It refuses to run as root.
        whose = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        if whose:
            shutil.chown(folder, **whose)
        self._port = free_port()
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "--auth=trust", "--username=mirrorset", "--encoding=UTF8",
             "--locale=C", "--no-sync", data],
            check=True, capture_output=True, cwd=folder, **whose,
        )  # fmt: skip
        self.address = f"mirrorset@127.0.0.1:{self._port}"
        command = [programs / "postgres", "-D", data, "-p", self._port,
                   "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories="]  # fmt: skip
        super().__init__(command, log, dict(os.environ), cwd=folder, **whose)

    @property
    def is_up(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> "psycopg.Connection":
        return psycopg.connect(f"postgresql://{self.address}/{database}", autocommit=True)

    def copy(self, database: str, name: str) -> None:
        """Make `name` a copy of `database`, which nobody uses now."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            for _ in range(50):
                try:
                    connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database}"')
                    return
                except psycopg.errors.ObjectInUse:
                    time.sleep(0.1)
            raise TimeoutError(f"{database} is still in use.")

    def create(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')


class Prefect(Service):
    """Prefect's server, its database in a file."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        env = env | {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_UI_ENABLED": "0",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        env.pop("PREFECT_API_URL", None)
        command = [sys.executable, "-m", "uvicorn", "--factory",
                   "prefect.server.api.server:create_app", "--host", "127.0.0.1",
                   "--port", self.port, "--log-level", "error"]  # fmt: skip
        super().__init__(command, folder / "prefect.log", env)

    @property
    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.api_url}/health", timeout=5).ok
        except requests.RequestException:
            return False


class Dask:
    """A scheduler and two workers with their nannies."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        common = ["--host", "127.0.0.1", "--no-dashboard"]
        self.scheduler = Service(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", *common, "--port", port],
            folder / "dask-scheduler.log", env,
        )  # fmt: skip
        self.workers = Service(
            [sys.executable, "-m", "distributed.cli.dask_worker", self.address, *common,
             "--nworkers", "2", "--nthreads", "2", "--local-directory", folder / "dask"],
            folder / "dask-workers.log", env,
        )  # fmt: skip

    def start(self) -> None:
        self.scheduler.start()
        self.workers.start()

    def of_workers(self) -> list[psutil.Process]:
        """The two workers, without their nannies' parent and without what they run."""
        process = self.workers.process
        if process is None:
            return []
        found = []
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children():
                with suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def at_work(self) -> list[psutil.Process]:
        """What the workers run: shards of a crawl, and their decoders."""
        found: list[psutil.Process] = []
        for worker in self.of_workers():
            with suppress(psutil.Error):
                found += worker.children(recursive=True)
        return [one for one in found if is_alive(one)]

    @property
    def is_up(self) -> bool:
        from distributed import Client

        processes = (self.scheduler.process, self.workers.process)
        if any(one is None or one.poll() is not None for one in processes):
            return False
        try:
            with Client(self.address, timeout=2, set_as_default=False) as client:
                return len(client.scheduler_info()["workers"]) == 2
        except (OSError, TimeoutError, ValueError):
            return False

    def bring_back(self) -> None:
        """Start what is not there, as whoever runs a cluster does."""
        until(self._is_back, "two Dask workers are there")

    def _is_back(self) -> bool:
        # Workers that lost their scheduler as they began may yet end.
        for one in (self.scheduler, self.workers):
            if one.process is None or one.process.poll() is not None:
                one.end()
                one.start()
        return self.is_up

    def end(self) -> None:
        self.workers.end()
        self.scheduler.end()
