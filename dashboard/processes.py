"""Process mechanics shared by the supervisor and the job server: marks, death signals, locks, socket names."""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

MARK = "VITRINE_INSTANCE"
_PR_SET_PDEATHSIG = 1
_SOCKET_NAME_LIMIT = 100


class DataFolderInUse(Exception):
    """Another supervisor holds the data folder."""


def die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """A function to call in a new child: the kernel then sends it `number` when its parent dies (Linux only)."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def arrange() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def marked(mark: str) -> list[int]:
    """Pids of this user's living processes whose `VITRINE_INSTANCE` begins with the mark; none without /proc.

    A process inherits the mark from the supervisor's part that started it, whatever session it moved to, so a
    stranger that was given a recycled pid is never found here.
    """
    needle = f"\0{MARK}={mark}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and needle in b"\0" + _environment(pid)]


def kill_marked(mark: str, patience: float = 2.0) -> int:
    """Kill every process with the mark, also those that appear meanwhile; how many were found at first."""
    found = marked(mark)
    deadline = time.monotonic() + patience
    left = found
    while left and time.monotonic() < deadline:
        signal_all(left, signal.SIGKILL)
        time.sleep(0.02)
        left = marked(mark)
    return len(found)


class Watcher:
    """A small process that outlives the supervisor: when it is gone, what still carries the mark is killed."""

    def __init__(self, mark: str, grace: float) -> None:
        command = [sys.executable, "-m", "dashboard.processes", mark, str(grace)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self.pid = self._process.pid

    def dismiss(self) -> None:
        """Let it end: closing its input tells it to look round once and leave."""
        self._process.communicate()


def watch(mark: str, grace: float) -> None:
    """Wait until the supervisor closes our input, give its parts the grace, kill the rest."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    deadline = time.monotonic() + grace
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill_marked(mark)


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads, if it still exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def lock_folder(path: Path) -> IO[str]:
    """Take the lock file for as long as the returned file stays open.

    Raises DataFolderInUse with the holder's pid when another process has it.
    """
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise DataFolderInUse(holder) from exc
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """A name to bind or connect a Unix socket with that fits the system's limit of about 107 bytes.

    On Linux a longer path is reached through a descriptor of its folder, which is open only inside the block.
    """
    if len(os.fsencode(path)) <= _SOCKET_NAME_LIMIT or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def thread_count() -> int:
    """Threads of this process; 1 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def _pids() -> list[int]:
    proc = Path("/proc")
    return [int(name) for name in os.listdir(proc) if name.isdigit()] if proc.exists() else []  # noqa: PTH208


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    watch(sys.argv[1], float(sys.argv[2]))
