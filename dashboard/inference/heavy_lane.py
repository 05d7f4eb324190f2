"""The way to the heavy worker: a socket that the engine keeps, and the process behind it, started at a knock.

`python -m dashboard.inference.heavy_lane` keeps it where another server predicts and no engine runs here.

A request is one framed message: `task` and `arguments` in the header, tensors behind it. Answers are framed messages
whose `state` is "working" (with `step` and `share`), "failed" or "done". Whoever hangs up ends the worker.
"""

import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from dashboard import processes
from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.protocol import Array, Message, decode, encode
from dashboard.settings import CHECKOUT, Settings
from mlflow_runs.errors import DashboardError, DataMissing, ModelUnavailable, RunNotFound, StoreUnavailable

Report = Callable[[str, float], None]

SILENCE = 60.0
_PATIENCE = 10.0
_PAUSE = 0.5
_LENGTH = struct.Struct(">Q")
_KNOWN: tuple[type[DashboardError], ...] = (
    BadInput, EngineBusy, EngineUnavailable, ModelUnavailable, DataMissing, RunNotFound, StoreUnavailable,
)  # fmt: skip


class HeavyLane:
    """Asks the heavy worker of a data folder; connects on use, so that it may be built before a fork."""

    def __init__(self, data_dir: Path) -> None:
        self._path = socket_file(data_dir)

    def ask(self, task: str, arguments: Mapping[str, Any], tensors: Mapping[str, Array], report: Report) -> Message:
        """The worker's answer; `report(step, share)` hears how far it is, `share` between 0 and 1.

        Raises the worker's own DashboardError, or EngineUnavailable when the worker is not there or died.
        """
        with self._connect() as connection, suppress(ConnectionError):
            connection.settimeout(None)  # because others may be served first
            send(connection, encode({"task": task, "arguments": dict(arguments)}, tensors))
            while (message := _heard(connection)) is not None:
                connection.settimeout(SILENCE)
                if message.header["state"] == "done":
                    return message
                if message.header["state"] == "failed":
                    raise _error(message.header["error"])
                if message.header.get("step"):
                    report(message.header["step"], message.header["share"])
        raise EngineUnavailable(
            "The process for exports and explanations ended in the middle (often because memory ran out). "
            "Predictions go on; start it again, a fresh process takes over."
        )

    def _connect(self) -> socket.socket:
        until = time.monotonic() + _PATIENCE
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                with processes.socket_address(self._path) as name:
                    connection.connect(name)
                return connection
            except OSError as exc:
                connection.close()
                if time.monotonic() > until:
                    raise EngineUnavailable(
                        f"The inference process does not answer ({self._path.name}: {exc.strerror or exc}); "
                        "`make run` starts it, and it is restarted by itself."
                    ) from exc
            time.sleep(0.1)


def socket_file(data_dir: Path) -> Path:
    """Where the heavy worker is asked."""
    return data_dir / "run" / "heavy.sock"


def keep_door(path: Path) -> NoReturn:
    """In the engine's first process, as a thread: whenever someone knocks, run one worker until it leaves.

    The worker belongs to the engine's process group and ends with it. One that cannot even start is tried twice,
    then the caller is sent away, so that nobody waits for ever.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        with processes.socket_address(path) as name:
            door.bind(name)
        path.chmod(0o600)
        door.listen(16)
        command = [sys.executable, "-m", "dashboard.inference.heavy", str(door.fileno())]
        failures = 0
        while True:
            select.select([door], [], [])
            worker = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, pass_fds=(door.fileno(),))
            failures = failures + 1 if worker.wait() else 0
            if failures > 1 and select.select([door], [], [], 0)[0]:
                door.accept()[0].close()
                failures = 0
            time.sleep(_PAUSE)


def send(connection: socket.socket, body: bytes) -> None:
    """Send one framed message."""
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket) -> Message | None:
    """The next framed message, None when the other side hung up."""
    head = _exactly(connection, _LENGTH.size)
    body = _exactly(connection, _LENGTH.unpack(head)[0]) if head else None
    return None if body is None else decode(body)


def _heard(connection: socket.socket) -> Message | None:
    try:
        return receive(connection)
    except TimeoutError as exc:
        raise EngineUnavailable(f"The process for exports gave no sign of life for {SILENCE:.0f} s.") from exc


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 2**20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _error(told: Mapping[str, str]) -> DashboardError:
    kind = next((known for known in _KNOWN if known.code == told["code"]), ModelUnavailable)
    return kind(told["message"])


if __name__ == "__main__":
    keep_door(socket_file(Settings().data_dir))
