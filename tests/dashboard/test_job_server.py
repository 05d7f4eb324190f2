"""The job server without Dash: limit, order, refusal, odd requests, in a process of its own."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard import job_server
from dashboard.job_server import MAX_WAITING
from dashboard.job_wire import ask
from tests.conftest import wait_for

pytestmark = pytest.mark.process

SERVER = """
import sys, time
from pathlib import Path
from dashboard.job_server import JobServer

def work(body, waited):
    seconds, _, name = body.decode().partition(" ")
    with Path(sys.argv[1], "order").open("a") as order:
        order.write(f"{name}{'*' if waited else ''} ")
    time.sleep(float(seconds))

JobServer(Path(sys.argv[1], "s"), work, limit=1, timeout=30).serve()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)])
    wait_for((tmp_path / "s").exists, 10)
    yield tmp_path
    process.terminate()
    assert process.wait(10) == 0
    assert not (tmp_path / "s").exists()


def submit(server: Path, name: str, kind: str, seconds: float) -> dict[str, Any]:
    return ask(server / "s", {"op": "submit", "id": name, "kind": kind}, f"{seconds} {name}".encode())


def status(server: Path, name: str) -> dict[str, Any]:
    return ask(server / "s", {"op": "status", "id": name})


def test_one_at_a_time_and_a_rare_kind_is_not_starved(server: Path) -> None:
    submit(server, "first", "common", 0.4)
    wait_for(lambda: status(server, "first")["state"] == "running", 5)
    for name in ("second", "third"):
        assert submit(server, name, "common", 0.1)["state"] == "waiting"
    assert status(server, "third") == {"state": "waiting", "ahead": 2}
    wait_for(lambda: status(server, "third")["state"] == "ended", 10)
    assert (server / "order").read_text() == "first second* third* "
    assert status(server, "third")["reason"] == "it ended without leaving a result"


def test_a_waiting_job_is_cancelled_without_ever_starting(server: Path) -> None:
    submit(server, "first", "a", 0.5)
    wait_for(lambda: status(server, "first")["state"] == "running", 5)
    submit(server, "second", "a", 0.1)
    assert ask(server / "s", {"op": "cancel", "id": "second"}) == {"state": "ended", "reason": "it was cancelled"}
    wait_for(lambda: status(server, "first")["state"] == "ended", 5)
    assert (server / "order").read_text() == "first "


def test_too_many_waiting_jobs_are_refused(server: Path) -> None:
    submit(server, "running", "a", 20)
    wait_for(lambda: status(server, "running")["state"] == "running", 5)
    answers = [submit(server, f"job{number}", "a", 0)["state"] for number in range(MAX_WAITING + 1)]
    assert answers == ["waiting"] * MAX_WAITING + ["refused"]


@pytest.mark.parametrize(
    "sent", [b"", b"nonsense\n", b"{}\n", b'{"op": "status", "id": "x", "length": 99}\n', b"[1]\n"]
)
def test_odd_requests_harm_nobody(server: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server / "s"))
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        client.recv(100)
    assert status(server, "x")["state"] == "ended"


def test_large_jobs_arrive_whole(server: Path) -> None:
    name = "n" * 5_000_000
    ask(server / "s", {"op": "submit", "id": "large", "kind": "a"}, f"0 {name}".encode())
    wait_for(lambda: status(server, "large")["state"] == "ended", 10)
    assert (server / "order").stat().st_size == len(name) + 1


def test_a_job_that_runs_least_goes_first() -> None:
    server = job_server.JobServer(Path("unused"), lambda body, waited: None, limit=3, timeout=1)
    server._running = {"r": job_server.Job("r", "common", b"", pid=1)}
    forked: list[str] = []
    server._fork = lambda job, listener: (forked.append(job.id), server._running.update({job.id: job}))  # type: ignore
    for name, kind in (("a", "common"), ("b", "common"), ("c", "rare")):
        server._waiting[name] = job_server.Job(name, kind, b"")
    with socket.socket() as listener:
        server._start_waiting(listener)
    assert forked == ["c", "a"]
    assert json.dumps(server._status("b")) == '{"state": "waiting", "ahead": 1}'
