"""A SQLite tracking store as a file: whether it may be opened, and whether it changed."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from mlflow.store.db.utils import _get_latest_schema_revision

from mlflow_runs.errors import StoreUnavailable


def database_file(uri: str) -> Path | None:
    """The file of a SQLite store, None for other stores."""
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0])) if uri.startswith("sqlite:///") else None


def signature(uri: str) -> tuple[object, ...] | None:
    """What changes whenever a SQLite store is written; None where a change cannot be told, or could hide in a tick."""
    path = database_file(uri)
    if path is None:
        return None
    files = [seen for end in ("", "-wal") if (seen := path.with_name(path.name + end)).exists()]
    stats = [(seen.stat().st_mtime_ns, seen.stat().st_size, seen.stat().st_ino) for seen in files]
    fresh = any(time.time_ns() - mtime < 10**9 for mtime, _, _ in stats)
    return None if fresh else tuple(stats)


def check(uri: str) -> None:
    """Refuse a SQLite file that MLflow would create or migrate on opening: looking must not write."""
    path = database_file(uri)
    if path is None:
        return
    if not path.exists():
        raise StoreUnavailable(f"there is no database {path} yet; it appears with the first run that is logged")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone() if "runs" in tables else None
    if version is None:
        raise StoreUnavailable(f"the database {path} is not (or not yet) an MLflow store")
    known = _get_latest_schema_revision()  # type: ignore[no-untyped-call]
    if version[0] != known:
        advice = "upgrade it with `mlflow db upgrade`, or use the MLflow version that wrote it"
        raise StoreUnavailable(
            f"the database {path} has another MLflow schema ({version[0]}) than this MLflow; {advice}"
        )


def probe(uri: str, timeout: float = 1.0) -> int | None:
    """The inode of a SQLite store that can be read right now, None for other stores; raises sqlite3.Error or OSError.

    Asked before MLflow is, because MLflow waits 20 s for a locked database.
    """
    path = database_file(uri)
    if path is None:
        return None
    inode = path.stat().st_ino
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout)) as connection:
        connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone()
    return inode
