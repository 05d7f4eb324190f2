"""Slices that a look at all rows finds: exact duplicates and suspected label errors, kept as row numbers in a file.

A condition on them works wherever a slice's does: DuckDB numbers the rows of a Parquet file by itself.
"""

import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from dashboard.metrics.columns import quoted, string
from dashboard.metrics.label_errors import suspects
from dashboard.metrics.slices import Slice
from dashboard.metrics.summary import compared
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

FOLDER = "found"
VERSION = 1
DUPLICATES, LABEL_ERRORS = "exact_duplicates", "suspected_label_errors"
Progress = Callable[[float], None]
_ABOUT = {
    DUPLICATES: "Rows that repeat an earlier row in every feature, text and image.",
    LABEL_ERRORS: "Rows whose scores speak for another class than their label (confident learning); being wrong is how"
    " they are found, so their low figures are no news.",
}


def open_found(tables: Tables, evaluation: Evaluation) -> list[Slice] | None:
    """The slices found in an evaluation's rows, those without rows left out; None when nobody has looked yet."""
    paths = {name: _path(tables, evaluation, name) for name in _ABOUT}
    try:
        for path in paths.values():
            os.utime(path)
        return [_slice(name, path) for name, path in paths.items() if pq.read_metadata(path).num_rows]
    except FileNotFoundError:
        return None


def find_rows(tables: Tables, evaluation: Evaluation, progress: Progress = lambda share: None) -> list[Slice]:
    """Look for the rows, unless that was done; `progress` is told the share done and may raise to cancel."""
    found = open_found(tables, evaluation)
    if found is None:
        _write(tables, duplicate_rows(tables, evaluation), _path(tables, evaluation, DUPLICATES))
        progress(0.5)
        _write(tables, suspects(tables, evaluation), _path(tables, evaluation, LABEL_ERRORS))
        found = open_found(tables, evaluation)
    progress(1.0)
    return found or []


def duplicate_rows(tables: Tables, evaluation: Evaluation) -> str | None:
    """SQL that selects `row`, the positions of rows that repeat an earlier one; None where nothing can be compared."""
    if evaluation.table is None:
        return None
    names = compared(tables.columns(evaluation.table), evaluation.roles)
    if not names:
        return None
    rows = source(evaluation.table, numbered=True)
    first = f"SELECT min(file_row_number) AS i FROM {rows} GROUP BY {', '.join(names)}"
    return f"SELECT file_row_number AS row FROM {rows} ANTI JOIN ({first}) ON file_row_number = i ORDER BY 1"


def prune_found(tables: Tables, kept: int) -> None:
    """Delete all but the files used last."""
    files = sorted((tables.folder / FOLDER).glob("*.parquet"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[kept:]:
        path.unlink(missing_ok=True)


def _path(tables: Tables, evaluation: Evaluation, name: str) -> Path:
    """Where row numbers lie: named by the table's digest and by what else decides them."""
    kind = repr((VERSION, evaluation.task, evaluation.roles, evaluation.classes, evaluation.positive_class))
    tail = hashlib.blake2b(kind.encode(), digest_size=6).hexdigest()
    return tables.folder / FOLDER / f"{evaluation.digest or evaluation.run_id}-{tail}-{name}.parquet"


def _write(tables: Tables, sql: str | None, path: Path) -> None:
    """Row numbers into a file that appears at once; several processes may do it at the same time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{uuid.uuid4().hex}")
    pq.write_table(tables.query(sql or "SELECT 0 AS row WHERE false"), draft)
    draft.rename(path)


def _slice(name: str, path: Path) -> Slice:
    condition = f"(file_row_number IN (SELECT {quoted('row')} FROM read_parquet({string(str(path))})))"
    return Slice(name, "found", _ABOUT[name], "", condition)
