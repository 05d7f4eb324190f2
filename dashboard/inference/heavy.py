"""The heavy worker, `python -m dashboard.inference.heavy FD`: exports and explanations, one at a time, then it leaves.

A process of its own at low priority, so that nothing it does delays a prediction or takes the engine down.
"""

import logging
import os
import select
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dashboard.errors import BadInput
from dashboard.inference import compare, explain, features
from dashboard.inference.attempt import Attempt
from dashboard.inference.desk import failure
from dashboard.inference.heavy_lane import receive, send
from dashboard.inference.protocol import Tensors, encode
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError, ModelUnavailable

Tell = Callable[[str, float], None]
Task = Callable[[Settings, Mapping[str, Any], Tensors, Tell], tuple[dict[str, Any], Tensors]]

IDLE = 60.0
_BEAT = 5.0
TASKS: Mapping[str, Task] = {
    "compare": compare.compare_engines,
    "explain": explain.explain,
    "features": features.features,
}


class Caller:
    """The connection being served. A beat is sent while it waits; when it hangs up, this process ends at once.

    Ending is the only way to stop a running export or forward pass, and a fresh process costs a few seconds.
    """

    def __init__(self) -> None:
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    def take(self, connection: socket.socket | None) -> None:
        """Serve this connection from now on."""
        with self._lock:
            self._connection = connection

    def tell(self, step: str = "", share: float = 0.0) -> None:
        """Say how far the work is."""
        with self._lock:
            if self._connection is not None:
                self._send(encode({"state": "working", "step": step, "share": share}, {}))

    def answer(self, header: Mapping[str, Any], tensors: Tensors) -> None:
        """Send the last word."""
        with self._lock:
            if self._connection is not None:
                self._send(encode(header, tensors, "outputs"))
            self._connection = None

    def watch(self, parent: int) -> None:
        """Until the engine is gone or the caller hangs up."""
        last = time.monotonic()
        while True:
            time.sleep(0.1)
            if os.getppid() != parent:
                os._exit(1)
            connection = self._connection
            if connection is not None and _hung_up(connection):
                os._exit(0)
            if time.monotonic() - last > _BEAT:
                last = time.monotonic()
                self.tell()

    def _send(self, body: bytes) -> None:
        try:
            send(self._connection, body)  # type: ignore[arg-type]
        except OSError:
            os._exit(0)


def _hung_up(connection: socket.socket) -> bool:
    with Attempt() as attempt:
        return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)
    return isinstance(attempt.error, ConnectionError)


def main() -> None:
    """Serve callers until none came for a minute."""
    settings, parent, caller = Settings(), os.getppid(), Caller()
    os.nice(10)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    _prepare_compiler(settings)
    threading.Thread(target=caller.watch, args=(parent,), daemon=True).start()
    with socket.socket(fileno=int(sys.argv[1])) as door:
        while select.select([door], [], [], IDLE)[0]:
            connection, _ = door.accept()
            with connection:
                connection.settimeout(None)
                serve(settings, caller, connection)


def serve(settings: Settings, caller: Caller, connection: socket.socket) -> None:
    """One request from its message to the last word."""
    with Attempt() as attempt:
        message = receive(connection)
        if message is None:
            return
        caller.take(connection)
        task = TASKS.get(message.header.get("task", ""))
        if task is None:
            raise BadInput(f"There is no task {message.header.get('task')!r}; {', '.join(TASKS)} is accepted.")
        caller.answer(*_done(task(settings, message.header.get("arguments", {}), message.tensors, caller.tell)))
    if attempt.error is not None:
        caller.answer(*failure(_told(attempt.error)))


def _done(result: tuple[dict[str, Any], Tensors]) -> tuple[dict[str, Any], Tensors]:
    return {"state": "done", **result[0]}, result[1]


def _told(error: Exception) -> DashboardError:
    if isinstance(error, DashboardError):
        return error
    return ModelUnavailable(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _prepare_compiler(settings: Settings) -> None:
    """Compiled code of earlier lives is dropped, so that the folder stays small; no pool of compiler processes."""
    folder = settings.folder("compiled")
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.update(TORCHINDUCTOR_CACHE_DIR=str(settings.folder("compiled")), TORCHINDUCTOR_COMPILE_THREADS="1")


if __name__ == "__main__":
    main()
