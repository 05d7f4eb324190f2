"""The warm process that forks one child per background job: limit, queue, timeout, cancel; knows nothing of Dash.

It is single-threaded, because it forks.
"""

import gc
import json
import logging
import os
import select
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard import job_process, processes
from dashboard.job_process import KILL_AFTER
from dashboard.job_wire import PATIENCE, read_request

_log = logging.getLogger(__name__)
_REMEMBERED = 2000
MAX_WAITING = 200


@dataclass
class Job:
    """One job of the server; `deadline` and `kill_at` are on the monotonic clock."""

    id: str
    kind: str
    body: bytes
    pid: int = 0
    deadline: float = 0.0
    kill_at: float = 0.0
    reason: str = ""
    waited: bool = False


class JobServer:
    """Runs `work(body, waited)` in a forked child for each job, at most `limit` at a time, each at most `timeout` s."""

    def __init__(self, path: Path, work: Callable[[bytes, bool], None], limit: int, timeout: float) -> None:
        self._path, self._work, self._limit, self._timeout = path, work, limit, timeout
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._running: dict[str, Job] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._stopping = False
        self._wake, self._bell = os.pipe()

    def serve(self) -> None:
        """Answer until SIGTERM or SIGINT, then stop every job."""
        self._listen_to_signals()
        with self._bind() as listener:
            gc.collect()
            gc.freeze()
            while not self._stopping:
                ready, _, _ = select.select([listener.fileno(), self._wake], [], [], self._pause())
                if self._wake in ready:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                if listener.fileno() in ready:
                    self._accept(listener)
                self._reap()
                self._enforce()
                self._start_waiting(listener)
        self._path.unlink(missing_ok=True)
        self._stop_all()

    def _listen_to_signals(self) -> None:
        for descriptor in (self._wake, self._bell):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _bind(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        with processes.socket_address(self._path) as name:
            listener.bind(name)
        self._path.chmod(0o600)
        listener.listen(64)
        return listener

    def _pause(self) -> float | None:
        moments = [job.kill_at or job.deadline for job in self._running.values()]
        return max(min(moments) - time.monotonic(), 0.0) if moments else None

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.settimeout(PATIENCE)
        with client, client.makefile("rwb") as stream:
            try:
                header, body = read_request(stream)
                stream.write(json.dumps(self._answer(header, body)).encode() + b"\n")
            except (OSError, ValueError, KeyError) as exc:
                _log.warning("a request was not understood or its sender went away: %r", exc)

    def _answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        if header["op"] == "submit":
            return self._submit(Job(header["id"], header["kind"], body))
        if header["op"] == "load":
            return {"state": "load", "running": len(self._running), "waiting": len(self._waiting)}
        if header["op"] == "cancel":
            self._stop(header["id"], "it was cancelled")
        return self._status(header["id"])

    def _submit(self, job: Job) -> dict[str, Any]:
        if len(self._waiting) >= MAX_WAITING:
            return {"state": "refused", "reason": f"{MAX_WAITING} jobs are already waiting"}
        job.waited = len(self._running) >= self._limit
        self._waiting[job.id] = job
        return self._status(job.id)

    def _status(self, job_id: str) -> dict[str, Any]:
        if job_id in self._running:
            return {"state": "running"}
        if job_id in self._waiting:
            free = len(self._running) < self._limit
            return {"state": "waiting", "ahead": 0 if free else list(self._waiting).index(job_id) + 1}
        return {"state": "ended", "reason": self._ended.get(job_id, "the job server was restarted while it ran")}

    def _start_waiting(self, listener: socket.socket) -> None:
        """Start the first waiting job of the kind that runs least, so that no kind starves the others."""
        while self._waiting and len(self._running) < self._limit:
            kinds = [job.kind for job in self._running.values()]
            job = min(self._waiting.values(), key=lambda waiting: kinds.count(waiting.kind))
            del self._waiting[job.id]
            self._fork(job, listener)

    def _fork(self, job: Job, listener: socket.socket) -> None:
        job.pid = job_process.fork(lambda: self._work(job.body, job.waited), listener.close)
        job.deadline = time.monotonic() + self._timeout
        self._running[job.id] = job

    def _reap(self) -> None:
        for job in list(self._running.values()):
            status = job_process.ended(job.pid)
            if status is not None:
                del self._running[job.id]
                self._remember(job.id, job.reason or job_process.ending(status))

    def _enforce(self) -> None:
        now = time.monotonic()
        for job in list(self._running.values()):
            if job.kill_at and job.kill_at <= now:
                processes.signal_group(job.pid, signal.SIGKILL)
                job.kill_at = now + KILL_AFTER
            elif not job.kill_at and job.deadline <= now:
                self._stop(job.id, job_process.too_long(self._timeout))

    def _stop(self, job_id: str, reason: str) -> None:
        if self._waiting.pop(job_id, None) is not None:
            self._remember(job_id, reason)
        job = self._running.get(job_id)
        if job is not None and not job.kill_at:
            job.reason, job.kill_at = reason, time.monotonic() + KILL_AFTER
            processes.signal_group(job.pid, signal.SIGTERM)

    def _remember(self, job_id: str, reason: str) -> None:
        self._ended[job_id] = reason
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _stop_all(self) -> None:
        for job in list(self._running.values()):
            self._stop(job.id, "the job server was stopped")
        deadline = time.monotonic() + 2 * KILL_AFTER
        while self._running and time.monotonic() < deadline:
            self._reap()
            self._enforce()
            time.sleep(0.02)
