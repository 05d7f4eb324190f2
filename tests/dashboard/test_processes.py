"""Marks, locks and socket names against the real system."""

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from dashboard import processes
from tests.conftest import wait_for

pytestmark = pytest.mark.process
SLEEP = "import time; time.sleep(60)"


def _start(mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLEEP], env={**os.environ, processes.MARK: mark})


def test_only_marked_processes_are_found_and_killed() -> None:
    mark = uuid.uuid4().hex
    ours, other = _start(f"{mark}/web/"), _start(f"{mark}/engine/")
    wait_for(lambda: processes.marked(f"{mark}/") == sorted([ours.pid, other.pid]), 5)
    assert processes.kill_marked(f"{mark}/web/") == 1
    ours.wait(5)
    assert other.poll() is None
    assert processes.kill_marked(f"{mark}/") == 1
    other.wait(5)
    assert processes.marked(mark) == []


def test_a_folder_is_locked_once_and_names_its_holder(tmp_path: Path) -> None:
    with (
        processes.lock_folder(tmp_path / "lock"),
        pytest.raises(processes.DataFolderInUse, match=str(os.getpid())),
    ):
        processes.lock_folder(tmp_path / "lock")
    processes.lock_folder(tmp_path / "lock").close()


@pytest.mark.parametrize("depth", [1, 12])
def test_a_socket_can_lie_below_any_path(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-long-name-of-a-folder"] * depth)
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with processes.socket_address(folder / "x.sock") as name:
            listener.bind(name)
        listener.listen()
        with processes.socket_address(folder / "x.sock") as name:
            client.connect(name)
    assert (folder / "x.sock").is_socket()


def test_signals_to_processes_that_are_gone_are_no_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    processes.signal_group(gone.pid, 15)
    processes.signal_all([gone.pid], 15)
