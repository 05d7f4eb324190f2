"""Kept-alive HTTP connections to one inference server, and where the embedded engine's address is found."""

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dashboard.errors import EngineUnavailable


class EngineLost(Exception):
    """The connection ended, or the engine did not answer in time; asking a fresh engine may help."""


class QueueFull(Exception):
    """The engine refused the request because its queue is full."""


@dataclass(frozen=True)
class Server:
    """Where an HTTP server listens; `life` tells one life of it from the next."""

    host: str
    port: int
    tls: bool = False
    life: float = 0.0


@dataclass(frozen=True)
class Reply:
    """Status, header fields (names in lower case) and body of an HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """Where an engine listens; `started` tells one life of the engine from the next (Unix seconds)."""

    port: int
    pid: int
    key: str
    started: float
    starts: int
    host: str = "127.0.0.1"


class Connections:
    """Connections to one server, opened on first use, after any fork; safe to share between threads.

    Idle connections are kept for the next caller, whichever thread that is: a new one for each request costs six
    times as much. They belong to one process and to one life of the server.
    """

    def __init__(self) -> None:
        self._idle: list[http.client.HTTPConnection] = []
        self._mark: tuple[int, Server | None] = (0, None)
        self._lock = threading.Lock()

    def send(
        self, server: Server, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> Reply:
        """The answer, whatever its status; raises EngineLost when there is none."""
        while (kept := self._borrow(server)) is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                return self._exchange(kept, server, method, path, body, headers, timeout)
        # because a kept connection may just have been idle for too long, only a new one proves the server gone
        kind = http.client.HTTPSConnection if server.tls else http.client.HTTPConnection
        fresh = kind(server.host, server.port, timeout=timeout)
        return self._exchange(fresh, server, method, path, body, headers, timeout)

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, server: Server, method: str, path: str, body: bytes,
        headers: Mapping[str, str], timeout: float,
    ) -> Reply:  # fmt: skip
        reused = connection.sock is not None
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            if reused and isinstance(exc, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
                raise
            raise EngineLost(str(exc)) from exc
        self._give_back(connection, server)
        return Reply(response.status, answer, {name.lower(): value for name, value in response.getheaders()})

    def _borrow(self, server: Server) -> http.client.HTTPConnection | None:
        mark = (os.getpid(), server)
        if self._mark != mark:
            self.close()
            self._mark = mark
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: http.client.HTTPConnection, server: Server) -> None:
        if connection.sock is None or self._mark != (os.getpid(), server):
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)


class Wire:
    """Sends one body to an engine and returns the answer's body.

    The engine's address is read from the file that it keeps, or is `fixed` for an engine on another machine.
    """

    def __init__(self, file: Path, route: str, fixed: Address | None = None) -> None:
        self.file, self._route, self._fixed = file, route, fixed
        self._connections = Connections()

    def address(self) -> Address:
        """The engine's present address; raises EngineUnavailable when none was ever written."""
        if self._fixed is not None:
            return self._fixed
        try:
            facts = json.loads(self.file.read_text())
            needed = {name: facts[name] for name in ("port", "pid", "key", "started", "starts")}
            return Address(**needed, host=facts.get("host", "127.0.0.1"))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise EngineUnavailable(
                f"The inference process has not been started for this data folder ({self.file} is missing); "
                "`make run` starts it."
            ) from exc

    def post(self, address: Address, body: bytes, timeout: float) -> bytes:
        """The answer's body; raises EngineLost or QueueFull."""
        server = Server(address.host, address.port, life=address.started)
        reply = self._connections.send(server, "POST", self._route, body, {}, timeout)
        if reply.status == 429:
            raise QueueFull
        if reply.status != 200:
            raise EngineLost(f"status {reply.status}: {reply.body[:200].decode(errors='replace')}")
        return reply.body

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        self._connections.close()


def wait_for_next(wire: Wire, last: Address | None, until: float, knock: Callable[[], None]) -> Address | None:
    """The address of an engine started after `last`, or None when there is none before `until` (monotonic).

    Meanwhile `knock` says again and again that someone waits.
    """
    while time.monotonic() < until:
        knock()
        with suppress(EngineUnavailable):
            address = wire.address()
            if last is None or address.started != last.started:
                return address
        time.sleep(0.05)
    return None
