"""A running stand-in: an address, a token, and switches for a test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from standin import people
from standin.app import VERSION, make_app
from standin.faults import Faults, Faulty
from standin.state import State, User

RECORDED = Path(__file__).parents[3] / "shared/data/cvat"


@dataclass
class Cvat:
    """A server to test on. url: without a slash at the end. token: an access token for it.

    organisation: the slug to work in; empty for the personal workspace.
    """

    url: str
    token: str
    organisation: str = ""
    is_stand_in: bool = False

    @property
    def faults(self) -> Faults:
        """The stand-in's switches; a test that needs them is skipped on a real server."""
        return self.stand_in.faults

    @property
    def stand_in(self) -> "StandIn":
        pytest.skip("only the stand-in can do this, not a real CVAT server")


@dataclass
class _Inside:
    """What only the stand-in has. state: to look at in a test; changes go through the API."""

    state: State
    switches: Faults
    app: FastAPI


@dataclass
class StandIn(Cvat):
    inside: _Inside = field(kw_only=True)
    is_stand_in: bool = True

    @property
    def stand_in(self) -> "StandIn":
        return self

    @property
    def faults(self) -> Faults:
        return self.inside.switches

    @property
    def state(self) -> State:
        return self.inside.state

    def token_of(self, username: str) -> str:
        """A new access token of a user, who is made if there is none of that name."""
        users = [one for one in self.state.users.values() if one.username == username]
        user = users[0] if users else people.add_user(self.state, username)
        return people.add_token(self.state, user, "test").value

    @property
    def admin(self) -> User:
        return self.state.users[1]

    def pace(self, is_on: bool = True) -> None:
        """Every call and background request takes as long as the recorded server took."""
        self.inside.app.state.pace.is_on = is_on

    def takes_at_least(self, seconds: float) -> None:
        """Every background request takes that long from now on."""
        self.inside.app.state.works.least_s = seconds


@contextmanager
def standing_in(port: int = 0, version: str = VERSION) -> Iterator[StandIn]:
    """A stand-in at 127.0.0.1, with an administrator and two annotators, as recorded."""
    state = State()
    admin = people.add_user(state, "admin", is_staff=True, first_name="Ad", last_name="Min")
    for name in ("annotator1", "annotator2"):
        people.add_user(state, name)
    app = make_app(state, version, RECORDED / "schema.yml")
    faults = Faults()
    config = uvicorn.Config(
        Faulty(app, faults),
        "127.0.0.1",
        port,
        http="h11",
        log_level="error",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    # asyncio does so only for sockets that name their protocol, as uvicorn's does not: each answer
    # on a kept connection would come 40 ms late.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.listen(2048)  # who connects before the thread is up waits instead of failing
    state.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        token = people.add_token(state, admin, "stand-in").value
        yield StandIn(state.url, token, inside=_Inside(state, faults, app))
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
