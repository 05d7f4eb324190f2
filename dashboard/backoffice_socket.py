"""The back office's Unix socket: where it lies, how one request travels; JSON bytes only, never pickles."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from dashboard.errors import BackOfficeUnavailable

NAME = "backoffice.sock"
LIMIT = 2**25
_LONGEST = 100  # bytes; the kernel takes about 107


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """The socket's address; for a long folder a short one through this process's descriptor of the folder."""
    direct = str(folder / NAME)
    if len(os.fsencode(direct)) <= _LONGEST:
        yield direct
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def ask(folder: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """One request and its answer; raises BackOfficeUnavailable when none comes within `timeout` seconds."""
    try:
        with address(folder) as path, Client(path, family="AF_UNIX") as connection:
            write(connection, request)
            if not connection.poll(timeout):
                raise BackOfficeUnavailable(f"the back office did not answer within {timeout:g} s; try again shortly")
            return read(connection)
    except (OSError, EOFError, ValueError) as exc:
        raise BackOfficeUnavailable(
            "the back office does not answer; it is being restarted, try again shortly"
        ) from exc


def write(connection: "Connection[Any, Any]", message: dict[str, Any]) -> None:
    """Send one JSON object."""
    connection.send_bytes(json.dumps(message).encode())


def read(connection: "Connection[Any, Any]") -> dict[str, Any]:
    """Receive one JSON object; raises ValueError for anything else."""
    message = json.loads(connection.recv_bytes(LIMIT))
    if not isinstance(message, dict):
        raise ValueError("a message must be a JSON object")
    return message
