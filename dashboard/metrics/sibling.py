"""The larger sibling: the same SQL on Spark, for tables that are too large for one machine.

Chosen over Ibis: every statement here is SQL made from a checked tree already, so that a translation of the text
(sqlglot, which the filters use anyway) needs no second description of the same figures and no further dependency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp, parse_one

from dashboard.errors import BadQuery
from dashboard.metrics.tables import Tables
from mlflow_runs.errors import ArtifactUnreadable

_TYPES = {"STRING": "VARCHAR", "LONG": "BIGINT", "SHORT": "SMALLINT", "BYTE": "TINYINT", "INT": "INTEGER"}
_OPTIONS = {"spark.sql.caseSensitive": "true", "spark.sql.session.timeZone": "UTC"}


_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}


@dataclass(frozen=True)
class SparkTables(Tables):
    """Parquet files queried by Spark: `engine` is a master (local[2], spark://...) or a Connect address (sc://...).

    Answers what is counted (the cube, filters, per class and per slice). Positions of rows (`file_row_number`) are
    DuckDB's own, so pages of rows, residuals and found slices are not for Spark: BadQuery.
    """

    engine: str = "local[2]"

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of one statement written for DuckDB. BadQuery where Spark cannot answer it."""
        if parameters:
            raise BadQuery("Spark takes statements without parameters here.")
        return _run(self.engine, spark_sql(sql))

    def columns(self, path: Path) -> dict[str, str]:
        """Column names of a Parquet file with DuckDB's type names, in the file's order."""
        found = _run(self.engine, f"DESCRIBE QUERY SELECT * FROM {_table(str(path))}")
        kinds = [kind.upper() for kind in found["data_type"].to_pylist()]
        return {n: _TYPES.get(k, k) for n, k in zip(found["col_name"].to_pylist(), kinds, strict=True)}


def spark_sql(sql: str) -> str:
    """A statement for DuckDB as Spark reads it."""
    tree = parse_one(sql, read="duckdb")
    return tree.transform(_translated).sql(dialect="spark")


def _translated(node: exp.Expr) -> exp.Expr:
    """What sqlglot leaves as it is and Spark calls otherwise. NaN is larger than any number in both engines."""
    if isinstance(node, exp.Table) and isinstance(node.this, exp.ReadParquet):
        return exp.maybe_parse(_table(str(node.this.expressions[0].this)), into=exp.Table, dialect="spark")
    if isinstance(node, exp.Column) and node.name == "file_row_number":
        raise BadQuery("Spark does not number the rows of a table; this needs the table on this machine.")
    if isinstance(node, exp.Anonymous) and node.name.lower() == "isfinite":
        infinite = exp.cast(exp.Literal.string("Infinity"), "double")
        return exp.LT(this=exp.Abs(this=node.expressions[0]), expression=infinite)
    # only compared with the number itself, which makes rounding down as good
    return exp.Floor(this=node.this) if isinstance(node, exp.Trunc) else node


def _table(path: str) -> str:
    if "`" in path:
        raise BadQuery("Spark cannot read a table whose path holds a back quote.")
    return f"parquet.`{path}`"


def _run(engine: str, sql: str) -> pa.Table:
    from pyspark.errors import PySparkException  # because it is optional, and takes a second to import

    try:
        found: pa.Table = _session(engine).sql(sql).toArrow()
    except PySparkException as exc:
        raise ArtifactUnreadable(f"Spark cannot answer: {str(exc).splitlines()[0][:200]}.") from exc
    return found


@cache
def _session(engine: str) -> Any:
    from pyspark.sql import SparkSession

    start = SparkSession.builder.appName("vitrine")
    start = start.remote(engine) if engine.startswith("sc://") else start.master(engine)
    for name, value in (_OPTIONS | (_LOCAL if engine.startswith("local") else {})).items():
        start = start.config(name, value)
    return start.getOrCreate()
