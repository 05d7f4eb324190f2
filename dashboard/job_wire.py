"""How web workers and the job server talk: one request per connection to a Unix socket.

A request is a header line of JSON with `op` (submit, status, cancel, load), `id` and `length`, then `length` bytes of
job. The answer is one line of JSON: `state` (waiting, running, ended, refused), with `ahead` or `reason`; for `load`
how many jobs are `running` and `waiting`.
"""

import json
import socket
import time
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from dashboard import processes

PATIENCE = 3.0


def ask(path: Path, header: dict[str, Any], body: bytes = b"", patience: float = PATIENCE) -> dict[str, Any]:
    """Send one request to the job server and return its answer.

    A server that is not there (it is being restarted) is tried again for `patience` seconds. Raises OSError when it
    does not answer, ValueError when it breaks off.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _exchange(path, header, body)
        except (ConnectionError, FileNotFoundError):
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _exchange(path: Path, header: dict[str, Any], body: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        with processes.socket_address(path) as name:
            connection.connect(name)
        connection.sendall(json.dumps({**header, "length": len(body)}).encode() + b"\n" + body)
        with connection.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.readline())
            return answer


def read_request(stream: BufferedRWPair) -> tuple[dict[str, Any], bytes]:
    """The server's side of a request; ValueError when it is not one or not all of it arrived."""
    header = json.loads(stream.readline())
    if not isinstance(header, dict):
        raise ValueError(f"a header is an object, not {header!r}")
    body = stream.read(int(header.get("length", 0)))
    if len(body) < header.get("length", 0):
        raise ValueError(f"{len(body)} of {header['length']} bytes arrived")
    return header, body
