"""Rows as several pages show them, and where an evaluation's rows come from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.metrics.rows import Rows
from dashboard.metrics.tables import Tables
from mlflow_runs.errors import ArtifactUnreadable, DataMissing
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services

_TABLES = (".parquet", ".csv", "_table.json")


@dataclass(frozen=True)
class RowPage:
    """One page of rows. `rows` are JSON-safe values by column; image bytes are data URIs; `row` numbers are 0-based
    positions in the evaluation's table and identify a row for links."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    row_numbers: tuple[int, ...]
    offset: int
    limit: int
    total: int


def as_page(found: Rows, offset: int, limit: int) -> RowPage:
    """Rows as the pages take them."""
    return RowPage(found.columns, found.rows, found.numbers, offset, limit, found.total)


def tables_of(services: "Services") -> Tables:
    """The door to the data folder's tables."""
    return Tables(services.settings.data_dir, services.settings.query_memory_mb)


def subject_of(evaluation: Evaluation) -> str:
    """What cached results of an evaluation are keyed by: its digest, else its run."""
    return evaluation.digest or f"run-{evaluation.run_id}"


def require_table(evaluation: Evaluation) -> Evaluation:
    """The evaluation, if it has a table of predictions; else what of it cannot be read, or what would be read."""
    if evaluation.table is None:
        broken = next((p for p in evaluation.problems if p.artifact.endswith(_TABLES)), None)
        if broken is not None:
            raise ArtifactUnreadable(f"{broken.artifact} {broken.reason}")
        raise DataMissing(
            f"Run {evaluation.run_id} carries no predictions table; log predictions.parquet, predictions.csv or"
            " MLflow's eval_results_table.json to see its rows."
        )
    return evaluation
