"""The server that is crawled: nginx with one worker, serving static files on 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

_CONFIG = """\
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    types {{ image/jpeg jpg; text/html html; application/xml xml; text/plain txt; }}
    log_format asked '$request_method $status';
    access_log {folder}/access.log asked;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    etag on;
    server {{
        listen 127.0.0.1:{port} backlog=511;
        root {root};
    }}
}}
"""
_STARTED_WITHIN_S = 10


@dataclass(frozen=True)
class Served:
    """What a server did: requests by method and status ("GET 200"), and its CPU seconds."""

    requests: Counter[str]
    cpu_s: float

    def since(self, before: "Served") -> "Served":
        """What was done after `before`."""
        return Served(self.requests - before.requests, self.cpu_s - before.cpu_s)


@dataclass(frozen=True)
class Server:
    """A running server; url has no slash at its end."""

    url: str
    version: str
    access_log: Path
    process: psutil.Process

    def served(self) -> Served:
        """What it has done so far."""
        with self.access_log.open() as lines:
            requests = Counter(line.strip() for line in lines)
        times = [one.cpu_times() for one in (self.process, *self.process.children())]
        return Served(requests, sum(time.user + time.system for time in times))


@contextmanager
def serve(root: Path, cache: Path) -> Iterator[Server]:
    """Serve the files below `root` until the block ends; everything else is answered with 404."""
    nginx = _nginx(cache)
    with tempfile.TemporaryDirectory(prefix="mirrorset-nginx-") as name:
        folder, port = Path(name), _free_port()
        # Started by root, the workers would otherwise be nobody's and could read no private file.
        user = "user root;" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port, root=root, user=user))
        command = [nginx, "-e", str(folder / "error.log"), "-c", str(config), "-p", name]
        with subprocess.Popen(command) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _await(url, process, folder / "error.log")
                yield Server(
                    url, _version(nginx), folder / "access.log", psutil.Process(process.pid)
                )
            finally:
                process.terminate()


def _nginx(cache: Path) -> str:
    """nginx of this machine, or Debian's unpacked into `cache`: nothing is installed or started."""
    unpacked = cache / "benchmarks" / "nginx"
    search = os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(unpacked / "usr/sbin")]
    )
    if not shutil.which("nginx", path=search) and shutil.which("apt-get"):
        unpacked.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", "nginx"], cwd=unpacked, check=False)
        for package in unpacked.glob("nginx_*.deb"):
            subprocess.run(["dpkg", "-x", package, unpacked], check=False)
    if nginx := shutil.which("nginx", path=search):
        return nginx
    raise SystemExit(
        "This benchmark needs nginx, as a slower server would be what it measures: on Debian or "
        "Ubuntu, sudo apt-get install nginx-light, then run it again."
    )


def _version(nginx: str) -> str:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition(" ")[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{url}/robots.txt"):
                return
        except URLError:
            time.sleep(0.05)
    said = log.read_text().splitlines()[:1] if log.exists() else []
    raise SystemExit(f"nginx did not begin to serve {url}: {''.join(said) or 'no message'}")
