"""What the supervisor looks at before and while it starts: the port, the default store, the health check."""

import errno
import http.client
import socket
import sqlite3
from contextlib import closing

from dashboard.settings import Settings


class CannotStart(Exception):
    """Why nothing was started, in a sentence for the terminal."""


def address(settings: Settings) -> str:
    """The address to open in a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"


def answers(settings: Settings) -> bool:
    """Whether the web server answers its health check within half a second."""
    with closing(http.client.HTTPConnection(address(settings).removeprefix("http://"), timeout=0.5)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def store_counts(settings: Settings) -> tuple[int, int]:
    """Experiments and runs in the default store; (0, 0) while it is absent, being created or locked."""
    try:
        with closing(sqlite3.connect(f"file:{settings.data_dir / 'mlflow.db'}?mode=ro", uri=True, timeout=0)) as store:
            row = store.execute("SELECT (SELECT count(*) FROM experiments), (SELECT count(*) FROM runs)").fetchone()
            return int(row[0]), int(row[1])
    except sqlite3.Error:
        return 0, 0


def store_ready(settings: Settings) -> bool:
    """Whether the default store has been created: MLflow writes the first experiment after its last migration."""
    return store_counts(settings)[0] > 0


def check_port(settings: Settings) -> None:
    """Raise CannotStart when the web server could not listen where the settings say."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as exc:
        where = f"{settings.host}:{settings.port}"
        reason = "is already in use" if exc.errno == errno.EADDRINUSE else f"cannot be used ({exc.strerror or exc})"
        raise CannotStart(f"{where} {reason}; set VITRINE_HOST and VITRINE_PORT to a free address.") from exc
