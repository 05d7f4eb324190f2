"""One process works, others follow; cancelled by one it ends for all; the next takes over when the worker dies."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dashboard.shared_work import Report, SharedWork, WorkCancelled
from tests.conftest import wait_for


class Desk:
    """Work that goes on step by step when it is let, and leaves its result."""

    def __init__(self, folder: Path) -> None:
        self.shared, self.begun, self.left = SharedWork(folder, "k"), 0, list[str]()
        self.step = threading.Semaphore(0)

    def work(self, report: Report) -> str:
        self.begun += 1
        for done in range(3):
            assert self.step.acquire(timeout=10)
            report(done, "rows")
        self.left.append("result")
        return "result"

    def run(self, heard: list[Any]) -> str:
        return self.shared.run(self.work, lambda: self.left[0] if self.left else None, lambda *now: heard.append(now))


def test_who_comes_later_hears_the_progress_and_gets_the_same_result(tmp_path: Path) -> None:
    desk, first, second = Desk(tmp_path), list[Any](), list[Any]()
    assert not desk.shared.running()
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(desk.run, first)
        wait_for(desk.shared.running, 5)
        follower = pool.submit(desk.run, second)
        desk.step.release()
        wait_for(lambda: second == [(0, "rows")], 5)
        desk.step.release(2)
        assert [leader.result(10), follower.result(10)] == ["result"] * 2
    assert (desk.begun, first) == (1, [(0, "rows"), (1, "rows"), (2, "rows")])
    assert list(tmp_path.iterdir()) == []


def test_cancelled_by_one_it_ends_for_all_and_can_begin_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(desk.run, [])
        wait_for(desk.shared.running, 5)
        follower = pool.submit(desk.run, [])
        time.sleep(0.1)
        desk.shared.cancel()
        with pytest.raises(WorkCancelled):
            follower.result(10)
        desk.step.release()
        with pytest.raises(WorkCancelled):
            leader.result(10)
        desk.step.release(3)
        assert pool.submit(desk.run, []).result(10) == "result"
    assert desk.begun == 2


def test_when_the_worker_is_killed_a_follower_does_the_work(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    pid = os.fork()
    if pid == 0:
        desk.shared.run(lambda _report: time.sleep(60), lambda: None, lambda: None)
        os._exit(0)
    wait_for(desk.shared.running, 5)
    desk.step.release(3)
    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(desk.run, [])
        time.sleep(0.3)
        assert desk.begun == 0
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert follower.result(10) == "result"
