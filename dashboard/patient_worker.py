"""gunicorn's threaded worker with patience: a request gets a thread once it has arrived, not while it is arriving.

Without this, sixteen clients that send half a request and stop hold every thread of two workers, and nobody else is
answered. The worker's event loop collects requests of up to a megabyte; larger ones (uploads) get a thread once their
head is there, and lose it when they stop sending.
"""

import re
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

ARRIVE = 20.0  # seconds in which a request must arrive
STALL = 60.0  # seconds that one read of an upload, or one write of an answer, may take
LINGER = 2.0  # seconds for a client to close a connection that was answered
_COLLECTED = 2**20
_LONGEST_HEAD = 2**17
_CHUNK = 2**16
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)


@dataclass
class Arriving:
    """What has come so far on a connection; `need` is the whole length once the head says it."""

    connection: Any
    deadline: float
    data: bytes = b""
    need: int = 0

    def add(self, data: bytes) -> bool:
        """Whether a thread can go on with it."""
        self.data += data
        if not self.need:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return len(self.data) > _LONGEST_HEAD
            head = self.data[: end + 2]
            length = _LENGTH.search(head)
            wants_answer = b"\r\nexpect:" in head.lower()  # it sends its body only when a thread has said so
            body = int(length[1]) if length and not wants_answer else 0
            self.need = end + 4 + (body if body <= _COLLECTED else 0)
        return len(self.data) >= self.need


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """`worker_class` of gunicorn.conf.py; without TLS, which a proxy in front is for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, Arriving] = {}
        self._leaving: dict[Any, float] = {}  # connections that were answered, with their deadlines

    def enqueue_req(self, conn: Any) -> None:
        """Begin to collect a request, in the event loop."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.data_ready = False
        arriving = Arriving(conn, time.monotonic() + ARRIVE)
        self._arriving[conn] = arriving
        self.poller.register(conn.sock, selectors.EVENT_READ, lambda _: self._receive(arriving))
        self._receive(arriving)

    def _receive(self, arriving: Arriving) -> None:
        conn = arriving.connection
        try:
            data = conn.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
        elif arriving.add(data):
            self.poller.unregister(conn.sock)
            conn.data_ready = True
            super().enqueue_req(conn)

    def _drop(self, conn: Any) -> None:
        self._arriving.pop(conn, None)
        self._leaving.pop(conn, None)
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: Any) -> Any:
        """In a thread: give what was collected to the parser, then go on as gunicorn does."""
        arrived = self._arriving.pop(conn, None)
        if arrived is not None:
            conn.sock.setblocking(True)
            conn.init()
            conn.parser.unreader.unread(arrived.data)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """A client that stops in the middle of its upload, or does not take its answer, gives the thread back."""
        conn.sock.settimeout(STALL)
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Let the client close first, as RFC 9112 (9.6) asks, without waiting for it in the event loop."""
        closing = not fs.cancelled() and fs.exception() is None and fs.result() is False
        if not closing or not self.alive or self.cfg.is_ssl:
            super().finish_request(conn, fs)
            return
        self._leaving[conn] = time.monotonic() + LINGER
        try:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, lambda _: self._drain(conn))
            conn.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError, KeyError):  # it has gone
            self._gone(conn)

    def _drain(self, conn: Any) -> None:
        try:
            left = conn.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            left = b""
        if not left:
            self._drop(conn)

    def _gone(self, conn: Any) -> None:
        del self._leaving[conn]
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close what does not arrive, and when the worker ends also what has not begun to."""
        super().murder_pending()
        now = time.monotonic()
        for conn, deadline in list(self._leaving.items()):
            if now > deadline or not self.alive:
                self._drop(conn)
        for arriving in list(self._arriving.values()):
            waiting = not arriving.connection.data_ready
            if waiting and (now > arriving.deadline or not (self.alive or arriving.data)):
                self._drop(arriving.connection)
