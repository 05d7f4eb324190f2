"""Shared fixtures: free ports, waiting, and a running instance of the whole product."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from dashboard import processes

# The same examples every time: a failure is one of this change, not of the day.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")

WIKIS = "http://localhost:*"  # the origins that may frame the product of the tests
CHECKOUT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Come back as soon as the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def answer(url: str) -> int:
    """The HTTP status of a GET, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass(frozen=True)
class Product:
    """A running Vitrine: where it answers, where it writes, and its supervisor."""

    base_url: str
    data_dir: Path
    process: subprocess.Popen[bytes]


def start_product(data_dir: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    """Start the supervisor as `make run` does, in a session of its own; its output goes to terminal.log."""
    own = {"VITRINE_DATA_DIR": str(data_dir), "VITRINE_PORT": str(port), "VITRINE_HOST": "127.0.0.1", **settings}
    cleared = {key: value for key, value in os.environ.items() if not key.startswith(("VITRINE_", "MLFLOW_"))}
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "terminal.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dashboard.supervisor"],
            cwd=CHECKOUT,
            env=cleared | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop_product(process: subprocess.Popen[bytes], data_dir: Path, seconds: float = 15) -> None:
    """Stop the supervisor and assert that it left in time and left nobody behind."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(seconds) == 0
    assert left_over(data_dir) == []


def left_over(data_dir: Path) -> list[str]:
    """Command lines of living processes that work in this data folder."""
    needle = f"VITRINE_DATA_DIR={data_dir}\0".encode()
    found = []
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            ours = pid != os.getpid() and needle in Path(f"/proc/{pid}/environ").read_bytes()
            if ours and alive(pid):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product with its demo runs, started once for all tests that only look at it."""
    data_dir, port = tmp_path_factory.mktemp("product"), free_port()
    process = start_product(data_dir, port, DEMO_EFFORT="0.3", VITRINE_FRAME_ANCESTORS=f"'self' {WIKIS}")
    running = Product(f"http://127.0.0.1:{port}", data_dir, process)
    try:
        wait_for(lambda: process.poll() is not None or answer(f"{running.base_url}/health") == 200, 60)
        assert process.poll() is None, (data_dir / "terminal.log").read_text()
        yield running
    finally:
        if process.poll() is None:
            stop_product(process, data_dir)
        processes.kill_marked(str(data_dir))
