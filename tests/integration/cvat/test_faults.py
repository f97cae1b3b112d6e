"""The stand-in's faults happen as their names say."""

import time

import pytest
import requests
from standin.faults import Kind
from standin.server import Cvat


@pytest.fixture
def session(cvat: Cvat) -> requests.Session:
    made = requests.Session()
    made.headers["Authorization"] = f"Bearer {cvat.token}"
    return made


def named(session: requests.Session, cvat: Cvat, name: str) -> int:
    """How many tasks have this name."""
    found: int = session.get(f"{cvat.url}/api/tasks", params={"name": name}).json()["count"]
    return found


@pytest.mark.parametrize(
    ("kind", "was_done"),
    [
        (Kind.ERROR, False),
        (Kind.ERROR_AFTER, True),
        (Kind.RESET, False),
        (Kind.RESET_AFTER, True),
    ],
)
def test_fault_says_nothing_of_what_was_done(
    cvat: Cvat, session: requests.Session, kind: Kind, was_done: bool
) -> None:
    cvat.faults.next(kind, method="POST", path="/api/tasks$")
    spec = {"name": kind.value, "labels": []}
    if kind in (Kind.RESET, Kind.RESET_AFTER):
        with pytest.raises(requests.ConnectionError):
            session.post(f"{cvat.url}/api/tasks", json=spec)
    else:
        assert session.post(f"{cvat.url}/api/tasks", json=spec).status_code == 500
    assert named(session, cvat, kind.value) == was_done
    assert session.post(f"{cvat.url}/api/tasks", json=spec).status_code == 201
    assert cvat.faults.happened == [(kind, "POST", "/api/tasks")]


def test_upload_is_cut_before_it_has_all_arrived(cvat: Cvat, session: requests.Session) -> None:
    task = session.post(f"{cvat.url}/api/tasks", json={"name": "t", "labels": []}).json()["id"]
    address = f"{cvat.url}/api/tasks/{task}/data/"
    session.post(address, headers={"Upload-Start": ""})
    cvat.faults.next(Kind.RESET, path="/data")
    big = {"client_files[0]": ("a.jpg", bytes(20_000_000))}
    with pytest.raises(requests.ConnectionError):
        session.post(address, files=big, headers={"Upload-Multiple": ""})
    assert cvat.stand_in.state.tasks[task].data.arrived == {}


def test_random_faults_are_the_same_for_a_seed(cvat: Cvat, session: requests.Session) -> None:
    def outcomes() -> list[int]:
        cvat.faults.clear()
        cvat.faults.at_random(0.4, seed=3, kinds=(Kind.ERROR,))
        about = f"{cvat.url}/api/server/about"
        return [session.get(about).status_code for _ in range(30)]

    first = outcomes()
    assert outcomes() == first
    assert 5 < first.count(500) < 20


def test_slow_expired_and_conflicting(cvat: Cvat, session: requests.Session) -> None:
    cvat.faults.next(Kind.SLOW, path="about", seconds=0.3)
    began = time.monotonic()
    assert session.get(f"{cvat.url}/api/server/about").status_code == 200
    assert time.monotonic() - began >= 0.3

    project = session.post(f"{cvat.url}/api/projects", json={"name": "p", "labels": []}).json()
    address = f"{cvat.url}/api/projects/{project['id']}/dataset/export"
    cvat.faults.next(Kind.CONFLICT)
    answer = session.post(address, params={"format": "CVAT for images 1.1"})
    assert answer.status_code == 409
    poll = f"{cvat.url}/api/requests/{answer.json()['rq_id']}"
    cvat.faults.next(Kind.EXPIRED)
    assert session.get(poll).status_code == 404
    assert session.get(poll).json()["status"] in ("queued", "started", "finished")


def test_paced_server_takes_its_time(cvat: Cvat, session: requests.Session) -> None:
    cvat.stand_in.pace()
    began = time.monotonic()
    for _ in range(3):
        session.get(f"{cvat.url}/api/users/self")
    assert time.monotonic() - began >= 3 * 0.17
