"""The lock file: one holder among threads and processes, free when the holder ends, however it ends."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dashboard.locks import alone, is_held
from tests.conftest import CHECKOUT, wait_for

_HOLD = "import sys, time; from pathlib import Path; from dashboard.locks import alone\n" + (
    "with alone(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
)


def test_forty_threads_are_inside_one_at_a_time_and_leave_nothing(tmp_path: Path) -> None:
    inside, most = [], []

    def enter(number: int) -> None:
        with alone(tmp_path / "lock"):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(40)))
    assert most == [1] * 40
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_wait_is_told_and_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with alone(lock, wait=False) as mine:
        assert not mine
    assert is_held(lock)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    wait_for(lambda: not is_held(lock), 5)
    with alone(lock, wait=False) as mine:
        assert mine
    assert not lock.exists()
