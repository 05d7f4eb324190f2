"""The only door to DuckDB: SQL over the Parquet files of the data folder, and nothing else."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dashboard.errors import BadQuery
from dashboard.metrics.columns import string
from mlflow_runs.errors import ArtifactUnreadable

_DOES_NOT_FIT = (
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.TypeMismatchException,
)


# unbounded, because evicting in a forked child would close the parent's database and wait for threads it lacks
@cache
def _database(process: int, folder: Path, memory_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    """One in-memory database per process, because a connection used before a fork hangs in the child."""
    spill = folder / "spill" / str(process)
    spill.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    database.execute(f"SET allowed_directories=[{string(str(folder))}]")
    database.execute("SET enable_external_access=false")
    database.execute("SET lock_configuration=true")
    return database


@dataclass(frozen=True)
class Tables:
    """A folder of Parquet files to query with a memory limit (MB); opens on first use in each process."""

    folder: Path
    memory_mb: int = 256
    threads: int = 2

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of one statement. BadQuery where values and types do not fit, ArtifactUnreadable for the file."""
        try:
            # a cursor per call because a connection serves one thread at a time
            cursor = _database(os.getpid(), self.folder.absolute(), self.memory_mb, self.threads).cursor()
            return cursor.sql(sql, params=list(parameters)).to_arrow_table()
        except _DOES_NOT_FIT as exc:
            raise BadQuery(f"The filter does not fit the table: {_sentence(exc)}.") from exc
        except duckdb.OutOfMemoryException as exc:
            raise BadQuery(
                f"This needs more than {self.memory_mb} MB of memory; narrow it or raise VITRINE_QUERY_MEMORY_MB."
            ) from exc
        except duckdb.Error as exc:
            raise ArtifactUnreadable(f"The predictions table cannot be read: {_sentence(exc)}.") from exc

    def columns(self, path: Path) -> dict[str, str]:
        """Column names of a Parquet file with DuckDB's type names, in the file's order."""
        try:
            seen = path.stat()
        except OSError as exc:
            raise ArtifactUnreadable("The predictions table cannot be read: it is gone.") from exc
        return dict(_columns(self, path, seen.st_mtime_ns, seen.st_size))

    def first(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """The first row of a result by column name."""
        row: dict[str, Any] = self.query(sql, parameters).slice(0, 1).to_pylist()[0]
        return row


@lru_cache(256)
def _columns(tables: Tables, path: Path, _mtime: int, _size: int) -> tuple[tuple[str, str], ...]:
    """Kept, because every report asks several times and each answer costs as much as a small count."""
    described = tables.query(f"DESCRIBE SELECT * FROM {source(path)}")
    return tuple(zip(described["column_name"].to_pylist(), described["column_type"].to_pylist(), strict=True))


def source(path: Path, numbered: bool = False) -> str:
    """The FROM clause of a Parquet file; numbered adds `file_row_number`, the 0-based position of each row."""
    return f"read_parquet({string(str(path))}{', file_row_number=true' if numbered else ''})"


def _sentence(exc: duckdb.Error) -> str:
    """DuckDB's first line without its error class, and without paths, which are nobody's business."""
    first = str(exc).strip().split("\n", 1)[0]
    text = first.split(": ", 1)[-1].rstrip(".")
    return " ".join("..." if "/" in word else word for word in text.split())[:300]
