"""What the supervisor looks at before and while it starts: the port, the default store, the health check."""

import errno
import http.client
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from dashboard.settings import Settings

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_STORES = ("http", "https", "file", "databricks", "databricks-uc", "uc", *_DATABASES)


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


def setting_problems(exc: ValidationError) -> list[str]:
    """One sentence for each setting that could not be read: its name, what it says, and what is accepted."""
    return [_setting_problem(problem) for problem in exc.errors()]


def _setting_problem(problem: Mapping[str, Any]) -> str:
    name = "VITRINE_" + str(problem["loc"][0]).upper().removeprefix("VITRINE_")
    field = Settings.model_fields.get(name.removeprefix("VITRINE_").lower())
    kind = field.annotation if field else None
    if kind in (int, float):
        accepted = f"a {'whole number' if kind is int else 'number'}{_bounds(field.metadata if field else ())}"
    elif kind is bool:
        accepted = "true or false"
    else:
        accepted = str(problem.get("ctx", {}).get("expected", ""))
    told = f"accepted is {accepted}" if accepted else str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}={problem['input']}: {told}."


def _bounds(found: Any) -> str:
    """The bounds of a number, in words."""
    limits = {name: getattr(item, name) for item in found for name in ("ge", "gt", "le") if hasattr(item, name)}
    low, high = limits.get("ge"), limits.get("le")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    above = f" above {limits['gt']}" if "gt" in limits else f" from {low} up" if low is not None else ""
    return above or (f" up to {high}" if high is not None else "")


def check_store(settings: Settings) -> None:
    """Raise CannotStart for a store's address that MLflow could not open, whatever answers there."""
    scheme, mark, _ = settings.store_uri.partition(":")
    known = {*_STORES, *(entry.name for entry in entry_points(group="mlflow.tracking_store"))}
    if mark and scheme.split("+")[0] not in known:
        accepted = "http://host:5000, sqlite:///file.db, postgresql://user@host/name, mysql:// and mssql:// addresses"
        raise CannotStart(f"VITRINE_TRACKING_URI: MLflow knows no store {scheme}://; accepted are {accepted}.")


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
