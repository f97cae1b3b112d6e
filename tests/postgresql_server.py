"""A PostgreSQL server on loopback, made for a test and gone with it."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def serving() -> Iterator[str]:
    """The address of an empty database of a server that is not in UTC.

    Skips where PostgreSQL or its driver is not installed.
    """
    psycopg = pytest.importorskip(
        "psycopg", reason="PostgreSQL's driver is not installed: pip install 'psycopg[binary]'"
    )
    programs = programs_folder()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # It refuses to run as root.
    whose = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgresql-") as scratch, socket.socket() as free:
        if whose:
            shutil.chown(scratch, **whose)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = Path(scratch) / "data"
        subprocess.run(
            [programs / "initdb", "--auth=trust", "--username=mirrorset", "--encoding=UTF8",
             "--locale=C", "--no-sync", data],
            check=True, capture_output=True, cwd=scratch, **whose,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-c", "fsync=off",
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
             "-c", "timezone=Asia/Kolkata"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch, **whose,
        )  # fmt: skip
        address = f"mirrorset@127.0.0.1:{port}/postgres"
        try:
            until = time.monotonic() + 120
            while True:
                try:
                    psycopg.connect(f"postgresql://{address}").close()
                    break
                except psycopg.OperationalError:
                    assert server.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.1)
            yield f"postgresql+psycopg://{address}"
        finally:
            server.terminate()
            server.wait(60)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The address of a new database of the server, which sorts as Swedes do.

    What has the same order there and in SQLite has it everywhere.
    """
    import psycopg

    name = f"t{secrets.token_hex(8)}"
    plain = server.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE'"
        )
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def programs_folder() -> Path | None:
    """The folder of the server's programs, which Debian keeps out of PATH."""
    found = [one.parent for one in sorted(_DEBIAN.glob("*/bin/initdb"))]
    if path := shutil.which("initdb"):
        found.append(Path(path).resolve().parent)
    return found[-1] if found else None
