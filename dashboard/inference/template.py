"""The engine's first process as a template: what worker and heavy worker import is imported once and shared by forks.

On the CPU only: a process that was forked cannot be sure of its GPU. Nothing is computed here and no thread of a
library runs, so that every fork begins as a fresh process would, without the seconds and the 250 MB of its imports.
"""

import gc
import importlib
import os
import signal
import socket
import threading
import traceback
from typing import Any, NoReturn

from mosec import Server

from dashboard.devices import gpu_count
from dashboard.inference.attempt import Attempt


def may_fork(device: str) -> bool:
    """Whether an engine for this device may fork its workers."""
    return hasattr(os, "fork") and (device == "cpu" or (device == "auto" and not gpu_count()))


class TemplateServer(Server):
    """Mosec's server, which imports what workers need while its HTTP server already takes callers in."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ready = threading.Event()

    def register_daemon(self, name: str, proc: Any) -> None:
        """What mosec calls after the start of its HTTP server and before that of the worker."""
        super().register_daemon(name, proc)
        importlib.import_module("dashboard.inference.worker")
        gc.collect()
        gc.freeze()
        self._ready.set()

    def forked(self, door: socket.socket) -> int:
        """Run one heavy worker in a fork of this process until it leaves; its exit status."""
        self._ready.wait()
        pid = os.fork()
        if pid == 0:
            _be_heavy(door.fileno())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_heavy(door: int) -> NoReturn:
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        with Attempt() as attempt:
            from dashboard.inference import heavy

            heavy.main(os.dup(door))
            status = 0
        if attempt.error is not None:
            traceback.print_exception(attempt.error)
    finally:  # because a fork must never return into the template
        os._exit(status)
