"""The local index of runs, read side: one SQLite file, many readers, no MLflow.

Connections open on first use, one per process and thread. A file that is missing, old or damaged reads as empty: its
one writer (`mlflow_runs.index_writer`) rebuilds it.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow_runs import index_rows
from mlflow_runs.errors import RunNotFound
from mlflow_runs.records import Evaluation, RunRow, StoreState

SCHEMA_VERSION = "1"
TABLES_FOLDER = "predictions"
_KEPT = 16
_NEWEST = "ORDER BY start_time DESC, run_id"
_BUILDING = "The index of runs is being built; runs appear as soon as the back office has read the store."


class RunIndex:
    """What the pages know of the store's runs; every method answers from the local file alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables = path.parent / TABLES_FOLDER
        self._local = threading.local()
        self._kept: dict[str, tuple[object, RunRow]] = {}

    def runs(
        self,
        search: str = "",
        model: str | None = None,
        experiment: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[RunRow], int]:
        """One page of runs, newest first, and the number of all that match.

        Every word of `search` must occur (case ignored) in run name, run id, model, version, alias, experiment or tags.
        """
        where, values = _where(search, model, experiment)
        counted = self._query(f"SELECT count(*) FROM runs {where}", values)
        page = self._query(
            f"SELECT {index_rows.COLUMNS} FROM runs {where} {_NEWEST} LIMIT ? OFFSET ?",
            (*values, max(0, limit), max(0, offset)),
        )
        return self._rows(page), int(counted[0][0]) if counted else 0

    def run(self, run_id: str) -> RunRow:
        """One run; raises RunNotFound. The latest are kept until the index changes: an input example may be large."""
        mark = self._query("SELECT value FROM meta WHERE key IN ('revision', 'swept_at') ORDER BY key")
        before = self._kept.get(run_id)
        if mark and before is not None and before[0] == mark:
            return before[1]
        found = self._rows(self._query(f"SELECT {index_rows.COLUMNS} FROM runs WHERE run_id = ?", (run_id,)))
        if not found:
            raise RunNotFound(f"there is no run {run_id[:200]!r} in the store; choose one from the list of runs")
        if len(self._kept) >= _KEPT:
            self._kept = {}
        self._kept[run_id] = (mark, found[0])
        return found[0]

    def models(self) -> list[str]:
        """Names of registered models, then of the groups of unregistered runs, each in alphabetical order."""
        query = "SELECT model, max(registered) AS r FROM runs GROUP BY model ORDER BY r DESC, model COLLATE NOCASE"
        return [str(name) for name, _ in self._query(query)]

    def history(self, model: str) -> list[RunRow]:
        """All runs of a model, oldest to newest; empty for an unknown one."""
        query = f"SELECT {index_rows.COLUMNS} FROM runs WHERE model = ? ORDER BY ordinal, run_id"
        return self._rows(self._query(query, (model,)))

    def latest_for(self, model: str, version_or_alias: str) -> RunRow:
        """The newest run of a model's version (as text) or alias; raises RunNotFound."""
        rows = self.history(model)
        for row in reversed(rows):
            if row.version == version_or_alias or version_or_alias in row.aliases:
                return row
        have = [*(row.version or row.run_name for row in rows), *(alias for row in rows for alias in row.aliases)]
        known = ", ".join(dict.fromkeys(have)) or "nothing of that name"
        raise RunNotFound(f"model {model!r} has no version or alias {version_or_alias!r}; it has {known}")

    def evaluation(self, run_id: str) -> Evaluation | None:
        """The evaluation as the back office recorded it, None when it has not been read yet."""
        found = self._query("SELECT evaluation FROM runs WHERE run_id = ?", (run_id,))
        return index_rows.evaluation_from(found[0][0], self.tables) if found and found[0][0] else None

    def state(self) -> StoreState:
        """The store as last seen, with the index's revision; not reachable when there is no index yet."""
        meta = dict(self._query("SELECT key, value FROM meta"))
        counted = self._query("SELECT count(*) FROM runs")
        synced = meta.get("synced_at")
        return StoreState(
            uri=meta.get("uri", ""),
            reachable=meta.get("reachable") == "1",
            message=meta.get("message", _BUILDING),
            synced_at=float(synced) if synced else None,
            revision=int(meta.get("revision", 0)),
            runs=int(counted[0][0]) if counted else 0,
        )

    def _rows(self, found: Sequence[tuple[Any, ...]]) -> list[RunRow]:
        swept = self._query("SELECT value FROM meta WHERE key = 'swept_at'") if found else []
        confirmed = float(swept[0][0]) if swept else 0.0
        return [index_rows.row_from(record, confirmed) for record in found]

    def _query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query, none when the file is missing or damaged."""
        try:
            return self._connection().execute(sql, tuple(values)).fetchall()
        except (sqlite3.Error, OSError):
            self._forget()
            return []

    def _connection(self) -> sqlite3.Connection:
        """This process's and thread's connection, opened anew when the writer has replaced the file."""
        seen = self.path.stat()
        key = (os.getpid(), seen.st_dev, seen.st_ino)
        if getattr(self._local, "key", None) != key:
            self._local.connection = _open_reader(self.path)
            self._local.key = key
        connection: sqlite3.Connection = self._local.connection
        return connection

    def close(self) -> None:
        """Forget this thread's connection; the next question opens a new one."""
        self._forget()

    def _forget(self) -> None:
        key = getattr(self._local, "key", None)
        if key and key[0] == os.getpid():
            with suppress(sqlite3.Error):
                self._local.connection.close()
        self._local.key = None


def _open_reader(path: Path) -> sqlite3.Connection:
    opened = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=2, isolation_level=None)
    opened.execute("PRAGMA query_only = 1")
    version = opened.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if version is None or version[0] != SCHEMA_VERSION:
        opened.close()
        raise sqlite3.DatabaseError("the index has another schema")
    return opened


def _where(search: str, model: str | None, experiment: str | None) -> tuple[str, tuple[str, ...]]:
    words = search[:500].casefold().split()
    clauses = ["instr(needle, ?) > 0"] * len(words)
    exact = [(name, value) for name, value in (("model", model), ("experiment", experiment)) if value is not None]
    clauses += [f"{name} = ?" for name, _ in exact]
    values = (*words, *(value for _, value in exact))
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), values
