"""How the columns of a run's table are read, and what people correct of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.errors import BackOfficeUnavailable, BadInput
from dashboard.metrics.rows import shown_columns
from dashboard.reports.row_pages import require_table, tables_of
from dashboard.state import RoleCorrection
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services

ROLES = ("label", "prediction", "score", "id", "time", "text", "image")
TASKS = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class ColumnRoles:
    """The table's columns, the task and the column of each of ROLES ("" for none), and who corrected that when."""

    columns: tuple[str, ...] = ()
    task: str = ""
    chosen: tuple[str, ...] = ("",) * len(ROLES)
    author: str = ""
    changed: float | None = None


def column_roles(services: "Services", run_id: str) -> ColumnRoles:
    """How a run's columns are read now; empty where it has no table."""
    try:
        evaluation = require_table(services.predictions.evaluation(run_id))
    except DashboardError:
        return ColumnRoles()
    chosen = tuple(getattr(evaluation.roles, role) or "" for role in ROLES)
    made = services.state.correction(run_id)
    author, changed = (made.author, made.changed) if made else ("", None)
    return ColumnRoles(_columns(services, evaluation), evaluation.task or "", chosen, author, changed)


def correct_roles(
    services: "Services", run_id: str, task: str, chosen: Mapping[str, str | None], author: str = ""
) -> ColumnRoles:
    """Remember a correction and read the run anew with it, for every page and the API; evaluation.json stays as it is.

    BadInput for an unknown task, role or column, or a column with two roles; BackOfficeUnavailable while nobody can
    read the run.
    """
    evaluation = require_table(services.predictions.evaluation(run_id))
    columns = {role: chosen.get(role) or None for role in ROLES}
    _check(task, columns, set(chosen) - set(ROLES), _columns(services, evaluation))
    _require_reader(services)
    services.state.save_correction(RoleCorrection(run_id, task, columns, author, time.time()))
    services.predictions.refresh(run_id)
    return column_roles(services, run_id)


def undo_roles(services: "Services", run_id: str) -> ColumnRoles:
    """Forget the correction and read the run as it describes itself."""
    _require_reader(services)
    services.state.forget_correction(run_id)
    services.predictions.refresh(run_id)
    return column_roles(services, run_id)


def _columns(services: "Services", evaluation: Evaluation) -> tuple[str, ...]:
    assert evaluation.table is not None
    return shown_columns(evaluation.roles, tables_of(services).columns(evaluation.table))


def _check(task: str, columns: Mapping[str, str | None], strange: set[str], known: tuple[str, ...]) -> None:
    if strange:
        raise BadInput(f"There is no role {min(strange)[:40]!r}; roles are {', '.join(ROLES)}.")
    if task and task not in TASKS:
        raise BadInput(f"The task {task[:40]!r} is not known; accepted are {', '.join(TASKS)}.")
    named = [name for name in columns.values() if name]
    for name in named:
        if name not in known:
            raise BadInput(f"The table has no column {name[:80]!r}.")
        if named.count(name) > 1:
            roles = " and ".join(role for role, column in columns.items() if column == name)
            raise BadInput(f"The column {name[:80]!r} is named as {roles}; a column plays one part.")


def _require_reader(services: "Services") -> None:
    """Before anything is kept, because a correction works by reading the run anew."""
    if not services.predictions.ping():
        raise BackOfficeUnavailable("The process that reads runs does not answer; try again in a moment.")
