"""One background job in a process of its own: forked, alone in its group, told to stop before it is killed."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

from dashboard import processes

KILL_AFTER = 1.0


class JobStopped(BaseException):
    """Raised inside a job that is told to stop, so that it lets go of its locks on the way out."""


def fork(work: Callable[[], None], first: Callable[[], None]) -> int:
    """Run `work` in a new process, which dies with this one; its pid. `first` lets go of what the parent holds open."""
    arrange = processes.die_with_parent(signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        _be_child(work, first, arrange)
    return pid


def _be_child(work: Callable[[], None], first: Callable[[], None], arrange: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        try:
            arrange()
            os.setsid()
            first()
            _listen()
            work()
            status = 0
        except JobStopped:
            status = 128 + signal.SIGTERM
        finally:
            if status == 1:
                traceback.print_exc()
    finally:  # twice, because a signal may arrive inside the first one; the child must never return from here
        os._exit(status)


def _listen() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    raise JobStopped


def ended(pid: int) -> int | None:
    """The exit status of a job (negative: its signal) once it is over; what it had started is killed with it."""
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found:
        return None
    processes.signal_group(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def ending(status: int) -> str:
    """How a job without a result ended, in words."""
    if status == 0:
        return "it ended without leaving a result"
    if status < 0:
        return f"its process was killed ({signal.Signals(-status).name}; often the machine ran out of memory)"
    return f"its process ended with status {status}"


def too_long(timeout: float) -> str:
    """Why a job was stopped that ran `timeout` seconds."""
    return f"it was stopped after {timeout:g} s, the longest time a job may run"
