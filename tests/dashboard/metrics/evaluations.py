"""Evaluations over small Parquet files, built without a tracking store."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlflow_runs.records import Evaluation, Roles, Task


def evaluation_of(
    folder: Path,
    data: pd.DataFrame | pa.Table | dict[str, Any],
    task: Task = "classification",
    name: str = "run",
    classes: tuple[str, ...] = (),
    positive_class: str | None = None,
    **roles: Any,
) -> Evaluation:
    """An evaluation whose table holds the data; label and prediction are the columns of those names."""
    if isinstance(data, pd.DataFrame):
        table = pa.Table.from_pandas(data, preserve_index=False)
    else:
        table = data if isinstance(data, pa.Table) else pa.table(data)
    table = pa.table({name: null_nan(table[name]) for name in table.column_names})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content = sink.getvalue().to_pybytes()
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = folder / f"{digest}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    found = {role: role for role in ("label", "prediction", "id") if role in table.column_names}
    used = Roles(**{**found, "slices": tuple(c for c in table.column_names if c.startswith("slice_")), **roles})
    return Evaluation(
        name,
        task,
        used,
        classes=classes,
        positive_class=positive_class,
        table=path,
        digest=digest,
        n_rows=table.num_rows,
        artifact="predictions.parquet",
    )


def null_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null, as reading a run's table does."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
