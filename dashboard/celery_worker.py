"""The worker of VITRINE_JOBS=celery: `celery -A dashboard.celery_worker worker`; imports neither mlflow nor torch.

Each job runs in a process of its own, forked from the pool's process, so that cancel, timeout and death mean the same
as on the job server. `python -m dashboard.celery_worker module:function` serves another application's callbacks.
"""

import importlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import celery
import redis
from celery import signals

from dashboard import job_process, processes
from dashboard.celery_desk import TASK, Board, application, worker_lives
from dashboard.job_process import KILL_AFTER
from dashboard.jobs import JobManager
from dashboard.settings import CHECKOUT, Settings

_LOOK = 0.25
_SIGN = 2.0


def __getattr__(name: str) -> celery.Celery:
    """`app`, made when `celery -A dashboard.celery_worker` asks for it: importing this file makes nothing."""
    if name in ("app", "celery"):
        return _product()
    raise AttributeError(name)


@cache
def _product() -> celery.Celery:
    return worker("app:create_dash")


def worker(source: str) -> celery.Celery:
    """Celery with the one task that runs the callbacks of the Dash application that `module:function` makes."""
    settings = Settings()
    if str(CHECKOUT) not in sys.path:  # because the celery command has the working folder there for a moment only
        sys.path.insert(0, str(CHECKOUT))
    module, _, function = source.partition(":")
    manager: JobManager = getattr(importlib.import_module(module), function)()._background_manager
    app = application(settings)

    @app.task(name=TASK)
    def run(job: str, body: str) -> None:
        supervise(settings, job, lambda told: manager.run(body.encode(), told))

    def sign(**_: Any) -> None:
        with suppress(redis.RedisError):
            worker_lives(settings)

    signals.worker_ready.connect(sign, weak=False)
    signals.heartbeat_sent.connect(sign, weak=False)
    return app


def supervise(settings: Settings, job: str, work: Callable[[bool], None]) -> None:
    """Run one job to its end, its timeout or its cancellation, and say on the board how it ended."""
    board = Board(settings, job)
    if not board.begin():
        return
    told = board.told()
    pid = job_process.fork(lambda: work(told), lambda: None)
    deadline, kill_at, reason = time.monotonic() + settings.job_timeout, 0.0, ""
    while (status := _wait(pid)) is None:
        now = time.monotonic()
        with suppress(redis.RedisError):  # because a Redis that is away for a moment is no reason to lose the job
            if board.beat() and not kill_at:
                kill_at, reason = _stop(pid), "it was cancelled"
        if now >= deadline and not kill_at:
            kill_at, reason = _stop(pid), job_process.too_long(settings.job_timeout)
        if kill_at and now >= kill_at:
            processes.signal_group(pid, signal.SIGKILL)
    board.end(reason or job_process.ending(status))


def _wait(pid: int) -> int | None:
    """Up to a quarter of a second; the job's exit status as soon as it is over."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        select.select([descriptor], [], [], _LOOK)
        os.close(descriptor)
    return job_process.ended(pid)


def _stop(pid: int) -> float:
    processes.signal_group(pid, signal.SIGTERM)
    return time.monotonic() + KILL_AFTER


def main(arguments: Sequence[str]) -> None:
    """Serve the callbacks of another application than Vitrine's."""
    worker(arguments[0]).worker_main(["worker", *arguments[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
