"""Kept-alive connections to the embedded engine; standard library only."""

import http.client
import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dashboard.errors import EngineUnavailable


class EngineLost(Exception):
    """The connection ended, or the engine did not answer in time; asking a fresh engine may help."""


class QueueFull(Exception):
    """The engine refused the request because its queue is full."""


@dataclass(frozen=True)
class Address:
    """Where an engine listens; `started` tells one life of the engine from the next (Unix seconds)."""

    port: int
    pid: int
    key: str
    started: float
    starts: int


class Wire:
    """Sends one body and returns the answer's body; connections open on first use, after any fork.

    Idle connections are kept for the next caller, whichever thread that is: a new one for each request costs six
    times as much. They belong to one process and to one life of the engine.
    """

    def __init__(self, file: Path, route: str) -> None:
        self._file, self._route = file, route
        self._idle: list[http.client.HTTPConnection] = []
        self._mark: tuple[int, float] = (0, 0.0)
        self._lock = threading.Lock()

    def address(self) -> Address:
        """The engine's present address; raises EngineUnavailable when none was ever written."""
        try:
            facts = json.loads(self._file.read_text())
            return Address(**{name: facts[name] for name in Address.__dataclass_fields__})
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise EngineUnavailable(
                f"The inference process has not been started for this data folder ({self._file} is missing); "
                "`make run` starts it."
            ) from exc

    def post(self, address: Address, body: bytes, timeout: float) -> bytes:
        """The answer's body; raises EngineLost or QueueFull."""
        while (kept := self._borrow(address)) is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                return self._exchange(kept, address, body, timeout)
        # because a kept connection may just have been idle for too long, only a new one proves the engine gone
        fresh = http.client.HTTPConnection("127.0.0.1", address.port, timeout=timeout)
        try:
            return self._exchange(fresh, address, body, timeout)
        except (OSError, http.client.HTTPException) as exc:
            raise EngineLost(str(exc)) from exc

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, address: Address, body: bytes, timeout: float) -> bytes:
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request("POST", self._route, body)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        self._give_back(connection, address)
        if response.status == 429:
            raise QueueFull
        if response.status != 200:
            raise EngineLost(f"status {response.status}: {answer[:200].decode(errors='replace')}")
        return answer

    def _borrow(self, address: Address) -> http.client.HTTPConnection | None:
        mark = (os.getpid(), address.started)
        if self._mark != mark:
            self.close()
            self._mark = mark
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: http.client.HTTPConnection, address: Address) -> None:
        if connection.sock is None or self._mark != (os.getpid(), address.started):
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)


def wait_for_next(wire: Wire, last: Address | None, until: float) -> Address | None:
    """The address of an engine started after `last`, or None when there is none before `until` (monotonic)."""
    while time.monotonic() < until:
        address = wire.address()
        if last is None or address.started != last.started:
            return address
        time.sleep(0.05)
    return None
