"""The local index of runs, write side: used by the back office alone; every visible change raises the revision."""

import dataclasses
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mlflow_runs import index_rows
from mlflow_runs.index import SCHEMA_VERSION, RunIndex
from mlflow_runs.records import Evaluation, EvaluationState, ModelInfo, Problem, Roles, RunRow

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, start_time REAL NOT NULL, model TEXT NOT NULL, registered INTEGER NOT NULL,
    number INTEGER NOT NULL, experiment TEXT NOT NULL, needle TEXT NOT NULL, body TEXT NOT NULL,
    synced_at REAL NOT NULL, ordinal INTEGER NOT NULL DEFAULT 1, model_id TEXT, info TEXT, task TEXT,
    state TEXT NOT NULL DEFAULT 'pending', problems TEXT NOT NULL DEFAULT '[]', evaluation TEXT, mark TEXT);
CREATE INDEX runs_by_time ON runs (start_time DESC, run_id);
CREATE INDEX runs_by_model ON runs (model, ordinal);
"""
_UPSERT = """
INSERT INTO runs (run_id, start_time, model, registered, number, experiment, needle, body, synced_at, model_id, info)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET start_time = excluded.start_time, model = excluded.model,
    registered = excluded.registered, number = excluded.number, experiment = excluded.experiment,
    needle = excluded.needle, body = excluded.body, synced_at = excluded.synced_at,
    info = CASE WHEN model_id IS excluded.model_id THEN info ELSE excluded.info END, model_id = excluded.model_id
"""
_RENUMBER = """
UPDATE runs SET ordinal = numbered.position FROM (
    SELECT run_id AS id, row_number() OVER (PARTITION BY model ORDER BY number, start_time, run_id) AS position
    FROM runs WHERE model IN (SELECT value FROM json_each(?))) AS numbered
WHERE run_id = numbered.id AND ordinal != numbered.position
"""


class IndexWriter(RunIndex):
    """The one writer of an index file; safe to use from several threads of the back office."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None

    def upsert(self, rows: Iterable[RunRow]) -> int:
        """Add or replace runs; what was read of their evaluations stays. Returns how many differ from before."""
        with self._write() as connection:
            changed = [row for row in rows if self._differs(connection, row)]
            touched = {row.model for row in changed} | self._models_of(connection, changed)
            connection.executemany(_UPSERT, map(_values, changed))
            self._renumber(connection, touched)
            self._revise(connection, bool(changed))
        return len(changed)

    def delete(self, run_ids: Iterable[str]) -> int:
        """Remove runs that the store no longer has; returns how many were there."""
        with self._write() as connection:
            ids = index_rows.dumps(list(run_ids))
            where = "WHERE run_id IN (SELECT value FROM json_each(?))"
            touched = {name for (name,) in connection.execute(f"SELECT DISTINCT model FROM runs {where}", (ids,))}
            removed = connection.execute(f"DELETE FROM runs {where}", (ids,)).rowcount
            self._renumber(connection, touched)
            self._revise(connection, removed > 0)
        return removed

    def set_evaluation(self, evaluation: Evaluation, state: EvaluationState, mark: str) -> None:
        """Record what was read of a run; `mark` names the state of the run that was read (see `unread`)."""
        text = index_rows.evaluation_text(evaluation)
        problems = index_rows.dumps([dataclasses.asdict(problem) for problem in evaluation.problems])
        with self._write() as connection:
            old = connection.execute("SELECT evaluation, state FROM runs WHERE run_id = ?", (evaluation.run_id,))
            differs = old.fetchone() not in (None, (text, state))
            connection.execute(
                "UPDATE runs SET evaluation = ?, state = ?, task = ?, problems = ?, mark = ? WHERE run_id = ?",
                (text, state, evaluation.task, problems, mark, evaluation.run_id),
            )
            self._revise(connection, differs)

    def set_broken(self, run_id: str, problem: Problem, mark: str) -> None:
        """Record that a run could not be read at all."""
        self.set_evaluation(Evaluation(run_id, None, Roles(), problems=(problem,)), "broken", mark)

    def set_model_info(self, run_id: str, info: ModelInfo) -> None:
        """Record what the MLmodel file of a run's model says."""
        text = index_rows.dumps(dataclasses.asdict(info))
        with self._write() as connection:
            done = connection.execute(
                "UPDATE runs SET info = ? WHERE run_id = ? AND info IS NOT ?", (text, run_id, text)
            )
            self._revise(connection, done.rowcount > 0)

    def marks(self) -> dict[str, str | None]:
        """The mark of each run's recorded evaluation, newest run first; None when it was never read."""
        with self._write() as connection:
            return dict(connection.execute("SELECT run_id, mark FROM runs ORDER BY start_time DESC, run_id").fetchall())

    def set_state(self, uri: str, reachable: bool, message: str, synced_at: float | None = None) -> None:
        """Record how the store was found; the time alone does not raise the revision."""
        with self._write() as connection:
            shown = {"uri": uri, "reachable": str(int(reachable)), "message": message}
            old = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            self._meta(connection, **shown, **({"synced_at": repr(synced_at)} if synced_at else {}))
            self._revise(connection, any(old.get(key) != value for key, value in shown.items()))

    def set_swept(self, at: float) -> None:
        """Record that every row was compared with the store."""
        with self._write() as connection:
            self._meta(connection, swept_at=repr(at))

    def swept_at(self) -> float:
        """When every row was last compared with the store; 0 for a new or rebuilt index."""
        with self._write() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = 'swept_at'").fetchone()
        return float(found[0]) if found else 0.0

    def clear(self) -> None:
        """Forget all runs, because the index now follows another store; the revision goes on rising."""
        with self._write() as connection:
            connection.execute("DELETE FROM runs")
            connection.execute("DELETE FROM meta WHERE key IN ('synced_at', 'swept_at')")
            self._revise(connection, True)

    def close(self) -> None:
        """Close the writing connection and this thread's reading one."""
        super().close()
        with self._lock:
            self._shut()

    def _shut(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction; a damaged file is rebuilt, so that the next sync fills it again."""
        with self._lock:
            connection = self._writer()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as exc:
                self._roll_back(connection)
                if type(exc) is sqlite3.DatabaseError:  # because only this one, not its subclasses, means damage
                    self.rebuild()
                raise

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")

    def _writer(self) -> sqlite3.Connection:
        if self._open is not None and not self.path.exists():
            self._shut()
        if self._open is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_current(self.path):
                _build(self.path)
            self._open = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            self._open.execute("PRAGMA synchronous = NORMAL")
        return self._open

    def rebuild(self) -> None:
        """Throw the file away and start an empty one under the same name."""
        with self._lock:
            self.close()
            _build(self.path)

    @staticmethod
    def _differs(connection: sqlite3.Connection, row: RunRow) -> bool:
        found = connection.execute("SELECT body, model_id FROM runs WHERE run_id = ?", (row.run_id,)).fetchone()
        return bool(found != (index_rows.body_of(row), row.model_info.model_id if row.model_info else None))

    @staticmethod
    def _models_of(connection: sqlite3.Connection, rows: Iterable[RunRow]) -> set[str]:
        ids = index_rows.dumps([row.run_id for row in rows])
        query = "SELECT DISTINCT model FROM runs WHERE run_id IN (SELECT value FROM json_each(?))"
        return {name for (name,) in connection.execute(query, (ids,))}

    @staticmethod
    def _renumber(connection: sqlite3.Connection, models: set[str]) -> None:
        if models:
            connection.execute(_RENUMBER, (index_rows.dumps(sorted(models)),))

    @staticmethod
    def _meta(connection: sqlite3.Connection, **values: str) -> None:
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    @staticmethod
    def _revise(connection: sqlite3.Connection, changed: bool) -> None:
        if changed:
            connection.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")


def _values(row: RunRow) -> tuple[object, ...]:
    info = index_rows.dumps(dataclasses.asdict(row.model_info)) if row.model_info else None
    number = int(row.version) if row.version and row.version.isdecimal() else 0
    body, needle = index_rows.body_of(row), index_rows.needle_of(row)
    key = (row.run_id, row.start_time, row.model, int(row.registered), number, row.experiment)
    return (*key, needle, body, row.synced_at, row.model_info.model_id if row.model_info else None, info)


def _is_current(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error:
        return False
    return bool(found == (SCHEMA_VERSION,) and sound == ("ok",))


def _build(path: Path) -> None:
    """A new, empty index in place of whatever is there; its revision starts at the clock so that it never repeats."""
    fresh = path.with_name(path.name + ".new")
    for name in (fresh, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute(
            "INSERT INTO meta VALUES ('schema', ?), ('revision', ?)", (SCHEMA_VERSION, str(time.time_ns() // 10**6))
        )
    fresh.chmod(0o600)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    fresh.replace(path)
